"""Checks that the stream and the queues are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn_cli.check.findings import fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn_cli.check.deployed import Deployed
    from posthorn_cli.check.findings import Finding

_CHANGING: Final = {"Creating", "Enabling", "Updating"}


def check_sources(deployed: Deployed) -> Iterator[Finding]:
    """Look at each event source mapping."""
    for name, mapping in deployed.mappings.items():
        if mapping is None:
            yield fail(f"The event source mapping {name} does not exist.", "Deploy the stack again.")
            continue
        state, result = mapping["State"], str(mapping.get("LastProcessingResult", ""))
        source = _source(str(mapping.get("EventSourceArn", "")))
        if state in _CHANGING:
            yield warn(f"{name} is {state.lower()}.", "Run the command again in a minute.")
        elif state != "Enabled":
            yield fail(
                f"{name} is {state.lower()}: nothing reads {source}.",
                f"Run: aws lambda update-event-source-mapping --uuid {mapping['UUID']} --enabled",
            )
        elif result.startswith("PROBLEM"):
            yield fail(
                f"{name} cannot read {source} ({result[:200]}).",
                "Look for a role, key or queue that was changed by hand, then deploy the stack again.",
            )
    yield ok(f"{len(deployed.mappings)} event source mappings are enabled.")


def _source(arn: str) -> str:
    """Return the name of the queue, or of the table whose stream it is."""
    _, is_table, table = arn.partition(":table/")
    return f"the stream of {table.partition('/')[0]}" if is_table else arn.rpartition(":")[2]
