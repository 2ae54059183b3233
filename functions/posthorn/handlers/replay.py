"""ReplayFunction: messages of the ReplayQueue in, deliveries begun anew."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from posthorn.partial_batches import answer
from posthorn.replay import Replayer, open_replayer
from posthorn.settings import is_in_lambda, replay_settings
from posthorn.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Mapping


@lru_cache(maxsize=1)
def replayer() -> Replayer:
    return open_replayer(replay_settings())


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda passes two
    """Answer with the ids of the messages that are to come again."""
    failed = replayer().replay(event["Records"])
    return answer(failed)


if is_in_lambda():  # loading has the larger processor (decision 0021)
    log()
    replayer()
