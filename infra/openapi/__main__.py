"""`python -m infra.openapi`: write the description."""

import sys

from infra.openapi import TARGET, render

TARGET.write_text(render(), "utf-8")
sys.stdout.write(f"wrote {TARGET.name}\n")
