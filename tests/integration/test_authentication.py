"""API keys, scopes and workspaces decide who may do what."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from posthorn.api.routes.configuration_sets import PATH as SETS
from posthorn.api.routes.event_destinations import PATH as DESTINATIONS
from posthorn.api.routes.table import ROUTES
from posthorn.aws import clients
from posthorn.domain.api_key import PLATFORM, Scope, split
from posthorn.domain.models import Delivery, DeliveryKey, Event, Reason, Status
from posthorn.domain.sender_identity import SenderIdentity
from posthorn.stores.api_keys import ApiKeys
from tests.installation import running
from tests.sample_requests import SINCE, body_for, destination, event_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn.api.route import Route
    from tests.installation import Installation, Reply

PROTECTED = [route for route in ROUTES if route.scope is not None]
OF_A_WORKSPACE = [route for route in PROTECTED if route.scope != PLATFORM]
OPEN = [route for route in ROUTES if route.scope is None]


@pytest.fixture(scope="module")
def posthorn() -> Iterator[Installation]:
    """One installation for the module: every test creates the resources it uses."""
    with running() as installation:
        yield installation


@pytest.fixture(scope="module")
def untouched(posthorn: Installation) -> dict[str, str]:
    """Return the ids of resources that no call of these tests may reach."""
    return _ids(posthorn)


def _call(
    posthorn: Installation, route: Route, key: str, ids: dict[str, str], headers: dict[str, str] | None = None
) -> Reply:
    path = route.path.format_map(ids)
    body = body_for(route, unique=posthorn.new_id())
    return posthorn.call(route.method, path, body, key=key, headers=headers)


def _ids(posthorn: Installation) -> dict[str, str]:
    set_id = posthorn.call("POST", SETS, {"name": posthorn.new_id()}).body["config_set_id"]
    made = posthorn.call("POST", f"{SETS}/{set_id}/event-destinations", destination()).body
    key = posthorn.call("POST", "/v1/api-keys", {"name": "test", "scopes": ["user"]}).body["apiKey"]["id"]
    own = {"name": event_type(posthorn.new_id()), "description": "Something happened"}
    ids = {
        "keyId": key,
        "name": posthorn.call("POST", "/v1/event-types", own).body["eventType"]["name"],
        "webhookId": posthorn.register()["id"],
        "eventId": posthorn.publish(),
        "configSetId": set_id,
        "destinationId": made["destination_id"],
        "workspace": posthorn.workspace,
        "identity": "mail.example.com",
    }
    posthorn.services.senders.store.register(
        SenderIdentity(posthorn.workspace, ids["identity"], created_at=posthorn.clock())
    )
    _deliver(posthorn, ids)
    return ids | {"replayId": _start_replays(posthorn, ids)}


def _deliver(posthorn: Installation, ids: dict[str, str]) -> None:
    """Publish the event on both channels and settle it at both endpoints."""
    event = posthorn.services.events.get(posthorn.workspace, ids["eventId"])
    assert isinstance(event, Event)
    data = '{"eventType":"Send"}'
    of_set = replace(event, channel=ids["configSetId"], type="send", data=data)
    posthorn.services.events.accept([of_set], now_ms=posthorn.clock())
    rows = [
        Delivery(
            key=DeliveryKey(endpoint, event.id),
            channel=channel,
            event_type=event.type,
            status=Status.FAILED,
            attempt=0,
            reason=Reason.ENDPOINT_DISABLED,
        )
        for endpoint, channel in (
            (ids["webhookId"], posthorn.workspace),
            (ids["destinationId"], ids["configSetId"]),
        )
    ]
    posthorn.deliveries.put_all(rows, now_ms=posthorn.clock())


def _reopen(posthorn: Installation, ids: dict[str, str]) -> None:
    """Make an attempt due at both endpoints; it is already if another test did so."""
    for endpoint in (f"/v1/webhooks/{ids['webhookId']}", f"{DESTINATIONS}/{ids['destinationId']}"):
        path = f"{endpoint.format_map(ids)}/deliveries/{ids['eventId']}/replay"
        assert posthorn.call("POST", path).status in {202, 409}


def _start_replays(posthorn: Installation, ids: dict[str, str]) -> str:
    """Start a replay with one id at both endpoints; return the id."""
    path = f"/v1/webhooks/{ids['webhookId']}/replays"
    replay_id: str = posthorn.call("POST", path, {"since": SINCE}).body["replay"]["id"]
    job = posthorn.services.replays.get(ids["webhookId"], replay_id)
    assert job is not None
    posthorn.services.replays.create(
        replace(job, endpoint_id=ids["destinationId"], channel=ids["configSetId"]),
        posthorn.workspace,
        posthorn.services.limits,
    )
    return replay_id


@pytest.mark.parametrize("route", PROTECTED, ids=lambda route: route.operation)
def test_every_invalid_key_gets_the_same_answer(
    posthorn: Installation, untouched: dict[str, str], route: Route
) -> None:
    """Missing, malformed, unknown, mistyped, revoked and expired keys get the identical 401."""
    keys = ApiKeys(clients.client("dynamodb"), posthorn.tables["ConfigTable"])
    revoked = posthorn.new_key(*Scope)
    parts = split(revoked)
    assert parts is not None
    keys.revoke(parts[0], now_ms=posthorn.clock())
    unknown = "phk_000000000000" + revoked[16:-6]
    attempts = {
        "missing": "",
        "malformed": "hello",
        "revoked": revoked,
        "mistyped": posthorn.key[:-1] + ("0" if posthorn.key[-1] != "0" else "1"),
        "unknown": unknown + "000000",
        "cut": posthorn.key[:-1],
        "longer": posthorn.key + "0",
    }

    replies = {name: _call(posthorn, route, key, untouched) for name, key in attempts.items()}
    replies["basic"] = _call(posthorn, route, "", untouched, {"authorization": f"Basic {posthorn.key}"})

    assert {(reply.status, reply.body["code"]) for reply in replies.values()} == {(401, "unauthorized")}
    assert len({repr((reply.body, reply.headers)) for reply in replies.values()}) == 1
    assert replies["missing"].headers["www-authenticate"] == "Bearer"


def test_a_key_with_another_secret_is_refused(posthorn: Installation) -> None:
    """A known key id with another key's secret and a valid checksum is refused."""
    from posthorn.domain.api_key import PREFIX, _checksum

    mine, other = split(posthorn.key), split(posthorn.new_key(*Scope))
    assert mine is not None
    assert other is not None
    forged = PREFIX + mine[0] + other[1]

    assert posthorn.call("GET", "/v1/webhooks", key=forged + _checksum(forged)).status == 401


