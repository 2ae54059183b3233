"""Platform keys act on the workspace that the header names, and on no other; other keys act on their own only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from posthorn.api.access import HEADER
from posthorn.api.routes.event_types import PATH as EVENT_TYPES
from posthorn.api.routes.table import ROUTES
from posthorn.api.routes.workspaces import PATH
from posthorn.aws import clients
from posthorn.domain.api_key import PLATFORM, Scope
from tests.installation import running
from tests.integration.test_authentication import OF_A_WORKSPACE, _call, _ids, _mine, _reopen
from tests.sample_requests import event_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn.api.route import Route
    from tests.installation import Installation

OF_THE_PLATFORM = [route for route in ROUTES if route.scope == PLATFORM]
PUBLISHING = [route for route in OF_A_WORKSPACE if route.needs_active_workspace]

EACH = pytest.mark.parametrize("route", OF_A_WORKSPACE, ids=lambda route: route.operation)
UNKNOWN = "wksp_01GY5BVC309NNKZNNKZNNKZNNK"


@pytest.fixture(scope="module")
def posthorn() -> Iterator[Installation]:
    """One installation for the module: every test creates the resources it uses."""
    with running() as installation:
        yield installation


@pytest.fixture(scope="module")
def platform(posthorn: Installation) -> str:
    return posthorn.new_platform_key()


@pytest.fixture(scope="module")
def untouched(posthorn: Installation) -> dict[str, str]:
    """Return the ids of resources that no call of these tests may reach."""
    return _ids(posthorn)


def state_of(posthorn: Installation, route: Route, ids: dict[str, str]) -> list[Any]:
    """Return everything that a route might have changed."""
    return [] if route.method == "GET" else _mine(posthorn, ids)


def uid_of(posthorn: Installation, platform: str, workspace: str) -> str:
    uid: str = posthorn.call("GET", f"{PATH}/{workspace}", key=platform).body["workspace"]["uid"]
    return uid


def suspend(posthorn: Installation, platform: str, workspace: str) -> None:
    reply = posthorn.call("PATCH", f"{PATH}/{workspace}", {"status": "suspended"}, key=platform)
    assert reply.status == 200


@pytest.fixture(scope="module")
def suspended(posthorn: Installation, platform: str) -> tuple[str, dict[str, str]]:
    """Return the key of a suspended workspace, and the ids of its resources."""
    workspace, own = posthorn.new_workspace()
    with mock.patch.object(posthorn, "workspace", workspace), mock.patch.object(posthorn, "key", own):
        ids = _ids(posthorn)
    suspend(posthorn, platform, workspace)
    return own, ids


@EACH
@pytest.mark.parametrize("kind", ["platform", "own"])
def test_every_route_acts_on_the_workspace_that_the_header_names(
    posthorn: Installation, platform: str, untouched: dict[str, str], route: Route, kind: str
) -> None:
    """A platform key has every scope there; a key of that workspace needs no header, and may send it."""
    ids = untouched if route.method == "GET" else _ids(posthorn)
    if route.path.endswith("/retry-now"):
        _reopen(posthorn, ids)
    name = uid_of(posthorn, platform, posthorn.workspace)
    key = platform if kind == "platform" else posthorn.new_key(str(route.scope))

    assert _call(posthorn, route, key, ids, {HEADER: name}).status < 300


@pytest.mark.parametrize("kind", ["platform", "own"])
def test_the_id_and_the_uid_name_the_same_workspace(posthorn: Installation, platform: str, kind: str) -> None:
    """Both answers are those of the workspace's own key."""
    key = platform if kind == "platform" else posthorn.key
    expected = posthorn.call("GET", "/v1/webhooks").body
    for name in (posthorn.workspace, uid_of(posthorn, platform, posthorn.workspace)):
        assert posthorn.call("GET", "/v1/webhooks", key=key, headers={HEADER: name}).body == expected


def test_the_header_gives_a_key_of_a_workspace_no_scope(posthorn: Installation) -> None:
    """It keeps its own."""
    key = posthorn.new_key("api_user")
    reply = posthorn.call("GET", "/v1/api-keys", key=key, headers={HEADER: posthorn.workspace})
    assert (reply.status, reply.body["code"]) == (403, "insufficient_scope")


@pytest.mark.parametrize(
    "route",
    [route for route in OF_A_WORKSPACE if not route.path.startswith(EVENT_TYPES)],
    ids=lambda route: route.operation,
)
def test_a_platform_key_without_the_header_is_told_so(
    posthorn: Installation, platform: str, untouched: dict[str, str], route: Route
) -> None:
    """No route of a workspace guesses one."""
    reply = _call(posthorn, route, platform, untouched)

    assert (reply.status, reply.body["code"]) == (400, "workspace_required")
    assert HEADER in reply.body["detail"]


