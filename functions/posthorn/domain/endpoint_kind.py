"""What an endpoint is and how the bodies of its deliveries look."""

from enum import StrEnum


class EndpointKind(StrEnum):
    """What an endpoint is. The kind decides what it listens to and which headers a delivery has."""

    WEBHOOK = "webhook"  # listens to a workspace
    EVENT_DESTINATION = "event_destination"  # listens to a configuration set


class PayloadFormat(StrEnum):
    """How the body of a delivery looks; `wire/formats.py` says which formats a kind can have."""

    EVENT_JSON = "event_json"
    SES_JSON = "ses_json"
    STANDARD_JSON = "standard_json"
    CLOUDEVENTS_JSON = "cloudevents_json"
