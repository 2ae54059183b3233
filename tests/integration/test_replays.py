"""`…/replays`: bulk replays through the API, for webhooks and for event destinations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from posthorn.aws import clients
from posthorn.delivery.bulk_replay import PAUSE
from posthorn.domain.clock import rfc3339_ms
from posthorn.domain.ids import REPLAY, is_id, made_at, new_id
from tests.installation import ALL_SCOPES, START_MS
from tests.replays import SINCE_MS, replaying

if TYPE_CHECKING:
    from tests.installation import Installation, Reply

SETS = "/api/v1/partner/email/configuration-sets"


def _destination(posthorn: Installation) -> str:
    """Create an event destination and return its path."""
    made = posthorn.call("POST", SETS, {"name": posthorn.new_id()}).body
    path = f"{SETS}/{made['config_set_id']}/event-destinations"
    wanted = {
        "name": "one",
        "destination_type": "WEBHOOK",
        "webhook_url": "https://hooks.example.com/mail",
        "webhook_secret": "a secret of more than 24 bytes",
        "matching_event_types": ["bounce"],
    }
    reply = posthorn.call("POST", path, wanted)
    assert reply.status == 201, reply
    return f"{path}/{reply.body['destination_id']}"


def test_a_job_from_its_beginning_to_its_end(posthorn: Installation) -> None:
    """A replay is accepted at once, and then shows its progress and its result."""
    replays = replaying(posthorn)
    replays.settle(150)
    reply = replays.post()
    assert reply.status == 202
    made = reply.body["replay"]
    assert is_id(made["id"], REPLAY)
    assert made == {
        "id": made["id"],
        "state": "queued",
        "dryRun": False,
        "since": rfc3339_ms(SINCE_MS),
        "until": rfc3339_ms(START_MS),
        "status": "failed",
        "counts": {"matched": 0, "replayed": 0, "skipped": 0},
        "progress": {"position": rfc3339_ms(SINCE_MS), "fraction": 0},
        "createdAt": "2023-04-16T15:45:00Z",
        "updatedAt": rfc3339_ms(START_MS),
    }

    replays.run(steps=2)
    running = replays.get(made["id"])
    assert running["state"] == "running"
    assert running["counts"] == {"matched": 150, "replayed": 100, "skipped": 0}
    assert "finishedAt" not in running
    (message,) = posthorn.waiting("ReplayQueue")
    assert message.delay == PAUSE
    assert message.group == replays.endpoint_id

    replays.run()
    done = replays.get(made["id"])
    assert (done["state"], done["finishedAt"]) == ("done", rfc3339_ms(posthorn.clock()))
    assert done["progress"] == {"position": rfc3339_ms(START_MS), "fraction": 1}
    assert done["counts"] == {"matched": 150, "replayed": 150, "skipped": 0}


def test_progress_is_where_in_the_window_it_is(posthorn: Installation) -> None:
    """The position is the time of the last event examined; the fraction is its place in the window."""
    replays = replaying(posthorn)
    replays.settle(101)
    replay_id = replays.start(until=rfc3339_ms(SINCE_MS + 200 * 700))
    replays.run(steps=1)
    progress = replays.get(replay_id)["progress"]
    assert progress == {"position": rfc3339_ms(made_at(replays.events[99])), "fraction": 99 / 200}


def test_the_list_is_newest_first(posthorn: Installation) -> None:
    """Each job is on exactly one page."""
    replays = replaying(posthorn)
    made = []
    for _ in range(3):
        posthorn.clock.pass_seconds(1)
        made.append(replays.start(dryRun=True))
    first = posthorn.call("GET", f"{replays.path}?limit=2").body
    second = posthorn.call("GET", f"{replays.path}?limit=2&cursor={first['nextCursor']}").body
    assert [one["id"] for one in first["replays"] + second["replays"]] == made[::-1]
    assert "nextCursor" not in second


def test_replays_of_others_are_not_found(posthorn: Installation) -> None:
    """Another workspace's, another endpoint's and an unknown job get the same 404, on every route."""
    replays, other = replaying(posthorn), replaying(posthorn)
    replay_id = replays.start()
    _, stranger = posthorn.new_workspace()
    unknown = new_id(REPLAY, now_ms=START_MS, entropy=bytes(10))
    body = {"since": "2023-04-16T15:00:00Z"}

    def found(method: str, path: str, key: str | None = None) -> Reply:
        return posthorn.call(method, path, body if method == "POST" else None, key=key)

    for method, path in (
        ("GET", replays.path),
        ("POST", replays.path),
        ("GET", f"{replays.path}/{replay_id}"),
        ("POST", f"{replays.path}/{replay_id}/cancel"),
    ):
        missing = found(
            method, path.replace(replays.endpoint_id, new_id("wh", now_ms=1, entropy=bytes(10))), stranger
        )
        foreign = found(method, path, stranger)
        assert (foreign.status, foreign.body) == (missing.status, missing.body) == (404, missing.body)
    for method, tail in (("GET", ""), ("POST", "/cancel")):
        expected = found(method, f"{replays.path}/{unknown}{tail}")
        assert expected.status == 404
        for path in (f"{other.path}/{replay_id}{tail}", f"{replays.path}/not-an-id{tail}"):
            assert found(method, path) == expected
    assert replays.get(replay_id)["state"] == "queued"


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({}, 422, "/since"),
        ({"since": "yesterday"}, 422, "/since"),
        ({"since": "2023-02-30T00:00:00Z"}, 422, "/since"),
        ({"since": "2023-04-16T15:45:01Z"}, 422, "/since"),
        ({"since": "2023-04-16T15:00:00Z", "until": "2023-04-16T15:00:00Z"}, 422, "/until"),
        ({"since": "2023-04-16T15:00:00Z", "until": 5}, 422, "/until"),
        ({"since": "2023-04-16T15:00:00Z", "status": "queued"}, 422, "/status"),
        ({"since": "2023-04-16T15:00:00Z", "dryRun": "yes"}, 422, "/dryRun"),
        ({"since": "2023-04-16T15:00:00Z", "dry_run": True}, 422, "/dry_run"),
    ],
)
def test_an_invalid_replay(posthorn: Installation, body: Any, status: int, pointer: str) -> None:
    """Every error points at its cause, and no job is started."""
    replays = replaying(posthorn)
    reply = posthorn.call("POST", replays.path, body)
    assert (reply.status, [one["pointer"] for one in reply.body["errors"]]) == (status, [pointer])
    assert posthorn.waiting("ReplayQueue") == []
    assert posthorn.call("GET", replays.path).body == {"replays": []}


def test_a_window_may_be_larger_than_time(posthorn: Installation) -> None:
    """A window that begins before 1970 starts there, and one that ends in the future ends now."""
    replays = replaying(posthorn)
    replays.settle(2)
    reply = replays.post(since="0001-01-01T00:00:00Z", until="9999-12-31T23:59:59Z")
    assert reply.body["replay"]["since"] == "1970-01-01T00:00:00.000Z"
    assert reply.body["replay"]["until"] == rfc3339_ms(START_MS)
    replays.run()
    assert replays.get(reply.body["replay"]["id"])["counts"]["replayed"] == 2


def test_an_event_destination_has_the_same_in_its_own_spelling(posthorn: Installation) -> None:
    """Partners write and read snake_case, with the scope of partners."""
    path = f"{_destination(posthorn)}/replays"
    body = {"since": "2023-04-16T15:00:00Z", "dry_run": True}
    reply = posthorn.call("POST", path, body, key=posthorn.new_key("partner"))
    assert reply.status == 202, reply
    made = reply.body["replay"]
    assert (made["dry_run"], made["created_at"]) == (True, "2023-04-16T15:45:00Z")
    posthorn.replay(posthorn.take("ReplayQueue"))
    done = posthorn.call("GET", f"{path}/{made['id']}").body["replay"]
    assert (done["state"], done["finished_at"]) == ("done", rfc3339_ms(START_MS))
    posthorn.call("POST", path, body)
    listed = posthorn.call("GET", f"{path}?limit=1").body
    assert listed.keys() == {"replays", "next_cursor"}
    assert posthorn.call("POST", path, {**body, "dryRun": True}).status == 422
    assert (
        posthorn.call("POST", f"{path}/{listed['replays'][0]['id']}/cancel").body["replay"]["state"]
        == "cancelled"
    )
    for scope in ALL_SCOPES:
        status = posthorn.call("GET", path, key=posthorn.new_key(scope)).status
        assert status == (200 if scope == "partner" else 403)


def test_the_row_expires_with_the_deliveries(posthorn: Installation) -> None:
    """A job is kept as long as the deliveries that it replayed."""
    replays = replaying(posthorn)
    replay_id = replays.start()
    key = {"pk": {"S": replays.endpoint_id}, "sk": {"S": f"replay#{replay_id}"}}
    row = clients.client("dynamodb").get_item(TableName=posthorn.tables["ConfigTable"], Key=key)["Item"]
    assert row["expires_at"] == {"N": str(START_MS // 1000 + 30 * 86_400)}
