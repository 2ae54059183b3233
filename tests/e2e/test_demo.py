"""`make demo`, which a newcomer runs first."""

from __future__ import annotations

import re
import subprocess
from typing import Final

from infra.local.places import REPOSITORY

README: Final = (REPOSITORY / "README.md").read_text("utf-8")


def _shape(text: str) -> list[str]:
    """Return the timeline's lines without times, ids and order, which differ from run to run."""
    lines = re.findall(r"^ *[\d.]+ s {2}(.*\S)", text, re.MULTILINE)
    return sorted(re.sub(r"(evt|cs)_\w+", r"\1_…", line) for line in lines)


def test_the_demo_prints_the_timeline_of_the_readme() -> None:
    """`make demo` succeeds and prints the timeline that the README shows."""
    printed = re.search(r"<!-- demo -->\n```text\n(.*?)```", README, re.DOTALL)
    assert printed is not None

    done = subprocess.run(["make", "demo"], cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert len(_shape(done.stdout)) == 33
    assert _shape(done.stdout) == _shape(printed[1])
