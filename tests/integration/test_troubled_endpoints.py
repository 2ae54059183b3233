"""`GET /v1/webhooks?health=`: endpoints that fail or are disabled, of a workspace, and for the platform of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import pytest

from posthorn.api.access import HEADER
from posthorn.aws import clients
from posthorn.domain.api_key import Scope
from posthorn.domain.health_policy import FAILURES_IN_A_ROW, MIN_SLOW_MS
from posthorn.domain.models import DisabledReason, Failure, Health
from posthorn.domain.trouble import trouble_of
from posthorn.stores.tables import TROUBLE, TROUBLE_SINCE
from tests.configuration_sets import SETS, new_destination, new_set
from tests.integration.test_health import endpoint_of, run
from tests.network import answers, fails

if TYPE_CHECKING:
    from tests.installation import Installation, Reply

PATH: Final = "/v1/webhooks"


@pytest.fixture
def platform(posthorn: Installation) -> str:
    return posthorn.new_platform_key()


def of_all(posthorn: Installation, platform: str, query: str = "health=failing") -> list[dict[str, Any]]:
    """Return the whole list of all workspaces, page by page, each of which is full but the last."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        reply = posthorn.call("GET", f"{PATH}?{query}{cursor}", key=platform)
        assert (reply.status, reply.body["webhooks"]) == (200, [])
        found += reply.body["endpoints"]
        if "nextCursor" not in reply.body:
            return found
        cursor = f"&cursor={quote(reply.body['nextCursor'])}"


def of_mine(posthorn: Installation, query: str, **options: Any) -> list[str]:
    reply = posthorn.call("GET", f"{PATH}?{query}", **options)
    assert reply.status == 200
    assert "endpoints" not in reply.body
    return [webhook["id"] for webhook in reply.body["webhooks"]]


def indexed(posthorn: Installation) -> dict[str, tuple[str, str]]:
    """Return what the index holds, by the sort key of its rows."""
    rows = clients.client("dynamodb").scan(TableName=posthorn.tables["ConfigTable"], IndexName="trouble")
    return {row["sk"]["S"]: (row[TROUBLE]["S"], row[TROUBLE_SINCE]["S"]) for row in rows["Items"]}


def expected(posthorn: Installation, *channels: str) -> dict[str, tuple[str, str]]:
    """Return what the index should hold, by the rows of the endpoints."""
    found: dict[str, tuple[str, str]] = {}
    for channel in channels or (posthorn.workspace,):
        for endpoint in posthorn.services.endpoints.of_channel(channel).endpoints:
            if (trouble := trouble_of(endpoint)) is not None:
                found[f"endpoint#{endpoint.id}"] = (str(trouble[0]), f"{trouble[1]:013d}#{endpoint.id}")
    return found


def all_kinds(posthorn: Installation) -> dict[str, str]:
    """Make a webhook in each state, half a minute apart; return their ids."""
    made = {}
    for name in ("well", "slow", "failing", "gone", "manual"):
        made[name] = posthorn.register(f"{name}.example.com")["id"]
        posthorn.network.receivers[f"{name}.example.com"] = answers(200)
    posthorn.network.receivers |= {
        "slow.example.com": fails(Failure.TIMEOUT),
        "failing.example.com": answers(404),
    }
    run(posthorn)
    posthorn.network.receivers["slow.example.com"] = answers(200)
    run(posthorn, FAILURES_IN_A_ROW - 1)
    posthorn.clock.pass_seconds(30)
    posthorn.network.receivers["gone.example.com"] = answers(410)
    run(posthorn)
    posthorn.clock.pass_seconds(30)
    posthorn.call("PUT", f"{PATH}/{made['manual']}", {"enabled": False})
    return made


def test_the_platform_sees_the_endpoints_of_all_workspaces(posthorn: Installation, platform: str) -> None:
    """Webhooks and event destinations of any workspace, the last change first, by the platform's own names."""
    webhook = posthorn.register()["id"]
    posthorn.network.receivers["hooks.example.com"] = answers(404)
    run(posthorn, FAILURES_IN_A_ROW)
    posthorn.clock.pass_seconds(60)
    other = posthorn.call("PUT", "/v1/workspaces/customer_8812", key=platform).body["workspace"]["id"]
    set_id = posthorn.call("POST", SETS, {"name": "mails"}, key=platform, headers={HEADER: other}).body
    body = {
        "name": "audit",
        "destination_type": "WEBHOOK",
        "webhook_url": "https://mails.example.com/s3cret-path",
        "webhook_secret": "a-shared-secret-of-ours",
        "matching_event_types": ["send"],
        "enabled": False,
    }
    path = f"{SETS}/{set_id['config_set_id']}/event-destinations"
    destination = posthorn.call("POST", path, body, key=platform, headers={HEADER: other}).body
    uid = posthorn.call("GET", f"/v1/workspaces/{posthorn.workspace}", key=platform).body["workspace"]["uid"]

    failing = {
        "id": webhook,
        "kind": "webhook",
        "host": "hooks.example.com",
        "workspace": {"id": posthorn.workspace, "uid": uid},
        "health": "failing",
        "since": "2023-04-16T15:45:00Z",
    }
    disabled = {
        "id": destination["destination_id"],
        "kind": "event_destination",
        "host": "mails.example.com",
        "workspace": {"id": other, "uid": "customer_8812"},
        "health": "disabled",
        "since": "2023-04-16T15:46:00Z",
        "disabledReason": "manual",
    }
    assert of_all(posthorn, platform) == [failing]
    assert of_all(posthorn, platform, "health=disabled") == [disabled]


