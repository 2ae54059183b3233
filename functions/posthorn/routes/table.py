"""Every route of the API, in the order that the documentation shows them."""

from typing import Final

from posthorn.routes import events, service, webhooks
from posthorn.routes.route import Route

ROUTES: Final[tuple[Route, ...]] = (*webhooks.ROUTES, *events.ROUTES, *service.ROUTES)
