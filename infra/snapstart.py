"""Switches SnapStart of ApiFunction on in a build: `make build SNAPSTART=on` runs it. Why here: decision 0021."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Final

from infra.bytecode import BUILD

# Published versions are what SnapStart is for, so the API calls an alias, and the version before is not paid for.
LINES: Final = """\
      SnapStart:
        ApplyOn: PublishedVersions
      AutoPublishAlias: live
      AutoPublishAliasAllProperties: true
      VersionDeletionPolicy: Delete
"""

_PROPERTIES: Final = re.compile(r"^  ApiFunction:\n(?:    .*\n)*?    Properties:\n", re.MULTILINE)


def switched_on(template: str) -> str:
    """Return a template's text with SnapStart for ApiFunction; unchanged if it has that already."""
    if LINES in template:
        return template
    found = _PROPERTIES.search(template)
    if found is None:
        raise ValueError("there is no ApiFunction in the template")
    return template[: found.end()] + LINES + template[found.end() :]


def main() -> int:
    """Change the template of a build in place."""
    parser = argparse.ArgumentParser(prog="python -m infra.snapstart", description=__doc__)
    parser.add_argument("build", nargs="?", type=Path, default=BUILD, help="default: .aws-sam/build")
    template = parser.parse_args().build / "template.yaml"
    template.write_text(switched_on(template.read_text("utf-8")), "utf-8")
    print("ApiFunction starts from a snapshot")
    return 0


if __name__ == "__main__":
    sys.exit(main())
