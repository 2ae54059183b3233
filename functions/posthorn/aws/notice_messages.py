"""Messages that a notice is to be sent: they wait in DeliverQueue, and name the operational event that has it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from posthorn.aws.clients import call
from posthorn.domain.errors import Malformed
from posthorn.domain.ids import EVENT, is_id
from posthorn.domain.workspace import is_workspace_id

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_VERSION: Final = 1
_GROUP: Final = "notices"  # of their own, so that the backlog of an endpoint does not delay them


@dataclass(frozen=True, slots=True)
class NoticeMessage:
    """One notice to send."""

    channel: str
    event_id: str


def write_notice_message(message: NoticeMessage) -> str:
    return json.dumps(
        {"v": _VERSION, "notice": message.event_id, "channel": message.channel}, separators=(",", ":")
    )


def is_about_notice(body: str) -> bool:
    """Tell a notice's message from an attempt's; both wait in the same queue.

    A recorded attempt may quote its receiver, so the text alone does not decide.
    """
    if '"notice":' not in body:
        return False
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "notice" in found


def read_notice_message(body: str) -> NoticeMessage:
    """Read a message; `Malformed` if it is not one of ours."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed("the message is not JSON") from error
    if not isinstance(found, dict):
        raise Malformed("the message is not an object")
    if found.get("v") != _VERSION:
        raise Malformed("the message has an unknown version")
    event_id, channel = found.get("notice"), found.get("channel")
    if not isinstance(event_id, str) or not is_id(event_id, EVENT):
        raise Malformed("notice is not an event id")
    if not isinstance(channel, str) or not is_workspace_id(channel):
        raise Malformed("channel is not the id of a workspace")
    return NoticeMessage(channel, event_id)


class NoticeQueue:
    """The queue where notices wait until they are sent."""

    def __init__(self, sqs: SQSClient, url: str) -> None:
        self._sqs = sqs
        self._url = url

    def send(self, message: NoticeMessage) -> None:
        call(
            self._sqs.send_message,
            QueueUrl=self._url,
            MessageBody=write_notice_message(message),
            MessageGroupId=_GROUP,
        )
