"""Where notices go: an SNS topic or an event bus of the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from posthorn.aws.clients import call
from posthorn.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient

SOURCE: Final = "posthorn"
"""The `source` of our events on an event bus."""

_MAX_SUBJECT: Final = 99  # SNS takes fewer than 100 characters


class NoticeTarget(Protocol):
    """Takes notices. Raises `Unavailable` if one was not taken."""

    def publish(self, kind: str, body: str, *, subject: str, attributes: Mapping[str, str]) -> None:
        """Publish a notice; `subject` is ASCII, and `attributes` are for filters."""


class Topic:
    """An SNS topic."""

    def __init__(self, sns: SNSClient, arn: str) -> None:
        self._sns = sns
        self._arn = arn

    def publish(self, kind: str, body: str, *, subject: str, attributes: Mapping[str, str]) -> None:
        filterable: Any = {
            name: {"DataType": "String", "StringValue": value}
            for name, value in {"type": kind, **attributes}.items()
        }
        call(
            self._sns.publish,
            TopicArn=self._arn,
            Subject=subject[:_MAX_SUBJECT],
            Message=body,
            MessageAttributes=filterable,
        )


class EventBus:
    """An event bus of EventBridge, whose rules filter by the body."""

    def __init__(self, events: EventBridgeClient, arn: str) -> None:
        self._events = events
        self._arn = arn

    def publish(
        self,
        kind: str,
        body: str,
        *,
        subject: str,  # noqa: ARG002 - an event has none
        attributes: Mapping[str, str],  # noqa: ARG002 - rules filter by the body
    ) -> None:
        entry: Any = {"EventBusName": self._arn, "Source": SOURCE, "DetailType": kind, "Detail": body}
        answer = call(self._events.put_events, Entries=[entry])
        if answer["FailedEntryCount"]:  # refused in a successful response
            raise Unavailable("put_events", answer["Entries"][0].get("ErrorCode", "Unknown"), refused=True)


def is_topic(arn: str) -> bool:
    """Return whether an ARN is that of a topic; the parameter takes only topics and event buses."""
    return arn.split(":")[2] == "sns"
