"""The limits in the body of a request that creates or changes a workspace."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from posthorn.api import bodies
from posthorn.domain.workspace_limits import MOST, NONE

Limit = Annotated[int, Field(ge=NONE, le=MOST)]


class LimitChange(bodies.Body):
    """The limits of one workspace; 0 is none. Absent ones are those of the installation."""

    endpoints: Limit = Field(
        default=NONE, description="Webhooks and event destinations, disabled ones included."
    )
    endpoints_per_host: Limit = Field(
        default=NONE, alias="endpointsPerHost", description="Endpoints whose URLs have the same host."
    )
    configuration_sets: Limit = Field(
        default=NONE, alias="configurationSets", description="Configuration sets."
    )
    events_per_second: Limit = Field(
        default=NONE,
        alias="eventsPerSecond",
        description="Events published per second. Unused seconds are kept, up to ten, and at least 100 events.",
    )
    deliveries_per_request: Limit = Field(
        default=NONE,
        alias="deliveriesPerRequest",
        description="Events of one request times endpoints of the workspace. A single event is always accepted.",
    )
    replays: Limit = Field(default=NONE, description="Bulk replays that are running or queued.")
    replays_per_endpoint: Limit = Field(
        default=NONE,
        alias="replaysPerEndpoint",
        description="Bulk replays of one endpoint that are running or queued, without dry runs.",
    )
    test_sends_per_minute: Limit = Field(
        default=NONE, alias="testSendsPerMinute", description="Test events per minute."
    )

    @property
    def given(self) -> dict[str, int]:
        """The limits that the request has, by their names."""
        return self.model_dump(by_alias=True, exclude_unset=True)