@EACH
def test_a_header_that_names_no_reachable_workspace_gets_one_answer(
    posthorn: Installation, platform: str, untouched: dict[str, str], route: Route
) -> None:
    """Unknown ones, and for a workspace's own key all others: the identical 404, by id and by uid."""
    other, _ = posthorn.new_workspace()
    foreign = [other, uid_of(posthorn, platform, other)]
    own = posthorn.new_key(*Scope)
    posthorn.call("GET", "/v1/webhooks", key=own)  # so that the use of this key is on record
    before = state_of(posthorn, route, untouched)

    replies = [
        *(_call(posthorn, route, platform, untouched, {HEADER: name}) for name in (UNKNOWN, "nobody")),
        *(_call(posthorn, route, own, untouched, {HEADER: name}) for name in (*foreign, UNKNOWN, "nobody")),
    ]

    assert {(reply.status, reply.body["code"], reply.body["detail"]) for reply in replies} == {
        (404, "not_found", "No such workspace.")
    }
    assert len({repr((reply.body, reply.headers)) for reply in replies}) == 1
    assert state_of(posthorn, route, untouched) == before


@pytest.mark.parametrize("text", ["", " ", "a b", "a,b", "wksp_1, wksp_2", "x" * 129, "é", "a\n"])
@pytest.mark.parametrize("kind", ["platform", "own"])
def test_a_malformed_header_is_refused(posthorn: Installation, platform: str, kind: str, text: str) -> None:
    """API Gateway joins a header that was sent twice with a comma, which no name has."""
    key = platform if kind == "platform" else posthorn.key

    reply = posthorn.call("GET", "/v1/webhooks", key=key, headers={HEADER: text})

    assert (reply.status, reply.body["code"]) == (400, "invalid_workspace")
    assert "once" in reply.body["detail"]


@pytest.mark.parametrize("name", ["posthorn-workspace", "POSTHORN-WORKSPACE"])
def test_the_case_of_the_header_does_not_matter(posthorn: Installation, platform: str, name: str) -> None:
    """HTTP/2 has it in lower case."""
    assert (
        posthorn.call("GET", "/v1/webhooks", key=platform, headers={name: posthorn.workspace}).status == 200
    )


@pytest.mark.parametrize(
    "route", [route for route in OF_A_WORKSPACE if "{" in route.path], ids=lambda route: route.operation
)
def test_a_platform_key_sees_only_the_workspace_it_names(
    posthorn: Installation, platform: str, untouched: dict[str, str], route: Route
) -> None:
    """Ids of another workspace and unknown ids get the identical 404, though the key could reach both workspaces."""
    other, _ = posthorn.new_workspace()
    unknown = {name: text[:-3] + "000" for name, text in untouched.items()}
    before = state_of(posthorn, route, untouched)

    replies = [
        _call(posthorn, route, platform, untouched, {HEADER: other}),
        _call(posthorn, route, platform, unknown, {HEADER: posthorn.workspace}),
    ]

    assert {(reply.status, reply.body["code"]) for reply in replies} == {(404, "not_found")}
    assert len({repr((reply.body, reply.headers)) for reply in replies}) == 1
    assert state_of(posthorn, route, untouched) == before


@pytest.mark.parametrize("route", OF_THE_PLATFORM, ids=lambda route: route.operation)
def test_a_route_of_the_platform_takes_a_platform_key_without_the_header(
    posthorn: Installation, platform: str, untouched: dict[str, str], route: Route
) -> None:
    """There the header would mean nothing, so it is refused instead of ignored; keys of workspaces lack the scope."""
    new = posthorn.new_id()
    ids = untouched if route.method != "PUT" else {"workspace": new, "name": event_type(new)}
    if route.path.endswith("/purge") or route.operation == f"DELETE {PATH}/{{workspace}}":
        ids = {"workspace": posthorn.new_workspace()[0]}  # the others still need theirs
    if route.path.endswith("/purge"):
        posthorn.call("DELETE", f"/v1/workspaces/{ids['workspace']}", key=platform)
    refused = _call(posthorn, route, platform, ids, {HEADER: posthorn.workspace})
    lacking = _call(posthorn, route, posthorn.new_key(*Scope), ids)

    assert (refused.status, refused.body["code"]) == (400, "unexpected_workspace")
    assert (lacking.status, lacking.body["code"]) == (403, "insufficient_scope")
    assert "`platform`" in lacking.body["detail"]
    assert _call(posthorn, route, platform, ids).status < 300