@pytest.mark.parametrize("route", PROTECTED, ids=lambda route: route.operation)
@pytest.mark.parametrize("scope", Scope)
def test_a_route_takes_its_own_scope_and_no_other(
    posthorn: Installation, untouched: dict[str, str], route: Route, scope: Scope
) -> None:
    """Every route requires exactly one scope, and the error names it."""
    ids = _ids(posthorn) if scope is route.scope else untouched
    if route.path.endswith("/retry-now"):
        _reopen(posthorn, ids)

    reply = _call(posthorn, route, posthorn.new_key(scope), ids)

    if scope is route.scope:
        assert reply.status < 300
    else:
        assert (reply.status, reply.body["code"]) == (403, "insufficient_scope")
        assert f"`{route.scope}`" in reply.body["detail"]


def test_the_scopes_are_those_of_the_published_api() -> None:
    """Webhook routes take `api_user` and `user`, as published, and publishing a scope of its own; mail takes `partner`."""
    assert {route.operation: str(route.scope) for route in PROTECTED} == {
        "GET /v1/webhooks": "api_user",
        "POST /v1/webhooks": "api_user",
        "GET /v1/webhooks/{webhookId}": "user",
        "PUT /v1/webhooks/{webhookId}": "user",
        "DELETE /v1/webhooks/{webhookId}": "user",
        "POST /v1/webhooks/{webhookId}/rotate-token": "user",
        "GET /v1/event-types": "api_user",
        "POST /v1/event-types": "admin",
        "GET /v1/event-types/{name}": "api_user",
        "DELETE /v1/event-types/{name}": "admin",
        "PUT /v1/event-types/{name}": "platform",
        "GET /v1/api-keys": "admin",
        "POST /v1/api-keys": "admin",
        "DELETE /v1/api-keys/{keyId}": "admin",
        "POST /v1/events": "publish",
        "GET /v1/events": "user",
        "DELETE /v1/events/{eventId}/data": "admin",
        "GET /v1/events/{eventId}": "user",
        "GET /v1/events/{eventId}/match": "user",
        "GET /v1/webhooks/{webhookId}/deliveries": "user",
        "GET /v1/webhooks/{webhookId}/deliveries/{eventId}": "user",
        "POST /v1/webhooks/{webhookId}/deliveries/{eventId}/replay": "user",
        "POST /v1/webhooks/{webhookId}/deliveries/{eventId}/retry-now": "user",
        "POST /v1/webhooks/{webhookId}/test": "user",
        "GET /v1/webhooks/{webhookId}/replays": "user",
        "POST /v1/webhooks/{webhookId}/replays": "user",
        "GET /v1/webhooks/{webhookId}/replays/{replayId}": "user",
        "POST /v1/webhooks/{webhookId}/replays/{replayId}/cancel": "user",
        "GET /v1/workspaces": "platform",
        "PUT /v1/workspaces/{workspace}": "platform",
        "GET /v1/workspaces/{workspace}": "platform",
        "PATCH /v1/workspaces/{workspace}": "platform",
        "DELETE /v1/workspaces/{workspace}": "platform",
        "GET /v1/workspaces/{workspace}/purge": "platform",
        "GET /v1/workspaces/{workspace}/sender-identities": "platform",
        "POST /v1/workspaces/{workspace}/sender-identities": "platform",
        "GET /v1/workspaces/{workspace}/sender-identities/{identity}": "platform",
        "DELETE /v1/workspaces/{workspace}/sender-identities/{identity}": "platform",
        **{
            route.operation: "partner"
            for route in PROTECTED
            if route.path.startswith("/api/v1/partner/email/")
        },
    }
    assert sum(route.scope is Scope.PARTNER for route in PROTECTED) == 20


