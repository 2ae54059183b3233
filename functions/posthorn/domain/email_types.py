"""The events in the life of a mail: the names that destinations subscribe to, and SES's own."""

from dataclasses import dataclass
from typing import Final

from posthorn.domain.matching import canonical

# Tags that Posthorn puts on every mail, by which an event finds back to its message: it can arrive before
# the call that sent the mail has answered.
MESSAGE_TAG: Final = "posthorn-message"
SET_TAG: Final = "posthorn-set"
WORKSPACE_TAG: Final = "posthorn-workspace"
OWN_TAGS: Final = frozenset({MESSAGE_TAG, SET_TAG, WORKSPACE_TAG})


@dataclass(frozen=True, slots=True)
class EmailType:
    """One kind of event."""

    name: str  # in `matching_event_types`
    event_type: str  # SES's `eventType`
    key: str  # of the event-specific object


EMAIL_TYPES: Final = (
    EmailType("send", "Send", "send"),
    EmailType("delivered", "Delivery", "delivery"),
    EmailType("bounce", "Bounce", "bounce"),
    EmailType("complaint", "Complaint", "complaint"),
    EmailType("open", "Open", "open"),
    EmailType("click", "Click", "click"),
    EmailType("reject", "Reject", "reject"),
    EmailType("delivery_delay", "DeliveryDelay", "deliveryDelay"),
    EmailType("rendering_failure", "Rendering Failure", "failure"),  # SES writes it with a space
    EmailType("subscription", "Subscription", "subscription"),
)
NAMES: Final = frozenset(canonical(one.name) for one in EMAIL_TYPES)
"""The canonical names, which patterns are checked against."""

_BY_EVENT_TYPE: Final = {one.event_type: one for one in EMAIL_TYPES}


def by_event_type(event_type: str) -> EmailType | None:
    """Return the kind that SES calls this, None for one that is new to us."""
    return _BY_EVENT_TYPE.get(event_type)
