"""Which deliveries a bulk replay selects: the settled ones in its window that match, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from posthorn.domain.clock import rfc3339_ms
from posthorn.domain.ids import made_at
from posthorn.domain.models import Status
from tests.network import answers
from tests.replays import replaying

if TYPE_CHECKING:
    from tests.installation import Installation


def test_only_failed_deliveries_are_replayed(posthorn: Installation) -> None:
    """After a repair, each failed event arrives once more under its own id; delivered ones do not."""
    replays = replaying(posthorn)
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    delivered = posthorn.publish()
    posthorn.dispatch()
    posthorn.network.receivers["hooks.example.com"] = answers(400)
    failed = [posthorn.publish(data={"n": number}) for number in range(3)]
    posthorn.dispatch()
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    posthorn.network.received.clear()
    posthorn.clock.pass_seconds(60)

    replay_id = replays.start()
    replays.run()
    assert posthorn.deliver(posthorn.take("DeliverQueue")) == set()

    assert sorted(one.id for one in posthorn.network.received) == sorted(failed)
    assert {one.headers["webhook-timestamp"] for one in posthorn.network.received} == {
        str(posthorn.clock() // 1000)
    }
    replays.events = [delivered, *failed]
    rows = replays.rows()
    assert {row.status for row in rows.values()} == {Status.DELIVERED}
    assert replays.generations() == {delivered: 1, **dict.fromkeys(failed, 2)}
    assert {rows[event_id].replay for event_id in failed} == {replay_id}
    assert replays.get(replay_id)["counts"] == {"matched": 3, "replayed": 3, "skipped": 0}


def test_a_replayed_delivery_that_fails_is_retried(posthorn: Installation) -> None:
    """It restarts the retry schedule from the beginning."""
    replays = replaying(posthorn)
    posthorn.network.receivers["hooks.example.com"] = answers(400)
    event_id = posthorn.publish()
    posthorn.dispatch()
    posthorn.clock.pass_seconds(60)
    posthorn.network.receivers["hooks.example.com"] = answers(500)
    replays.start()
    replays.run()
    posthorn.deliver(posthorn.take("DeliverQueue"))

    (retry,) = posthorn.waiting("Retry1MinQueue")
    assert (retry.task["event"], retry.task["generation"], retry.task["attempt"]) == (event_id, 2, 2)


def test_the_window_holds_its_beginning_and_not_its_end(posthorn: Installation) -> None:
    """`since` is inclusive and `until` exclusive, to the millisecond."""
    replays = replaying(posthorn)
    events = replays.settle(5)
    since, until = (rfc3339_ms(made_at(events[at])) for at in (1, 3))
    for wanted in ("failed", "all"):
        replays.start(since=since, until=until, status=wanted, dryRun=True)
    replays.start(since=since, until=until)
    replays.run()
    assert list(replays.generations().values()) == [1, 2, 2, 1, 1]
    listed = posthorn.call("GET", replays.path).body["replays"]
    assert [one["counts"]["matched"] for one in listed] == [2, 2, 2]


@pytest.mark.parametrize(
    ("wanted", "again"), [("failed", {Status.FAILED}), ("all", {Status.FAILED, Status.DELIVERED})]
)
def test_the_selection_by_status(posthorn: Installation, wanted: str, again: set[Status]) -> None:
    """`all` adds delivered ones; waiting ones and example events are never replayed; a dry run agrees."""
    replays = replaying(posthorn)
    before = {event_id: status for status in Status for event_id in replays.settle(3, status)}
    tests = replays.settle(2, is_test=True)
    dry = replays.start(status=wanted, dryRun=True)
    replays.run()
    assert set(replays.generations().values()) == {1}
    assert posthorn.waiting("DeliverQueue") == []

    replay_id = replays.start(status=wanted)
    replays.run()

    generations = replays.generations()
    assert {event_id for event_id, generation in generations.items() if generation == 2} == {
        event_id for event_id, status in before.items() if status in again
    }
    assert [generations[event_id] for event_id in tests] == [1, 1]
    count = 3 * len(again)
    assert replays.get(dry)["counts"] == {"matched": count, "replayed": 0, "skipped": 0}
    assert replays.get(replay_id)["counts"] == {"matched": count, "replayed": count, "skipped": 0}


def test_replaying_twice(posthorn: Installation) -> None:
    """A second job replays deliveries that failed again, and leaves alone those still in progress."""
    replays = replaying(posthorn)
    replays.settle(2)
    replays.start()
    replays.run()
    second = replays.start()
    replays.run()
    assert replays.get(second)["counts"]["matched"] == 0
    posthorn.network.receivers["hooks.example.com"] = answers(400)
    posthorn.deliver(posthorn.take("DeliverQueue"))
    # these rows have no event, so they failed again
    third = replays.start()
    replays.run()
    assert replays.get(third)["counts"]["replayed"] == 2
    assert set(replays.generations().values()) == {3}
