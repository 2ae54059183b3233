"""A consumer of SES events over SNS, written only from AWS's documentation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

type Json = dict[str, Any]


@dataclass(frozen=True)
class Happened:
    """The fields of an event that the consumer keeps."""

    event_type: str
    message_id: str
    sent_at: datetime
    sender: str
    destination: list[str]
    subject: str | None
    campaign: str | None
    details: Any


def consume(message: str) -> Happened:
    """Read the `Message` of an SNS notification; a missing field that AWS promises is an error."""
    event = json.loads(message)
    mail = event["mail"]
    key, read = _READERS[event["eventType"]]
    return Happened(
        event_type=event["eventType"],
        message_id=mail["messageId"],
        sent_at=_moment(mail["timestamp"]),
        sender=mail["source"],
        destination=mail["destination"],
        subject=mail.get("commonHeaders", {}).get("subject"),
        campaign=mail["tags"].get("myCustomTag1", [None])[0],
        details=read(event[key]),
    )


def _bounce(bounce: Json) -> Any:
    who = [(one["emailAddress"], one.get("status")) for one in bounce["bouncedRecipients"]]
    hard = bounce["bounceType"] == "Permanent"
    return hard, bounce["bounceSubType"], who, _moment(bounce["timestamp"]), bounce["feedbackId"]


def _complaint(complaint: Json) -> Any:
    who = [one["emailAddress"] for one in complaint["complainedRecipients"]]
    return who, complaint.get("complaintFeedbackType"), complaint["feedbackId"]


def _delay(delay: Json) -> Any:
    who = [one["emailAddress"] for one in delay["delayedRecipients"]]
    return delay["delayType"], who, _moment(delay["expirationTime"])


def _subscription(subscription: Json) -> Any:
    new = subscription["newTopicPreferences"]
    topics = {one["topicName"]: one["subscriptionStatus"] for one in new["topicSubscriptionStatus"]}
    return subscription["contactList"], new["unsubscribeAll"], topics


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")


_READERS: Final[dict[str, tuple[str, Callable[[Json], Any]]]] = {
    "Bounce": ("bounce", _bounce),
    "Complaint": ("complaint", _complaint),
    "Delivery": (
        "delivery",
        lambda one: (one["recipients"], one["processingTimeMillis"] / 1000, one["smtpResponse"]),
    ),
    "Send": ("send", lambda one: one == {}),
    "Reject": ("reject", lambda one: one["reason"]),
    "Open": ("open", lambda one: (_moment(one["timestamp"]), one["ipAddress"], one["userAgent"])),
    "Click": ("click", lambda one: (one["link"], sorted(one["linkTags"]), one["ipAddress"])),
    "Rendering Failure": ("failure", lambda one: (one["templateName"], one["errorMessage"])),
    "DeliveryDelay": ("deliveryDelay", _delay),
    "Subscription": ("subscription", _subscription),
}
