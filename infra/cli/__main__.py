import sys

from infra.cli.commands import main

sys.exit(main())
