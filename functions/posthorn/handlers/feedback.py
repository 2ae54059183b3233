"""FeedbackFunction: accepts messages of the FeedbackQueue as email events."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from posthorn.aws.batch_response import response
from posthorn.settings import feedback_settings, is_in_lambda
from posthorn.telemetry import log
from posthorn.wiring.jobs import open_feedback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthorn.email.feedback import Feedback


@lru_cache(maxsize=1)
def feedback() -> Feedback:
    return open_feedback(feedback_settings())


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda passes two
    """Return the ids of the messages to retry."""
    failed = feedback().take(event["Records"])
    return response(failed)


if is_in_lambda():  # initialization has more CPU (decision 0021)
    log()
    feedback()
