"""The two kinds of endpoints: webhooks of a workspace, and event destinations of a configuration set.

Routes that both kinds have are written once. They build answers with keys in snake_case, and `EndpointResource.write`
converts the keys to the spelling of the kind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from posthorn.api.routes import configuration_sets, endpoints
from posthorn.domain.api_key import Scope
from posthorn.domain.ids import DESTINATION, WEBHOOK

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthorn.api.http import Answer, Request
    from posthorn.api.services import Services
    from posthorn.domain.models import Endpoint

_LATER_WORD: Final = re.compile(r"_([a-z])")


@dataclass(frozen=True, slots=True)
class EndpointResource:
    """How one kind of endpoint is addressed, and how its answers spell their keys."""

    what: str
    prefix: str  # of its ids
    path: str  # of one endpoint, as a template
    id_parameter: str
    scope: Scope
    camel: bool
    channel_of: Callable[[Services, Request], str]

    def find(self, services: Services, request: Request) -> Endpoint:
        """Return the endpoint of the path, or raise the 404."""
        channel = self.channel_of(services, request)
        return endpoints.find(
            services, channel, request.path[self.id_parameter], prefix=self.prefix, what=self.what
        )

    def write(self, shown: dict[str, Any]) -> dict[str, Any]:
        """Return a dict with its keys in this kind's spelling; nested values are left alone."""
        if not self.camel:
            return shown
        return {_LATER_WORD.sub(lambda word: word[1].upper(), key): value for key, value in shown.items()}

    def bind(
        self, handle: Callable[[EndpointResource, Services, Request], Answer]
    ) -> Callable[[Services, Request], Answer]:
        """Return a route's handler for this kind, with a name of its own."""

        def bound(services: Services, request: Request) -> Answer:
            return handle(self, services, request)

        bound.__name__ = f"{handle.__name__}_of_{self.what.replace(' ', '_')}"
        return bound


WEBHOOKS: Final = EndpointResource(
    what="webhook",
    prefix=WEBHOOK,
    path="/v1/webhooks/{webhookId}",
    id_parameter="webhookId",
    scope=Scope.USER,
    camel=True,
    channel_of=lambda _, request: request.workspace,
)
DESTINATIONS: Final = EndpointResource(
    what="event destination",
    prefix=DESTINATION,
    path=f"{configuration_sets.PATH}/{{configSetId}}/event-destinations/{{destinationId}}",
    id_parameter="destinationId",
    scope=Scope.PARTNER,
    camel=False,
    channel_of=lambda services, request: (
        configuration_sets.find(services, request.workspace, request.path["configSetId"]).id
    ),
)
ENDPOINT_RESOURCES: Final = (WEBHOOKS, DESTINATIONS)