@pytest.mark.parametrize("scopes", [["platform"], ["admin", "platform"]])
def test_no_key_over_the_api_is_a_platform_key(
    posthorn: Installation, platform: str, scopes: list[str]
) -> None:
    """Neither an admin key nor a platform key can grant the scope."""
    for key, headers in ((posthorn.key, {}), (platform, {HEADER: posthorn.workspace})):
        reply = posthorn.call(
            "POST", "/v1/api-keys", {"name": "x", "scopes": scopes}, key=key, headers=headers
        )
        assert (reply.status, reply.body["code"]) == (422, "invalid_input")
        assert [error["pointer"] for error in reply.body["errors"]] == [f"/scopes/{len(scopes) - 1}"]


def test_a_platform_key_makes_keys_of_the_workspace_it_names(posthorn: Installation, platform: str) -> None:
    """Such a key belongs to that workspace, lists there, and reaches nothing else."""
    workspace, own = posthorn.new_workspace()
    body = {"name": "made", "scopes": list(Scope)}
    made = posthorn.call("POST", "/v1/api-keys", body, key=platform, headers={HEADER: workspace}).body[
        "apiKey"
    ]

    in_list = posthorn.call("GET", "/v1/api-keys", key=own).body["apiKeys"]
    elsewhere = posthorn.call("GET", "/v1/webhooks", key=made["key"], headers={HEADER: posthorn.workspace})
    ruling = posthorn.call("GET", PATH, key=made["key"])

    assert made["id"] in [one["id"] for one in in_list]
    assert posthorn.call("GET", "/v1/webhooks", key=made["key"]).status == 200
    assert (elsewhere.status, ruling.status) == (404, 403)


def test_a_platform_key_is_no_key_of_a_workspace(posthorn: Installation, platform: str) -> None:
    """It is not in the list of any workspace, and none can revoke it."""
    listed = posthorn.call("GET", "/v1/api-keys").body["apiKeys"]
    for key, headers in ((posthorn.key, {}), (platform, {HEADER: posthorn.workspace})):
        reply = posthorn.call("DELETE", f"/v1/api-keys/{platform[4:16]}", key=key, headers=headers)
        assert (reply.status, reply.body["code"]) == (404, "not_found")

    assert platform[4:16] not in [one["id"] for one in listed]
    assert posthorn.call("GET", PATH, key=platform).status == 200


def test_a_workspace_key_named_platform_rules_nothing(posthorn: Installation) -> None:
    """A scope in the row of a workspace's key grants nothing outside it, whoever wrote it there."""
    key = posthorn.new_key("user")
    clients.client("dynamodb").update_item(
        TableName=posthorn.tables["ConfigTable"],
        Key={"pk": {"S": f"key#{key[4:16]}"}, "sk": {"S": "key"}},
        UpdateExpression="SET scopes = :all",
        ExpressionAttributeValues={":all": {"L": [{"S": scope} for scope in (*Scope, PLATFORM)]}},
    )
    assert posthorn.call("GET", "/v1/webhooks", key=key).status == 200
    assert posthorn.call("GET", PATH, key=key).status == 403


def test_cursors_are_bound_to_the_workspace_that_is_acted_on(posthorn: Installation, platform: str) -> None:
    """The cursor of one workspace is refused in another, and works with that workspace's own key."""
    one, own = posthorn.new_workspace()
    other, _ = posthorn.new_workspace()
    for workspace in (one, other):
        for number in range(2):
            body = {"url": f"https://h{number}.example.com/", "events": ["*"]}
            assert (
                posthorn.call("POST", "/v1/webhooks", body, key=platform, headers={HEADER: workspace}).status
                == 201
            )
    first = posthorn.call("GET", "/v1/webhooks?limit=1", key=platform, headers={HEADER: one}).body
    path = f"/v1/webhooks?limit=1&cursor={first['nextCursor']}"

    refused = posthorn.call("GET", path, key=platform, headers={HEADER: other})

    assert (refused.status, refused.body["code"]) == (400, "invalid_cursor")
    by_uid = posthorn.call("GET", path, key=platform, headers={HEADER: uid_of(posthorn, platform, one)})
    assert by_uid.status == 200
    assert by_uid.body == posthorn.call("GET", path, key=own).body


def test_idempotency_keys_are_bound_to_the_workspace_that_is_acted_on(
    posthorn: Installation, platform: str
) -> None:
    """The same key in two workspaces is two requests; in one workspace it is one, with any of its keys."""
    (one, own), (other, _) = posthorn.new_workspace(), posthorn.new_workspace()
    event = {"event": "CONTACT_CREATED", "data": {}}

    def publish(key: str, **headers: str) -> str:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        reply = posthorn.call(
            "POST", "/v1/events", event, key=key, headers={"idempotency-key": "once", **named}
        )
        event_id: str = reply.body["event"]["id"]
        return event_id

    first = publish(platform, posthorn_workspace=one)

    assert publish(platform, posthorn_workspace=uid_of(posthorn, platform, one)) == first
    assert publish(own) == first
    assert publish(platform, posthorn_workspace=other) != first


