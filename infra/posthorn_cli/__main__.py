import sys

from posthorn_cli.commands import main

sys.exit(main())
