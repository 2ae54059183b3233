"""The API against its own description, request by request, as Schemathesis thinks them up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from posthorn.api.routes.configuration_sets import PATH as SETS
from posthorn.api.routes.event_destinations import PATH as DESTINATIONS
from posthorn.api.routes.table import ROUTES
from tests.gateway import application
from tests.installation import running
from tests.network import answers
from tests.sample_requests import SINCE, destination

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import DataObject
    from schemathesis import BaseSchema

    from posthorn.api.route import Route
    from tests.installation import Installation

load_all_checks()

# Left out for a reason: data that fits the description may still name what is not there, or a host that may not be
# sent to.
LEFT_OUT = [CHECKS.get_one("positive_data_acceptance")]


@pytest.fixture(scope="module")
def posthorn() -> Iterator[Installation]:
    with running() as installation:
        yield installation


@pytest.fixture(scope="module")
def description(posthorn: Installation) -> BaseSchema:
    """Return the description that the running API gives of itself."""
    return schemathesis.openapi.from_wsgi("/openapi.json", application(posthorn))


@pytest.fixture(scope="module")
def ids(posthorn: Installation) -> dict[str, str]:
    """Return an id of something that is there, for every parameter of a path."""
    set_id = posthorn.call("POST", SETS, {"name": "described"}).body["config_set_id"]
    made = posthorn.call("POST", DESTINATIONS.format(configSetId=set_id), destination()).body
    webhook, event_id = posthorn.register()["id"], posthorn.publish()
    posthorn.network.receivers["hooks.example.com"] = answers(500)
    posthorn.dispatch()
    replay = posthorn.call("POST", f"/v1/webhooks/{webhook}/replays", {"since": SINCE}).body["replay"]["id"]
    posthorn.call("POST", "/v1/event-types", {"name": "DESCRIBED", "description": "An own type"})
    return {
        "webhookId": webhook,
        "eventId": event_id,
        "replayId": replay,
        "name": "DESCRIBED",
        "configSetId": set_id,
        "destinationId": made["destination_id"],
    }


@pytest.mark.parametrize(
    ("route", "mode"),
    [
        pytest.param(route, mode, id=f"{route.operation} {mode.value}")
        for route in ROUTES
        for mode in GenerationMode
        if mode is GenerationMode.POSITIVE
        or route.scope is not None  # what is open takes no input to be wrong
    ],
)
def test_the_api_does_what_it_says(
    posthorn: Installation,
    description: BaseSchema,
    ids: dict[str, str],
    route: Route,
    mode: GenerationMode,
) -> None:
    """No answer is a server error, each has a status and a shape that are described, and none comes without a key."""
    operation = description[route.path][route.method]

    @given(data=st.data(), known=st.booleans())
    @settings(
        max_examples=12,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    def holds(data: DataObject, known: bool) -> None:
        case: Any = data.draw(operation.as_strategy(generation_mode=mode))
        if known:
            case.path_parameters = {name: ids.get(name, text) for name, text in case.path_parameters.items()}
        case.call_and_validate(headers={"Authorization": f"Bearer {posthorn.key}"}, excluded_checks=LEFT_OUT)

    holds()
