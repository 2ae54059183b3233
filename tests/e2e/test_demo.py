"""`make demo`, the first thing that a newcomer sees."""

from __future__ import annotations

import re
import subprocess
from typing import Final

from infra.local.places import REPOSITORY

README: Final = (REPOSITORY / "README.md").read_text("utf-8")


def _shape(text: str) -> list[str]:
    """Return the lines that matter, without what differs from run to run: times, ids, the order of the first POSTs."""
    lines = re.findall(r"^ *[\d.]+ s {2}(.*\S)", text, re.MULTILINE)
    return sorted(re.sub(r"(evt|cs)_\w+", r"\1_…", line) for line in lines)


def test_the_demo_shows_what_the_readme_says_it_does() -> None:
    """`make demo` ends well and prints the timeline that the README prints."""
    printed = re.search(r"<!-- demo -->\n```text\n(.*?)```", README, re.DOTALL)
    assert printed is not None

    done = subprocess.run(["make", "demo"], cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert len(_shape(done.stdout)) == 25
    assert _shape(done.stdout) == _shape(printed[1])
