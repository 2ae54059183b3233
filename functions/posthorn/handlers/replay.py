"""ReplayFunction: runs the steps of bulk replays for messages of the ReplayQueue."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from posthorn.aws.batch_response import response
from posthorn.settings import is_in_lambda, replay_settings
from posthorn.telemetry import log
from posthorn.wiring.jobs import open_replayer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthorn.delivery.bulk_replay import Replayer


@lru_cache(maxsize=1)
def replayer() -> Replayer:
    return open_replayer(replay_settings())


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda passes two
    """Return the ids of the messages to retry."""
    failed = replayer().replay(event["Records"])
    return response(failed)


if is_in_lambda():  # initialization has more CPU (decision 0021)
    log()
    replayer()
