"""DeliverFunction: makes the attempts for messages of DeliverQueue and the three retry queues."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from posthorn.aws.batch_response import response
from posthorn.settings import delivery_settings, is_in_lambda
from posthorn.telemetry import log
from posthorn.wiring import delivery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthorn.delivery.worker import Deliverer


@lru_cache(maxsize=1)
def deliverer() -> Deliverer:
    settings = delivery_settings()
    return delivery.deliverer(settings, network=delivery.http_client(settings))


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda passes two
    """Return the ids of the messages to retry."""
    failed = deliverer().deliver(event["Records"])
    return response(failed)


if is_in_lambda():  # initialization has more CPU (decision 0021)
    log()
    deliverer()
