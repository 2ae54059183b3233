"""`posthorn redispatch`: events whose deliveries were lost are delivered after all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from posthorn.aws import clients
from posthorn.domain.errors import Malformed
from posthorn.domain.models import DeliveryKey, Reason, Status
from posthorn_cli.redispatch import RedispatchCounts, redispatch, redispatch_one
from tests.configuration_sets import new_destination, new_set
from tests.later_versions import unreadable
from tests.network import answers
from tests.operator import all_messages, installed, noticed, redispatched

if TYPE_CHECKING:
    from posthorn_cli.installed import Installed
    from tests.installation import Installation


@pytest.fixture
def place(posthorn: Installation) -> Installed:
    return installed(posthorn)


def test_events_without_rows_are_delivered_after_all(posthorn: Installation, place: Installed) -> None:
    """What the stream gave up on is queued for every endpoint that should have had it, and for no other."""
    before = posthorn.register("before.example.com")
    posthorn.register("other.example.com", events=["CONTACT_DELETED"])
    _, other_key = posthorn.new_workspace()
    posthorn.call("POST", "/v1/webhooks", {"url": "https://x.example.com/", "events": ["*"]}, key=other_key)
    posthorn.network.receivers |= {"before.example.com": answers(200), "after.example.com": answers(200)}
    event_ids = sorted(posthorn.publish() for _ in range(30))
    posthorn.clock.pass_seconds(1)
    posthorn.register("after.example.com")

    dry = redispatched(posthorn, place, dry_run=True)
    nothing = all_messages(posthorn)
    real = redispatched(posthorn, place)
    again = redispatched(posthorn, place)

    messages = all_messages(posthorn)
    assert (dry, nothing) == (RedispatchCounts(channels=2, events=30, missing=30), [])
    assert real == RedispatchCounts(channels=2, events=30, missing=30, queued=30)
    assert again == RedispatchCounts(channels=2, events=30)
    assert posthorn.deliver(messages) == set()
    assert sorted(received.id for received in posthorn.network.at("before.example.com")) == event_ids
    assert posthorn.network.at("after.example.com") == []
    rows = [posthorn.row(DeliveryKey(before["id"], event_id)) for event_id in event_ids]
    assert {row.status for row in rows if row} == {Status.DELIVERED}


def test_what_has_a_row_is_left_alone(posthorn: Installation, place: Installed) -> None:
    """Delivered, failed and waiting deliveries are nothing that is missing."""
    for number, status in enumerate((200, 404, 500)):
        posthorn.register(f"h{number}.example.com")
        posthorn.network.receivers[f"h{number}.example.com"] = answers(status)
    posthorn.publish()
    posthorn.dispatch()
    posthorn.take("Retry1MinQueue")

    assert redispatched(posthorn, place) == RedispatchCounts(channels=1, events=1)
    assert all_messages(posthorn) == []


def test_only_the_window_is_looked_at(posthorn: Installation, place: Installed) -> None:
    """Both ends of the window belong to it; what is a millisecond outside does not."""
    posthorn.register()
    start = posthorn.clock()
    for _ in range(4):
        posthorn.publish()
        posthorn.clock.pass_seconds(0.001)

    tally = redispatch(place, since_ms=start + 1, until_ms=start + 2, dry_run=True, progress=lambda _: None)

    assert (tally.events, tally.missing) == (2, 2)


def test_a_disabled_endpoint_gets_its_reason(posthorn: Installation, place: Installed) -> None:
    """What a disabled endpoint missed ends as any other event for it would: on record, replayable."""
    webhook = posthorn.register()
    posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", {"enabled": False})
    posthorn.clock.pass_seconds(1)
    event_id = posthorn.publish()

    redispatched(posthorn, place)
    posthorn.deliver(all_messages(posthorn))

    row = posthorn.row(DeliveryKey(webhook["id"], event_id))
    assert row is not None
    assert row.reason is Reason.ENDPOINT_DISABLED


def test_an_event_of_a_later_version_is_counted_and_left(posthorn: Installation, place: Installed) -> None:
    """A row that this version cannot read hides no other."""
    posthorn.register()
    event_ids = [posthorn.publish() for _ in range(2)]
    dynamodb, table = clients.client("dynamodb"), posthorn.tables["EventsTable"]
    row = next(one for one in dynamodb.scan(TableName=table)["Items"] if one["sk"]["S"] == event_ids[0])
    dynamodb.put_item(TableName=table, Item={**row, "v": {"N": "99"}})

    assert redispatched(posthorn, place) == RedispatchCounts(
        channels=1, events=2, unreadable=1, missing=1, queued=1
    )


def test_an_endpoint_of_a_later_version_leaves_work_undone(posthorn: Installation, place: Installed) -> None:
    """What an endpoint that cannot be read may have missed counts as failed until a version reads it."""
    hidden, _ = posthorn.register("hidden.example.com"), posthorn.register("fine.example.com")
    posthorn.clock.pass_seconds(1)
    posthorn.publish()
    posthorn.clock.pass_seconds(1)
    later = posthorn.register("later.example.com")

    with (
        unreadable(posthorn, posthorn.workspace, hidden["id"], "v"),
        unreadable(posthorn, posthorn.workspace, later["id"], "v"),
    ):
        dry = redispatched(posthorn, place, dry_run=True)
        first = redispatched(posthorn, place)
        again = redispatched(posthorn, place)

    assert dry == RedispatchCounts(channels=1, events=1, missing=2)
    assert first == RedispatchCounts(channels=1, events=1, missing=2, queued=1, failed=1)
    assert again == RedispatchCounts(channels=1, events=1, missing=1, failed=1)
    assert redispatched(posthorn, place) == RedispatchCounts(channels=1, events=1, missing=1, queued=1)


def test_an_expunged_event_is_not_redispatched(posthorn: Installation, place: Installed) -> None:
    """The command says why, and queues nothing."""
    posthorn.register()
    event_id = posthorn.publish()
    assert posthorn.call("DELETE", f"/v1/events/{event_id}/data").status == 200

    with pytest.raises(Malformed, match="expunged"):
        redispatch_one(place, posthorn.workspace, event_id, dry_run=False)

    assert posthorn.waiting("DeliverQueue") == []


def test_the_notices_of_a_window_are_queued_again(posthorn: Installation, place: Installed) -> None:
    """A stream that stood still for a day has sent no notice, and nothing records which were sent."""
    posthorn.register()
    _, body = noticed(posthorn)

    dry = redispatched(posthorn, place, dry_run=True)
    nothing = posthorn.waiting("DeliverQueue")
    real = redispatched(posthorn, place)

    assert (dry.notices, nothing, real.notices) == (1, [], 1)
    assert [message.body for message in posthorn.waiting("DeliverQueue")] == [body]


def test_the_window_of_a_workspace_with_destinations_only(posthorn: Installation, place: Installed) -> None:
    """The operational events of event destinations are on the workspace's channel, which may have no endpoint."""
    new_destination(posthorn, new_set(posthorn))
    noticed(posthorn)

    assert redispatched(posthorn, place).notices == 1
