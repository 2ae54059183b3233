"""The two kinds of endpoints: webhooks of a workspace, and event destinations of a configuration set.

Routes that both kinds have are written once. They build answers with keys in snake_case, and `EndpointResource.write`
converts the keys to the spelling of the kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, cast

from posthorn.api.routes import configuration_sets, endpoints
from posthorn.api.spelling import camel_case
from posthorn.domain.api_key import Scope
from posthorn.domain.ids import DESTINATION, WEBHOOK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from posthorn.api.http import Answer, Request
    from posthorn.api.services import Services
    from posthorn.domain.models import Endpoint


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

    def write[T: Mapping[str, Any]](self, shown: T) -> T:
        """Return a dict with its own keys as this kind spells them; what is inside its values stays.

        To the type checker it keeps its shape, which is written once for both kinds (`answers.fields.spelled_by_kind`).
        """
        if not self.camel:
            return shown
        return cast("T", {camel_case(key): value for key, value in shown.items()})

    def bind[T](
        self, handle: Callable[[EndpointResource, Services, Request], Answer[T]]
    ) -> Callable[[Services, Request], Answer[T]]:
        """Return a route's handler for this kind, with a name of its own."""

        @wraps(handle)
        def bound(services: Services, request: Request) -> Answer[T]:
            return handle(self, services, request)

        verb, _, rest = handle.__name__.partition("_")
        bound.__name__ = f"{verb}_{self.what.replace(' ', '_')}_{rest}"
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