def test_each_filter_has_its_endpoints(posthorn: Installation, platform: str) -> None:
    """`failing` has what fails and what was disabled for it, `disabled` what is disabled for any reason."""
    made = all_kinds(posthorn)

    assert endpoint_of(posthorn, made["slow"]).health is Health.SLOW
    assert [one["id"] for one in of_all(posthorn, platform)] == [made["gone"], made["failing"]]
    assert [one["id"] for one in of_all(posthorn, platform, "health=disabled")] == [
        made["manual"],
        made["gone"],
    ]
    assert set(of_mine(posthorn, "health=failing")) == {made["failing"], made["gone"]}
    assert set(of_mine(posthorn, "health=disabled")) == {made["gone"], made["manual"]}


def test_healthy_and_slow_endpoints_cost_no_index(posthorn: Installation) -> None:
    """Only rows of endpoints in trouble have the attributes of the index."""
    made = all_kinds(posthorn)
    assert indexed(posthorn) == expected(posthorn)
    assert indexed(posthorn).keys() == {f"endpoint#{made[name]}" for name in ("failing", "gone", "manual")}


def test_the_index_follows_every_change(posthorn: Installation) -> None:
    """Success, enabling, changing, disabling and deleting change the row and the index at once."""
    made = all_kinds(posthorn)
    posthorn.network.receivers |= {"failing.example.com": answers(200), "gone.example.com": answers(200)}

    posthorn.call("PUT", f"{PATH}/{made['failing']}", {"description": "ours"})
    assert indexed(posthorn) == expected(posthorn) != {}
    posthorn.clock.pass_seconds(MIN_SLOW_MS / 1000)
    run(posthorn)
    assert f"endpoint#{made['failing']}" not in indexed(posthorn)
    for name in ("gone", "manual"):
        assert posthorn.call("PUT", f"{PATH}/{made[name]}", {"enabled": True}).status == 200
    assert indexed(posthorn) == expected(posthorn) == {}
    posthorn.call("PUT", f"{PATH}/{made['well']}", {"enabled": False})
    assert indexed(posthorn) == expected(posthorn) != {}
    posthorn.call("DELETE", f"{PATH}/{made['well']}")
    assert indexed(posthorn) == {}


def test_an_attempt_that_ends_later_does_not_hide_a_disabled_endpoint(posthorn: Installation) -> None:
    """The health of an endpoint is not changed any more once it is disabled."""
    webhook = posthorn.register()["id"]
    before = endpoint_of(posthorn, webhook)
    posthorn.call("PUT", f"{PATH}/{webhook}", {"enabled": False})
    listed = indexed(posthorn)

    for health in (Health.SLOW, Health.FAILING):
        posthorn.services.endpoint_states.move(before, health, now_ms=posthorn.clock() + 1)

    assert indexed(posthorn) == listed == expected(posthorn)
    assert endpoint_of(posthorn, webhook).disabled_reason is DisabledReason.MANUAL


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_of_any_size_make_the_same_list(posthorn: Installation, platform: str, limit: int) -> None:
    """Endpoints of two kinds of trouble are merged, and none is lost when many changed in one millisecond."""
    for number in range(3):
        posthorn.register(f"bad{number}.example.com")
        posthorn.register(f"gone{number}.example.com")
        posthorn.network.receivers |= {
            f"bad{number}.example.com": answers(404),
            f"gone{number}.example.com": answers(410),
        }
        run(posthorn, FAILURES_IN_A_ROW)
        if number == 1:
            posthorn.clock.pass_seconds(1)

    found = of_all(posthorn, platform, f"health=failing&limit={limit}")

    keys = [(one["since"], one["id"]) for one in found]
    assert len(found) == 6
    assert keys == sorted(keys, reverse=True)


