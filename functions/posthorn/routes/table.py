"""Every route of the API, in the order that the documentation shows them."""

from typing import Final

from posthorn.routes import configuration_sets, email, event_destinations, events, replays, service, webhooks
from posthorn.routes.route import Route

ROUTES: Final[tuple[Route, ...]] = (
    *webhooks.ROUTES,
    *events.ROUTES,
    *configuration_sets.ROUTES,
    *event_destinations.ROUTES,
    *replays.ROUTES,
    *email.ROUTES,
    *service.ROUTES,
)
