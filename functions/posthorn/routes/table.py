"""Every route of the API, in the order that the documentation shows them."""

from typing import Final

from posthorn.routes import (
    api_keys,
    configuration_sets,
    deliveries,
    email,
    event_destinations,
    event_log,
    event_types,
    events,
    replay,
    replays,
    service,
    trials,
    webhooks,
)
from posthorn.routes.route import Route

ROUTES: Final[tuple[Route, ...]] = (
    *webhooks.ROUTES,
    *events.ROUTES,
    *event_log.ROUTES,
    *event_types.ROUTES,
    *api_keys.ROUTES,
    *configuration_sets.ROUTES,
    *event_destinations.ROUTES,
    *deliveries.ROUTES,
    *replay.ROUTES,
    *replays.ROUTES,
    *trials.ROUTES,
    *email.ROUTES,
    *service.ROUTES,
)
