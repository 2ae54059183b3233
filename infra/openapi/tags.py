"""The groups that operations are shown in."""

from typing import Final

from posthorn.api.routes.configuration_sets import PATH as SETS
from posthorn.api.routes.endpoint_kinds import DESTINATIONS, WEBHOOKS
from posthorn.api.routes.event_destinations import PATH as EVENT_DESTINATIONS
from posthorn.api.routes.sender_identities import PATH as SENDER_IDENTITIES

# The first prefix that a path has names its group.
_BY_PREFIX: Final = (
    (f"{WEBHOOKS.path}/deliveries", "Webhook deliveries"),
    (f"{WEBHOOKS.path}/replays", "Webhook deliveries"),
    ("/v1/webhooks", "Webhooks"),
    ("/v1/event-types", "Event types"),
    ("/v1/events", "Events"),
    ("/v1/api-keys", "API keys"),
    (SENDER_IDENTITIES, "Sender identities"),
    ("/v1/workspaces", "Workspaces"),
    (f"{DESTINATIONS.path}/deliveries", "Event destination deliveries"),
    (f"{DESTINATIONS.path}/replays", "Event destination deliveries"),
    (EVENT_DESTINATIONS, "Event destinations"),
    (SETS, "Configuration sets"),
    ("/api/v1/partner/email", "Email"),
    ("/", "Service"),
)
TAGS: Final = {
    "Webhooks": "URLs that receive the events of a workspace.",
    "Webhook deliveries": "Every delivery to a webhook with its attempts, and how to send deliveries again.",
    "Events": "Publish events, and see what became of them at each webhook.",
    "Event types": "The types that can be published: the built-in ones, those of the platform, and those of the workspace.",
    "API keys": "Create, list and revoke the keys of a workspace.",
    "Workspaces": "One workspace for each of your customers, by your own ids for them. These operations need a platform key.",
    "Sender identities": "The domains and addresses that a workspace may send emails from. These operations need a platform key.",
    "Configuration sets": "Groups of emails whose events go to event destinations of their own.",
    "Event destinations": "URLs that receive the email events of a configuration set.",
    "Event destination deliveries": (
        "Every delivery to an event destination with its attempts, and how to send deliveries again."
    ),
    "Email": "Send email.",
    "Service": "The API itself. These operations need no API key.",
    "Received by webhooks": "The requests that a webhook receives: one for each built-in event type.",
    "Received by event destinations": "The requests that an event destination receives.",
}


def tag_of(path: str) -> str:
    return next(tag for prefix, tag in _BY_PREFIX if path.startswith(prefix))
