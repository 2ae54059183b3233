"""DispatchFunction: creates the deliveries for records of the EventsTable's stream and makes first attempts."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from posthorn.aws.batch_response import response
from posthorn.settings import delivery_settings, is_in_lambda
from posthorn.telemetry import log
from posthorn.wiring import delivery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthorn.delivery.dispatcher import Dispatcher


class Context(Protocol):
    """The part of Lambda's context that is used."""

    def get_remaining_time_in_millis(self) -> int: ...


@lru_cache(maxsize=1)
def dispatcher() -> Dispatcher:
    settings = delivery_settings()
    return delivery.dispatcher(settings, network=delivery.http_client(settings))


def handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Return the sequence numbers of the records to retry."""
    failed = dispatcher().dispatch(event["Records"], remaining_ms=context.get_remaining_time_in_millis)
    return response(failed)


if is_in_lambda():  # initialization has more CPU (decision 0021)
    log()
    dispatcher()
