"""PurgeFunction: runs the steps of purges for messages of the PurgeQueue."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from posthorn.aws.batch_response import response
from posthorn.settings import is_in_lambda, purge_settings
from posthorn.telemetry import log
from posthorn.wiring.jobs import open_purger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthorn.delivery.purger import Purger


class Context(Protocol):
    """The part of Lambda's context that is used."""

    def get_remaining_time_in_millis(self) -> int: ...


@lru_cache(maxsize=1)
def purger() -> Purger:
    return open_purger(purge_settings())


def handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Return the ids of the messages to retry."""
    failed = purger().purge(event["Records"], remaining_ms=context.get_remaining_time_in_millis)
    return response(failed)


if is_in_lambda():  # initialization has more CPU (decision 0021)
    log()
    purger()
