"""Email event types: the names that event destinations subscribe to, and SES's names."""

from dataclasses import dataclass
from typing import Final

from posthorn.domain.matching import canonical

# Posthorn tags every email, so that an event identifies its message: it can arrive before the call that sent the
# email has returned.
MESSAGE_TAG: Final = "posthorn-message"
SET_TAG: Final = "posthorn-set"
WORKSPACE_TAG: Final = "posthorn-workspace"
OWN_TAGS: Final = frozenset({MESSAGE_TAG, SET_TAG, WORKSPACE_TAG})


@dataclass(frozen=True, slots=True)
class EmailType:
    """One type of email event."""

    name: str  # in `matching_event_types`
    event_type: str  # SES's `eventType`
    key: str  # the key of the event-specific object


EMAIL_TYPES: Final = (
    EmailType("send", "Send", "send"),
    EmailType("delivered", "Delivery", "delivery"),
    EmailType("bounce", "Bounce", "bounce"),
    EmailType("complaint", "Complaint", "complaint"),
    EmailType("open", "Open", "open"),
    EmailType("click", "Click", "click"),
    EmailType("reject", "Reject", "reject"),
    EmailType("delivery_delay", "DeliveryDelay", "deliveryDelay"),
    EmailType("rendering_failure", "Rendering Failure", "failure"),  # SES writes this one with a space
    EmailType("subscription", "Subscription", "subscription"),
)
NAMES: Final = frozenset(canonical(one.name) for one in EMAIL_TYPES)
"""The canonical names that patterns are checked against."""

_BY_EVENT_TYPE: Final = {one.event_type: one for one in EMAIL_TYPES}


def by_event_type(event_type: str) -> EmailType | None:
    """Return the type for SES's `eventType`, None if it is unknown."""
    return _BY_EVENT_TYPE.get(event_type)
