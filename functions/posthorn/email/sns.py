"""Unwraps messages of the FeedbackQueue: SES's JSON, with or without an SNS envelope."""

from dataclasses import dataclass
from typing import Any, Final

from posthorn.domain.errors import Malformed, RefusedJson
from posthorn.wire.ecmascript import parse

# SES publishes this when a topic becomes the destination of a configuration set; it is not JSON.
_VALIDATION: Final = "Successfully validated SNS topic for Amazon SES"
_ABOUT_SUBSCRIPTIONS: Final = frozenset({"SubscriptionConfirmation", "UnsubscribeConfirmation"})


@dataclass(frozen=True, slots=True)
class Notice:
    """A message of SNS or SES about the topic rather than about an email."""

    kind: str


def unwrap(body: str) -> dict[str, Any] | Notice:
    """Return SES's notification, whether SNS delivered it raw or in an envelope; raise `Malformed` if it is neither.

    For the envelope, see "Parsing Amazon SNS message formats" in the SNS Developer Guide.
    """
    if body.startswith(_VALIDATION):
        return Notice("TopicValidation")
    found = _object(body)
    if "Type" not in found or "eventType" in found:
        return found
    match found:
        case {"Type": "Notification", "Message": str() as message}:
            return Notice("TopicValidation") if message.startswith(_VALIDATION) else _object(message)
        case {"Type": str() as kind} if kind in _ABOUT_SUBSCRIPTIONS:
            return Notice(kind)
    raise Malformed("the message is an SNS envelope without a notification")


def _object(text: str) -> dict[str, Any]:
    try:
        found = parse(text.encode(errors="surrogatepass"))
    except RefusedJson as refusal:
        raise Malformed(refusal.detail) from refusal
    if not isinstance(found, dict):
        raise Malformed("the message is not a JSON object")
    return found
