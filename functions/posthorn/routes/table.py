"""Every route of the API, in the order that the documentation shows them."""

from typing import Final

from posthorn.routes import (
    api_keys,
    configuration_sets,
    email,
    event_destinations,
    event_types,
    events,
    service,
    webhooks,
)
from posthorn.routes.route import Route

ROUTES: Final[tuple[Route, ...]] = (
    *webhooks.ROUTES,
    *events.ROUTES,
    *event_types.ROUTES,
    *api_keys.ROUTES,
    *configuration_sets.ROUTES,
    *event_destinations.ROUTES,
    *email.ROUTES,
    *service.ROUTES,
)
