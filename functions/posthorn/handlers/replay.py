"""ReplayFunction: messages of the ReplayQueue in, deliveries begun anew."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from posthorn.aws.batch_response import response
from posthorn.settings import is_in_lambda, replay_settings
from posthorn.telemetry import log
from posthorn.wiring import open_replayer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthorn.delivery.bulk_replay import Replayer


@lru_cache(maxsize=1)
def replayer() -> Replayer:
    return open_replayer(replay_settings())


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda passes two
    """Answer with the ids of the messages that are to come again."""
    failed = replayer().replay(event["Records"])
    return response(failed)


if is_in_lambda():  # loading has the larger processor (decision 0021)
    log()
    replayer()