@pytest.mark.parametrize("route", PUBLISHING, ids=lambda route: route.operation)
@pytest.mark.parametrize("kind", ["platform", "own"])
def test_a_suspended_workspace_publishes_nothing_and_sends_no_mail(
    posthorn: Installation, platform: str, route: Route, kind: str
) -> None:
    """The answer says why, and nothing is accepted; when it is active again, the same request succeeds."""
    workspace, own = posthorn.new_workspace()
    key = own if kind == "own" else platform
    with mock.patch.object(posthorn, "workspace", workspace), mock.patch.object(posthorn, "key", own):
        ids = _ids(posthorn)
    headers = {} if kind == "own" else {HEADER: workspace}
    suspend(posthorn, platform, workspace)
    posthorn.stream()
    posthorn.take("FeedbackQueue")

    refused = _call(posthorn, route, key, ids, headers)

    assert (refused.status, refused.body["code"]) == (403, "workspace_suspended")
    assert "suspended" in refused.body["detail"]
    assert posthorn.stream() == []
    assert posthorn.waiting("FeedbackQueue") == []
    posthorn.call("PATCH", f"{PATH}/{workspace}", {"status": "active"}, key=platform)
    assert _call(posthorn, route, key, ids, headers).status < 300


def test_the_routes_that_a_suspended_workspace_may_not_use_are_these() -> None:
    """Whatever makes an event or a mail; all else keeps working."""
    assert {route.operation for route in PUBLISHING} == {
        "POST /v1/events",
        "POST /v1/webhooks/{webhookId}/test",
        "POST /api/v1/partner/email/configuration-sets/{configSetId}/event-destinations/{destinationId}/test",
        "POST /api/v1/partner/email/send",
    }


@pytest.mark.parametrize(
    "route",
    [route for route in OF_A_WORKSPACE if route.method == "GET"],
    ids=lambda route: route.operation,
)
def test_a_suspended_workspace_can_be_read(
    posthorn: Installation, suspended: tuple[str, dict[str, str]], route: Route
) -> None:
    """Its customers see their webhooks and what became of their events."""
    key, ids = suspended
    assert _call(posthorn, route, key, ids).status == 200


def test_a_new_status_takes_effect_within_half_a_minute(posthorn: Installation, platform: str) -> None:
    """A process that has cached the workspace goes on with its old status until then."""
    workspace, own = posthorn.new_workspace()
    event = {"event": "CONTACT_CREATED", "data": {}}
    assert posthorn.call("POST", "/v1/events", event, key=own).status == 202
    store = posthorn.services.workspaces.store
    old = store.get(workspace)
    assert old is not None
    with mock.patch.object(posthorn.services.workspaces, "forget"):  # as if another process had changed it
        suspend(posthorn, platform, workspace)

    cached = posthorn.call("POST", "/v1/events", event, key=own).status
    posthorn.clock.pass_seconds(30)
    fresh = posthorn.call("POST", "/v1/events", event, key=own).status

    assert (cached, fresh) == (202, 403)


@pytest.mark.parametrize("kind", ["platform by id", "platform by uid", "own"])
def test_a_warm_publish_costs_one_call(
    posthorn: Installation, platform: str, calls: list[str], kind: str
) -> None:
    """The key and the workspace are looked up once in 30 seconds and process; then a publish is its one write."""
    workspace, own = posthorn.new_workspace()
    uid = uid_of(posthorn, platform, workspace)
    key = own if kind == "own" else platform
    headers = {"own": {}, "platform by id": {HEADER: workspace}, "platform by uid": {HEADER: uid}}[kind]
    event = {"event": "CONTACT_CREATED", "data": {}}
    posthorn.call(
        "GET", "/v1/webhooks", key=key, headers={HEADER: posthorn.workspace}
    )  # notes the use of the key
    posthorn.clock.pass_seconds(30)
    calls.clear()

    for _ in range(3):
        assert posthorn.call("POST", "/v1/events", event, key=key, headers=headers).status == 202

    assert calls == ["GetItem", "BatchGetItem", "PutItem", "PutItem", "PutItem"]


def test_a_key_whose_workspace_is_gone_publishes_nothing(posthorn: Installation) -> None:
    """A key that outlives the row of its workspace gets the answer for an unknown one."""
    key = posthorn.new_key(*Scope, workspace=UNKNOWN)
    reply = posthorn.call("POST", "/v1/events", {"event": "CONTACT_CREATED", "data": {}}, key=key)
    assert (reply.status, reply.body["code"]) == (404, "not_found")
