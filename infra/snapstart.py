"""Switches SnapStart of ApiFunction on in a build: `make build SNAPSTART=on` runs it. Why here: decision 0021."""

from __future__ import annotations

import argparse
import datetime as dt
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

_BEGINNING: Final = re.compile(r"^  ApiFunction:\n(?:    .*\n)*?    Properties:\n", re.MULTILINE)
_DESCRIPTION: Final = re.compile(r"^      Description: (?P<says>\S.*?\.)(?: Built \S+\.)?$", re.MULTILINE)


def switched_on(template: str, built: str) -> str:
    """Return a template's text with SnapStart for ApiFunction; `built` says when, without a space.

    SAM names a version after the function's properties, with parameters and resources by name instead of value. So
    a deployment that changes a parameter would leave the alias at the version before: each build has to differ.
    """
    plain = template.replace(LINES, "")
    found = _BEGINNING.search(plain)
    if found is None:
        raise ValueError("there is no ApiFunction in the template")
    before, after = plain[: found.end()], plain[found.end() :]
    own = re.match(r"(?:      .*\n)*", after)
    description = _DESCRIPTION.search(own[0]) if own else None
    if description is None:
        raise ValueError("ApiFunction has no Description of one line")
    says = f"      Description: {description['says']} Built {built}."
    return before + LINES + after[: description.start()] + says + after[description.end() :]


def main() -> int:
    """Change the template of a build in place."""
    parser = argparse.ArgumentParser(prog="python -m infra.snapstart", description=__doc__)
    parser.add_argument("build", nargs="?", type=Path, default=BUILD, help="default: .aws-sam/build")
    template = parser.parse_args().build / "template.yaml"
    built = f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    template.write_text(switched_on(template.read_text("utf-8"), built), "utf-8")
    print("ApiFunction starts from a snapshot; build again before you deploy other parameters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