@pytest.mark.parametrize(
    "route", [route for route in OF_A_WORKSPACE if "{" in route.path], ids=lambda route: route.operation
)
def test_resources_of_other_workspaces_are_not_found(posthorn: Installation, route: Route) -> None:
    """Foreign, unknown and malformed ids get the identical 404, and the foreign resource is unchanged."""
    ids = _ids(posthorn)
    _, other = posthorn.new_workspace()
    unknown = {name: text[:-3] + "000" for name, text in ids.items()}
    swapped = dict(zip(ids, [*list(ids.values())[1:], ids["webhookId"]], strict=True))
    nonsense = dict.fromkeys(ids, "..%255C..")  # API Gateway decodes what is encoded once
    before = _mine(posthorn, ids)

    replies = [
        _call(posthorn, route, other, ids),
        _call(posthorn, route, posthorn.key, unknown),
        _call(posthorn, route, posthorn.key, swapped),
        _call(posthorn, route, posthorn.key, nonsense),
    ]

    assert {(reply.status, reply.body["code"]) for reply in replies} == {(404, "not_found")}
    assert len({repr((reply.body, reply.headers)) for reply in replies}) == 1
    assert _mine(posthorn, ids) == before


@pytest.mark.parametrize(
    "route",
    [route for route in PROTECTED if "/deliveries/{eventId}" in route.path],
    ids=lambda route: route.operation,
)
def test_a_delivery_of_others_does_not_exist(posthorn: Installation, route: Route) -> None:
    """At one's own endpoint, foreign and unknown events get the identical 404."""
    ids = _ids(posthorn)
    _, other = posthorn.new_workspace()
    foreign = posthorn.call("POST", "/v1/events", {"event": "CONTACT_CREATED", "data": {}}, key=other)

    replies = [
        _call(posthorn, route, posthorn.key, {**ids, "eventId": event_id})
        for event_id in (foreign.body["event"]["id"], ids["eventId"][:-3] + "000", "nonsense")
    ]

    assert {(reply.status, reply.body["code"]) for reply in replies} == {(404, "not_found")}
    assert len({repr((reply.body, reply.headers)) for reply in replies}) == 1


