"""Changes after a deploy, since MiniStack is not AWS and this machine is not a region."""

from typing import Any, Final

from infra.local.account import Account

QUEUE_CONCURRENCY: Final = 4
"""Concurrent batches per queue. Each is a Python process here; the template's 100 would overload the machine."""


def limit_queue_concurrency(account: Account) -> None:
    """Lower the concurrency of every queue's event source mapping to what one machine can handle."""
    functions = account.client("lambda")
    mappings: list[dict[str, Any]] = functions.list_event_source_mappings()["EventSourceMappings"]
    for mapping in mappings:
        if "ScalingConfig" in mapping:
            functions.update_event_source_mapping(
                UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": QUEUE_CONCURRENCY}
            )