def test_a_page_is_one_query_for_each_kind_of_trouble(
    posthorn: Installation, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many endpoints and workspaces there are: two queries, and one read of the workspaces' rows."""
    for number in range(4):
        workspace = posthorn.call("PUT", f"/v1/workspaces/c{number}", key=platform).body["workspace"]["id"]
        body = {"url": "https://hooks.example.com/h", "events": ["*"], "enabled": False}
        posthorn.call("POST", PATH, body, key=platform, headers={HEADER: workspace})
    of_all(posthorn, platform)  # the key of the cursors, and the API key, are known
    posthorn.services.workspaces._seen._entries.clear()
    calls: list[str] = []
    plain = type(clients.client("dynamodb"))._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def note(self: Any, name: str, parameters: Any) -> Any:
        calls.append(name)
        return plain(self, name, parameters)

    monkeypatch.setattr(type(clients.client("dynamodb")), "_make_api_call", note)
    assert len(of_all(posthorn, platform, "health=disabled")) == 4
    assert calls == ["Query", "Query", "BatchGetItem"]


# ---- who may see what


def _refusal(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.body["code"]


def test_a_workspace_sees_its_own_only(posthorn: Installation, platform: str) -> None:
    """With a key of a workspace, or with the header, nobody else's endpoint is in the list, whatever fails there."""
    theirs, their_key = posthorn.new_workspace()
    body = {"url": "https://hooks.example.com/h", "events": ["*"], "enabled": False}
    foreign = posthorn.call("POST", PATH, body, key=their_key).body["webhook"]["id"]
    own = posthorn.register(enabled=False)["id"]

    for query in ("health=failing", "health=disabled"):
        mine = [own] if query == "health=disabled" else []
        their = [foreign] if query == "health=disabled" else []
        for key in (posthorn.key, *(posthorn.new_key(scope) for scope in Scope if scope is Scope.API_USER)):
            assert of_mine(posthorn, query, key=key) == mine
        assert of_mine(posthorn, query, key=their_key) == their
        assert of_mine(posthorn, query, key=platform, headers={HEADER: theirs}) == their
        assert of_mine(posthorn, query, key=platform, headers={HEADER: posthorn.workspace}) == mine


def test_a_key_of_a_workspace_cannot_leave_it(posthorn: Installation) -> None:
    """Another workspace's name is refused, with the filter as without."""
    theirs, _ = posthorn.new_workspace()
    reply = posthorn.call("GET", f"{PATH}?health=failing", headers={HEADER: theirs})
    assert _refusal(reply) == (404, "not_found")


@pytest.mark.parametrize("scope", [scope for scope in Scope if scope is not Scope.API_USER])
def test_other_scopes_do_not_open_it(posthorn: Installation, scope: Scope) -> None:
    """The filter needs the scope of the list."""
    key = posthorn.new_key(scope)
    assert _refusal(posthorn.call("GET", f"{PATH}?health=failing", key=key)) == (403, "insufficient_scope")


def test_without_the_filter_the_platform_must_name_a_workspace(posthorn: Installation, platform: str) -> None:
    """There is no list of all webhooks."""
    for query in ("", "?limit=5"):
        assert _refusal(posthorn.call("GET", PATH + query, key=platform)) == (400, "workspace_required")


def test_a_cursor_stays_in_its_list(posthorn: Installation, platform: str) -> None:
    """The cursor of all workspaces does not serve one of them, nor another filter, and the reverse."""
    for number in range(2):
        posthorn.register(f"hooks{number}.example.com", enabled=False)
    query = f"{PATH}?health=disabled&limit=1"
    named = {HEADER: posthorn.workspace}
    wide = posthorn.call("GET", query, key=platform).body["nextCursor"]
    narrow = posthorn.call("GET", query, key=platform, headers=named).body["nextCursor"]

    for path, headers in (
        (f"{query}&cursor={wide}", named),
        (f"{query}&cursor={narrow}", {}),
        (f"{PATH}?health=failing&cursor={wide}", {}),
    ):
        reply = posthorn.call("GET", path, key=platform, headers=headers)
        assert _refusal(reply) == (400, "invalid_cursor")
    assert of_mine(posthorn, f"health=disabled&cursor={narrow}") != []


@pytest.mark.parametrize("text", ["slow", "healthy", "Failing", "", "failing,disabled"])
def test_an_unknown_filter_is_refused(posthorn: Installation, platform: str, text: str) -> None:
    """A misspelled filter would look as if nothing failed."""
    for key in (posthorn.key, platform):
        reply = posthorn.call("GET", f"{PATH}?health={text}", key=key)
        assert _refusal(reply) == (400, "invalid_filter")
        assert reply.body["errors"][0]["pointer"] == "/health"


def test_a_workspace_that_is_gone_has_no_uid(posthorn: Installation, platform: str) -> None:
    """An endpoint that outlives its workspace for a moment is listed all the same."""
    new_destination(posthorn, new_set(posthorn), enabled=False)
    table = posthorn.tables["ConfigTable"]
    key = {"pk": {"S": posthorn.workspace}, "sk": {"S": "workspace"}}
    clients.client("dynamodb").delete_item(TableName=table, Key=key)
    posthorn.services.workspaces._seen._entries.clear()

    (one,) = of_all(posthorn, platform, "health=disabled")
    assert one["workspace"] == {"id": posthorn.workspace, "uid": None}
