"""Messages of the FeedbackQueue: SES's JSON as it is, or inside an envelope of SNS."""

from dataclasses import dataclass
from typing import Any, Final

from posthorn.domain.errors import Malformed, RefusedJson
from posthorn.wire.ecmascript import parse

# SES publishes this whenever a topic becomes the destination of a configuration set; it is not JSON.
_VALIDATION: Final = "Successfully validated SNS topic for Amazon SES"
_ABOUT_SUBSCRIPTIONS: Final = frozenset({"SubscriptionConfirmation", "UnsubscribeConfirmation"})


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that SNS or SES says about the topic itself, and about no mail."""

    kind: str


def unwrap(body: str) -> dict[str, Any] | Notice:
    """Return what SES told, whether SNS delivered it raw or not; `Malformed` when neither can be made of it.

    The envelope is that of "Parsing Amazon SNS message formats" in the SNS developer guide.
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
    raise Malformed("the message is an envelope of SNS with no notification in it")


def _object(text: str) -> dict[str, Any]:
    try:
        found = parse(text.encode(errors="surrogatepass"))
    except RefusedJson as refusal:
        raise Malformed(refusal.detail) from refusal
    if not isinstance(found, dict):
        raise Malformed("the message is not an object")
    return found
