"""Every route of the API, in the order of the documentation."""

from typing import Final

from posthorn.api.route import Route
from posthorn.api.routes import (
    api_keys,
    configuration_sets,
    deliveries,
    delivery_replay,
    delivery_retry,
    email,
    event_data,
    event_destinations,
    event_log,
    event_types,
    events,
    example_events,
    meta,
    platform_event_types,
    replays,
    sender_identities,
    webhooks,
    workspace_purge,
    workspaces,
)

ROUTES: Final[tuple[Route, ...]] = (
    *webhooks.ROUTES,
    *events.ROUTES,
    *event_log.ROUTES,
    *event_data.ROUTES,
    *event_types.ROUTES,
    *platform_event_types.ROUTES,
    *api_keys.ROUTES,
    *configuration_sets.ROUTES,
    *event_destinations.ROUTES,
    *deliveries.ROUTES,
    *delivery_replay.ROUTES,
    *delivery_retry.ROUTES,
    *replays.ROUTES,
    *example_events.ROUTES,
    *email.ROUTES,
    *workspaces.ROUTES,
    *workspace_purge.ROUTES,
    *sender_identities.ROUTES,
    *meta.ROUTES,
)
