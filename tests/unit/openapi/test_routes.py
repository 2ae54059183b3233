"""The description of each route: its scope, its answers, and what it takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from posthorn.api.access import HEADER
from posthorn.api.routes.table import ROUTES
from posthorn.domain.api_key import PLATFORM, Scope
from tests.unit.openapi.description import component, document

if TYPE_CHECKING:
    from posthorn.api.route import Route

EACH_ROUTE: Final = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)


def operation_of(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = document()["paths"][route.path][route.method.lower()]
    return found


def test_all_routes_are_described_and_no_others() -> None:
    """Whatever can be called can be read about, and the other way round."""
    described = {(method.upper(), path) for path, item in document()["paths"].items() for method in item}
    assert described == {(route.method, route.path) for route in ROUTES}


@EACH_ROUTE
def test_a_route_is_described_with_its_scope(route: Route) -> None:
    """Who reads the description knows which key a call needs, or that it needs none."""
    operation = operation_of(route)
    if route.scope is None:
        assert operation["security"] == []
    else:
        assert "security" not in operation  # that of the whole document holds
        assert document()["security"] == [{"apiKey": []}]
        named = {scope for scope in (*Scope, PLATFORM) if f"the scope `{scope}`" in operation["description"]}
        assert named == {route.scope}


@EACH_ROUTE
def test_a_route_with_a_key_can_answer_401_403_500_and_503(route: Route) -> None:
    """The errors that any caller may meet are described as problem documents."""
    if route.scope is not None:
        for status in ("401", "403", "500", "503"):
            content = operation_of(route)["responses"][status]["content"]
            assert content == {"application/problem+json": {"schema": component("Problem")}}


@EACH_ROUTE
def test_a_route_tells_an_operators_error_from_an_outage(route: Route) -> None:
    """500 names its code and asks for no retry; 503 does."""
    if route.scope is not None:
        responses = operation_of(route)["responses"]
        assert "`operator_error`" in responses["500"]["description"]
        assert "headers" not in responses["500"]
        assert "Retry" in responses["503"]["description"]


@EACH_ROUTE
def test_a_route_has_exactly_one_success(route: Route) -> None:
    """One shape, in JSON but for the one page that is for people, and one status, or two if it creates or changes."""
    successes = {
        status: answer for status, answer in operation_of(route)["responses"].items() if status[0] == "2"
    }
    assert list(successes) == (["200", "201"] if route.is_upsert else [str(route.status)])
    (content,) = {json.dumps(answer["content"]) for answer in successes.values()}
    assert list(json.loads(content)) == ["text/html" if route.path == "/docs" else "application/json"]


@EACH_ROUTE
def test_a_route_of_a_workspace_takes_the_header_of_platform_keys(route: Route) -> None:
    """Routes of the installation do not have it, and neither have those without a key."""
    named = {one["name"] for one in operation_of(route)["parameters"] if one["in"] == "header"}
    assert (HEADER in named) == isinstance(route.scope, Scope)


@EACH_ROUTE
def test_a_route_says_when_to_try_again(route: Route) -> None:
    """Any request can be throttled, and any that needs the tables can find them unavailable."""
    statuses = ("429",) if route.scope is None else ("429", "503")
    for status in statuses:
        assert operation_of(route)["responses"][status]["headers"]["Retry-After"]["schema"]["minimum"] == 0


@EACH_ROUTE
def test_a_post_takes_an_idempotency_key(route: Route) -> None:
    """What creates can be repeated safely, and says so."""
    named = {one["name"] for one in operation_of(route)["parameters"]}
    assert ("Idempotency-Key" in named) == (route.method == "POST")


@EACH_ROUTE
def test_a_route_with_a_body_describes_it(route: Route) -> None:
    """The body is required, is JSON, and is the model that the route checks it with."""
    operation = operation_of(route)
    if route.body is None:
        assert "requestBody" not in operation
        return
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert operation["requestBody"]["required"] is not route.is_body_optional
    assert component(route.body.__name__) in schema.get("oneOf", [schema])
