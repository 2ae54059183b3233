"""Endpoints that this version cannot read, as during a deploy or after a rollback: no event for them is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from posthorn.aws import clients
from posthorn.domain.models import DeliveryKey, Status
from tests.configuration_sets import SETS, new_destination, new_set
from tests.later_versions import LATER, unreadable
from tests.network import answers

if TYPE_CHECKING:
    import io

    from tests.installation import Installation

later = pytest.mark.parametrize("attribute", LATER)


def _sequence(record: dict[str, Any]) -> str:
    return str(record["dynamodb"]["SequenceNumber"])


@later
def test_the_record_comes_again_until_every_endpoint_can_be_read(
    posthorn: Installation, log_lines: io.StringIO, attribute: str
) -> None:
    """Readable neighbors get the event at once and only once, the unreadable one as soon as it can be read."""
    hidden, fine = posthorn.register("hidden.example.com"), posthorn.register("fine.example.com")
    posthorn.network.receivers = {"fine.example.com": answers(200), "hidden.example.com": answers(200)}
    event_id = posthorn.publish()
    records = posthorn.stream()

    with unreadable(posthorn, posthorn.workspace, hidden["id"], attribute):
        assert posthorn.dispatch(records) == {_sequence(records[0])}
        assert posthorn.dispatch(records) == {_sequence(records[0])}
        assert [received.host for received in posthorn.network.received] == ["fine.example.com"]
    assert posthorn.dispatch(records) == set()

    assert [received.host for received in posthorn.network.received] == [
        "fine.example.com",
        "hidden.example.com",
    ]
    for webhook in (hidden, fine):
        row = posthorn.row(DeliveryKey(webhook["id"], event_id))
        assert row is not None
        assert row.status is Status.DELIVERED
    assert posthorn.waiting("DispatchDeadLetterQueue") == []
    logged = [json.loads(line) for line in log_lines.getvalue().splitlines()]
    named = [line["where"] for line in logged if line["message"] == "row.unreadable"]
    assert named == [f"endpoint#{hidden['id']}"] * 2


def test_other_channels_of_the_batch_go_on(posthorn: Installation) -> None:
    """Records of other channels, before and behind, are delivered in the same run."""
    hidden = posthorn.register("hidden.example.com")
    _, other = posthorn.new_workspace()
    wanted = {"url": "https://theirs.example.com/", "events": ["*"]}
    assert posthorn.call("POST", "/v1/webhooks", wanted, key=other).status == 201
    posthorn.network.receivers = {"theirs.example.com": answers(200)}
    published = {"event": "CONTACT_CREATED", "data": {"n": 1}}
    records: list[dict[str, Any]] = []
    for key in (other, posthorn.key, other):
        assert posthorn.call("POST", "/v1/events", published, key=key).status == 202
        records += posthorn.stream()

    with unreadable(posthorn, posthorn.workspace, hidden["id"], "v"):
        failed = posthorn.dispatch(records)

    assert failed == {_sequence(records[1])}
    assert [received.host for received in posthorn.network.received] == ["theirs.example.com"] * 2


def test_a_test_event_waits_for_its_own_endpoint_only(posthorn: Installation) -> None:
    """The target of a test event is known by its id, whatever else cannot be read."""
    hidden, fine = posthorn.register("hidden.example.com"), posthorn.register("fine.example.com")
    posthorn.network.receivers = {"fine.example.com": answers(200)}
    for webhook in (hidden, fine):
        reply = posthorn.call("POST", f"/v1/webhooks/{webhook['id']}/test", {"event": "CONTACT_CREATED"})
        assert reply.status == 202, reply
    records = posthorn.stream()
    of_hidden = next(one for one in records if one["dynamodb"]["NewImage"]["target"]["S"] == hidden["id"])

    with unreadable(posthorn, posthorn.workspace, hidden["id"], "v"):
        failed = posthorn.dispatch(records)

    assert failed == {_sequence(of_hidden)}
    assert [received.host for received in posthorn.network.received] == ["fine.example.com"]


@later
def test_a_queued_attempt_waits_too(posthorn: Installation, attribute: str) -> None:
    """A message for an endpoint that cannot be read stays in its queue; its neighbors are delivered."""
    hidden, fine = posthorn.register("hidden.example.com"), posthorn.register("fine.example.com")
    posthorn.network.receivers = {"fine.example.com": answers(200), "hidden.example.com": answers(200)}
    posthorn.publish()
    posthorn.dispatch(remaining_ms=19_000)
    messages = posthorn.take("DeliverQueue")
    of_hidden = next(one for one in messages if one.task["endpoint"] == hidden["id"])

    with unreadable(posthorn, posthorn.workspace, hidden["id"], attribute):
        assert posthorn.deliver(messages) == {of_hidden.id}
    posthorn.clock.pass_seconds(180)
    assert posthorn.deliver([of_hidden]) == set()

    hosts = [received.host for received in posthorn.network.received]
    assert hosts == ["fine.example.com", "hidden.example.com"]
    assert posthorn.row(DeliveryKey(fine["id"], messages[0].task["event"])) is not None


@later
def test_lists_leave_it_out_and_the_explanation_names_it(posthorn: Installation, attribute: str) -> None:
    """Lists show what can be read; the explanation says why nothing came yet."""
    hidden, fine = posthorn.register("hidden.example.com"), posthorn.register("fine.example.com")
    event_id = posthorn.publish()

    with unreadable(posthorn, posthorn.workspace, hidden["id"], attribute):
        listed = posthorn.call("GET", "/v1/webhooks").body["webhooks"]
        shown = posthorn.call("GET", f"/v1/events/{event_id}/match").body["webhooks"]
        events = posthorn.call("GET", "/v1/events")

    assert [webhook["id"] for webhook in listed] == [fine["id"]]
    assert events.status == 200
    assert {one["webhookId"]: one["reason"] for one in shown} == {
        fine["id"]: "matched",
        hidden["id"]: "unreadable",
    }
    (named,) = [one for one in shown if one["webhookId"] == hidden["id"]]
    assert not named["matched"]
    assert named["createdAt"] == hidden["createdAt"]


def test_a_deleted_set_leaves_no_destination_behind(posthorn: Installation) -> None:
    """Deleting a configuration set deletes its destinations, readable or not."""
    set_id = new_set(posthorn)
    destination = new_destination(posthorn, set_id)
    dynamodb, table = clients.client("dynamodb"), posthorn.tables["ConfigTable"]
    key = {"pk": {"S": set_id}, "sk": {"S": f"endpoint#{destination['destination_id']}"}}
    row: Any = dynamodb.get_item(TableName=table, Key=key)["Item"]
    dynamodb.put_item(TableName=table, Item={**row, "v": {"N": "2"}})

    assert posthorn.call("DELETE", f"{SETS}/{set_id}").status == 200

    assert "Item" not in dynamodb.get_item(TableName=table, Key=key)
