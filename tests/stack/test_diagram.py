"""The diagram in the README: it shows what the template has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.stack.breakages import broken_by
from tests.stack.test_sources import mappings_of
from tests.template import QUEUE, ROOT, TABLE, Template

if TYPE_CHECKING:
    from collections.abc import Iterator

NOT_ON_THE_PATH = {"ConfigTable"}  # every function reads it


def diagram() -> str:
    """Return the text of the README's Mermaid diagram."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"^```mermaid\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    return str(found)


def arrows() -> Iterator[tuple[str, str]]:
    """Yield the nodes at both ends of every arrow."""
    for line in diagram().splitlines():
        sources, arrow, targets = re.sub(r"\|[^|]*\|", "", line).partition("-->")
        if arrow:
            for source in sources.split("&"):
                for target in targets.split("&"):
                    yield _node(source), _node(target)


def _node(text: str) -> str:
    return re.split(r"\W", text.strip())[0]


@broken_by(
    ("SweepFunction", "SweeperFunction"),
    ("EventsTable", "EventTable"),
    ("Retry1MinQueue", "FirstRetryQueue"),
)
def test_the_diagram_names_what_the_template_has(stack: Template) -> None:
    """Every table, queue and function on the path of an event is shown under its name, and nothing else is."""
    shown = set(re.findall(r"\b\w+(?:Function|Table|Queue)\b", diagram()))
    made = stack.functions.keys() | stack.of_type(QUEUE).keys() | stack.of_type(TABLE).keys()
    assert shown == {name for name in made if "DeadLetter" not in name} - NOT_ON_THE_PATH


@broken_by(
    ("Queue: !GetAtt Retry15MinQueue.Arn", "Queue: !GetAtt ReplayQueue.Arn"),
)
def test_the_arrows_into_functions_are_the_event_sources(stack: Template) -> None:
    """A queue or the stream leads to the function that it invokes."""
    mappings = mappings_of(stack).values()
    invoked = {(mapping["source"], mapping["function"]) for mapping in mappings}
    sources = stack.of_type(QUEUE).keys() | {"EventsTable"}
    assert {(source, target) for source, target in arrows() if source in sources} == invoked