def test_a_destination_is_found_under_its_own_set_only(posthorn: Installation) -> None:
    """Two sets of one workspace do not see each other's destinations."""
    ids = _ids(posthorn)
    other = posthorn.call("POST", SETS, {"name": posthorn.new_id()}).body["config_set_id"]
    path = DESTINATIONS.format(configSetId=other)

    assert posthorn.call("GET", path).body == {"event_destinations": []}
    for method, body in (("GET", None), ("PATCH", {"name": "changed"}), ("DELETE", None)):
        assert posthorn.call(method, f"{path}/{ids['destinationId']}", body).status == 404


def _mine(posthorn: Installation, ids: dict[str, str]) -> list[Any]:
    """Return everything that another workspace might have changed."""
    paths = [
        "/v1/webhooks/{webhookId}",
        "/v1/event-types/{name}",
        "/v1/api-keys",
        f"{SETS}/{{configSetId}}",
        f"{DESTINATIONS}/{{destinationId}}",
        "/v1/events",
        "/v1/webhooks/{webhookId}/deliveries",
        "/v1/webhooks/{webhookId}/replays",
        f"{DESTINATIONS}/{{destinationId}}/deliveries",
        f"{DESTINATIONS}/{{destinationId}}/replays",
    ]
    return [posthorn.call("GET", path.format_map(ids)).body for path in paths]


def test_a_list_shows_only_ones_own(posthorn: Installation) -> None:
    """Each workspace lists its own webhooks only."""
    keys = [posthorn.new_workspace()[1] for _ in range(2)]
    made = [
        posthorn.call(
            "POST", "/v1/webhooks", {"url": f"https://h{n}.example.com/", "events": ["*"]}, key=key
        ).body["webhook"]["id"]
        for n, key in enumerate(keys)
    ]

    listed = [posthorn.call("GET", "/v1/webhooks", key=key).body["webhooks"] for key in keys]

    assert [[webhook["id"] for webhook in webhooks] for webhooks in listed] == [[one] for one in made]


def test_a_revoked_key_stops_working_within_half_a_minute(posthorn: Installation) -> None:
    """Keys are cached for 30 seconds at most, so a revoked key stops working by then."""
    key = posthorn.new_key(Scope.API_USER)
    parts = split(key)
    assert parts is not None
    assert posthorn.call("GET", "/v1/webhooks", key=key).status == 200
    ApiKeys(clients.client("dynamodb"), posthorn.tables["ConfigTable"]).revoke(
        parts[0], now_ms=posthorn.clock()
    )

    posthorn.clock.pass_seconds(30)

    assert posthorn.call("GET", "/v1/webhooks", key=key).status == 401


def test_an_expired_key_stops_working_at_once(posthorn: Installation) -> None:
    """An expiring key works until then and not a moment longer, cached or not."""
    key = posthorn.new_key(Scope.API_USER)
    parts = split(key)
    assert parts is not None
    clients.client("dynamodb").update_item(
        TableName=posthorn.tables["ConfigTable"],
        Key={"pk": {"S": f"key#{parts[0]}"}, "sk": {"S": "key"}},
        UpdateExpression="SET valid_until = :end",
        ExpressionAttributeValues={":end": {"N": str(posthorn.clock() + 5000)}},
    )

    before = posthorn.call("GET", "/v1/webhooks", key=key).status
    posthorn.clock.pass_seconds(5)
    after = posthorn.call("GET", "/v1/webhooks", key=key).status

    assert (before, after) == (200, 401)


def test_no_key_is_stored(posthorn: Installation) -> None:
    """The table holds a hash of the key's secret part, never the secret itself."""
    parts = split(posthorn.key)
    assert parts is not None

    rows = repr(clients.client("dynamodb").scan(TableName=posthorn.tables["ConfigTable"])["Items"])

    assert parts[0] in rows
    assert parts[1] not in rows


@pytest.mark.parametrize("route", OPEN, ids=lambda route: route.operation)
def test_open_routes_need_no_key(posthorn: Installation, route: Route) -> None:
    """Health and the OpenAPI document need no key."""
    assert posthorn.call(route.method, route.path, key="").status == 200


def test_the_page_is_a_page_and_runs_nothing(posthorn: Installation) -> None:
    """A browser shows `/docs` as HTML, and its content security policy blocks all scripts and requests."""
    reply = posthorn.call("GET", "/docs", key="")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.body.startswith("<!doctype html>")
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
