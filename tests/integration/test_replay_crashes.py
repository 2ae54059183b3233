"""Bulk replays that crash or get late or duplicate messages replay each delivery once, with exact counts."""

from __future__ import annotations

import dataclasses
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any, Final

import pytest

from posthorn.delivery import bulk_replay
from posthorn.domain.models import Status
from posthorn.stores.replays import Replays
from tests.integration.test_lost_answers import lost_answers
from tests.replays import VISIBILITY, Death, Died, Replaying, dying, replaying, until_over

if TYPE_CHECKING:
    from posthorn.domain.replay_job import ReplayJob
    from tests.installation import Installation, Waiting

MANY: Final = 5000

SMALL: Final = 3  # deliveries, in pages of two


def _writes_the_job(name: str, parameters: dict[str, Any]) -> bool:
    return name == "PutItem" and "ConfigTable" in parameters["TableName"]


def _asks_for_the_next_step(name: str, _: dict[str, Any]) -> bool:
    return name == "SendMessage"


def _looks_further(name: str, _: dict[str, Any]) -> bool:
    return name == "Query"


def _sends(name: str, _: dict[str, Any]) -> bool:
    return name == "SendMessageBatch"


def _begins(name: str, parameters: dict[str, Any]) -> bool:
    return name == "PutItem" and "DeliveriesTable" in parameters["TableName"]


# the calls around a page boundary, in order, and which of them fails
BOUNDARY: Final = [
    (matches, at, after)
    for matches, at in (
        (_begins, 50),
        (_begins, 100),
        (_sends, 1),
        (_sends, 10),
        (_looks_further, 1),
        (_writes_the_job, 1),
        (_asks_for_the_next_step, 1),
    )
    for after in (False, True)
]


def test_five_thousand_deliveries_and_a_crash_at_every_page(posthorn: Installation) -> None:
    """Every page crashes once, each time one call later; all deliveries are replayed once and counted."""
    replays = replaying(posthorn)
    replays.settle(MANY)
    replay_id = replays.start()
    died = 0

    def dies_once_per_page(number: int) -> Death | None:
        nonlocal died
        if number % 2 == 0:
            return None
        matches, at, after = BOUNDARY[(number // 2) % len(BOUNDARY)]
        died += 1
        return Death(at, after=after, matches=matches)

    replays.run(dies_once_per_page, collect=True)

    assert died >= MANY // bulk_replay.PAGE
    assert set(replays.generations().values()) == {2}
    assert replays.asked_for() == sorted((event_id, 2, 1) for event_id in replays.events)
    shown = replays.get(replay_id)
    assert shown["state"] == "done"
    assert shown["counts"] == {"matched": MANY, "replayed": MANY, "skipped": 0}


def test_a_crash_at_every_call(posthorn: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small replay that crashes before or after any AWS call continues as if it had not."""
    monkeypatch.setattr(bulk_replay, "PAGE", 2)
    calls = _calls_of_a_whole_replay(posthorn)
    assert calls > 18
    for at in range(1, calls + 1):
        for after in (False, True):
            replays = replaying(posthorn)
            replays.settle(SMALL)
            replay_id = replays.start()
            death = Death(at, after=after)

            replays.run(until_over(death))

            assert death.is_over
            _assert_each_once(replays, replay_id, (at, after))


def _calls_of_a_whole_replay(posthorn: Installation) -> int:
    replays = replaying(posthorn)
    replays.settle(SMALL)
    replays.start()
    never = Death(0, after=False)
    replays.run(lambda _: never)
    return never.calls


def _assert_each_once(replays: Replaying, replay_id: str, where: object) -> None:
    assert set(replays.generations().values()) == {2}, where
    assert replays.asked_for() == sorted((event_id, 2, 1) for event_id in replays.events), where
    shown = replays.get(replay_id)
    assert (shown["state"], shown["progress"]["fraction"]) == ("done", 1), where
    assert shown["counts"] == {"matched": SMALL, "replayed": SMALL, "skipped": 0}, where


def test_two_workers_at_one_step(posthorn: Installation) -> None:
    """If SQS gives a message to two workers, the page is replayed once, with one next step."""
    replays = replaying(posthorn)
    replays.settle(SMALL)
    replay_id = replays.start()
    replays.run(steps=1)
    (message,) = posthorn.take("ReplayQueue")
    together = Barrier(2)
    failed: list[set[str]] = []

    def work() -> None:
        together.wait()
        failed.append(posthorn.replay([message]))

    workers = [Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert len(failed) == 2
    assert set(replays.generations().values()) == {2}
    assert replays.get(replay_id)["counts"] == {"matched": SMALL, "replayed": SMALL, "skipped": 0}
    assert replays.get(replay_id)["state"] == "done"


def test_the_slower_of_two_workers_loses_and_changes_nothing(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was overtaken between reading and recording counts nothing twice."""
    replays = replaying(posthorn)
    replays.settle(SMALL)
    replay_id = replays.start()
    replays.run(steps=1)
    (message,) = posthorn.take("ReplayQueue")
    plain = Replays.replace
    overtaken: list[bool] = []

    def late(self: Replays, old: ReplayJob, new: ReplayJob) -> bool:
        if not overtaken:
            overtaken.append(True)
            assert posthorn.replay([message]) == set()
        return plain(self, old, new)

    monkeypatch.setattr(Replays, "replace", late)

    assert posthorn.replay([message]) == set()

    assert overtaken
    assert set(replays.generations().values()) == {2}
    assert replays.get(replay_id)["counts"] == {"matched": SMALL, "replayed": SMALL, "skipped": 0}


def test_messages_that_come_twice_and_late(posthorn: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Duplicates of earlier steps, in any order, replay nothing again and do not multiply."""
    monkeypatch.setattr(bulk_replay, "PAGE", 2)
    replays = replaying(posthorn)
    replays.settle(2 * SMALL)
    replay_id = replays.start()
    seen: list[Waiting] = []
    while messages := posthorn.take("ReplayQueue"):
        assert len(messages) == 1
        posthorn.replay(messages)
        seen = [*messages, *seen]
        for message in seen[1:]:
            assert posthorn.replay([message]) == set()
    assert len(seen) == SMALL + 1
    assert set(replays.generations().values()) == {2}
    assert replays.get(replay_id)["counts"] == {"matched": 2 * SMALL, "replayed": 2 * SMALL, "skipped": 0}


def test_a_double_of_the_last_step_waits_until_the_next_is_surely_sent(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the only message left for the job, so after a while it sends the lost next step."""
    monkeypatch.setattr(bulk_replay, "PAGE", 2)
    replays = replaying(posthorn)
    replays.settle(SMALL)
    replays.start()
    (first,) = posthorn.take("ReplayQueue")
    posthorn.replay([first])
    assert posthorn.take("ReplayQueue")  # and lost

    assert posthorn.replay([first]) == {first.id}
    assert posthorn.waiting("ReplayQueue") == []
    posthorn.clock.pass_seconds(VISIBILITY)
    assert posthorn.replay([first]) == set()
    assert [message.task["step"] for message in posthorn.waiting("ReplayQueue")] == [2]
    replays.run()
    assert set(replays.generations().values()) == {2}


def test_lost_responses_do_no_harm(posthorn: Installation) -> None:
    """Botocore repeats a write whose response was lost; the second finds the first, and the job continues."""
    replays = replaying(posthorn)
    replays.settle(SMALL)
    with lost_answers("PutItem"):
        replay_id = replays.start()
        replays.run()
    assert set(replays.generations().values()) == {2}
    assert replays.get(replay_id)["counts"] == {"matched": SMALL, "replayed": SMALL, "skipped": 0}


def test_another_replay_in_between(posthorn: Installation) -> None:
    """A delivery that was replayed by another request and failed again is not replayed a second time."""
    replays = replaying(posthorn)
    first, *others = replays.settle(SMALL)
    replay_id = replays.start()
    replays.run(steps=1)
    row = replays.rows()[first]
    again = posthorn.deliveries.restart(row, replay="another", now_ms=posthorn.clock())
    assert again is not None
    posthorn.deliveries.put_all(
        [dataclasses.replace(again, status=Status.FAILED, next_attempt_at=None)], now_ms=posthorn.clock()
    )

    replays.run()

    assert replays.generations() == dict.fromkeys(replays.events, 2)
    assert {event_id: replays.rows()[event_id].replay for event_id in others} == dict.fromkeys(
        others, replay_id
    )
    assert replays.rows()[first].replay == "another"
    assert replays.get(replay_id)["counts"] == {"matched": SMALL, "replayed": SMALL - 1, "skipped": 1}


def test_a_canceled_job_counts_started_deliveries(posthorn: Installation) -> None:
    """A page that crashed halfway before the cancellation is counted exactly and not finished."""
    replays = replaying(posthorn)
    replays.settle(SMALL)
    replay_id = replays.start()
    replays.run(steps=1)
    (message,) = posthorn.take("ReplayQueue")
    with pytest.raises(Died), dying(Death(2, after=True, matches=_begins)):
        posthorn.replay([message])
    assert posthorn.call("POST", f"{replays.path}/{replay_id}/cancel").status == 200

    assert posthorn.replay([message]) == set()

    begun = [event_id for event_id, generation in replays.generations().items() if generation == 2]
    assert len(begun) == 2
    assert replays.asked_for() == [(event_id, 2, 1) for event_id in begun]
    shown = replays.get(replay_id)
    assert shown["state"] == "cancelled"
    assert shown["counts"] == {"matched": SMALL, "replayed": 2, "skipped": 1}


def test_a_cancellation_while_a_page_is_replayed(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The current page is counted, and there is no next one."""
    monkeypatch.setattr(bulk_replay, "PAGE", 2)
    replays = replaying(posthorn)
    replays.settle(2 * SMALL)
    replay_id = replays.start()
    replays.run(steps=1)
    plain = Replays.replace
    cancelled: list[int] = []

    def late(self: Replays, old: ReplayJob, new: ReplayJob) -> bool:
        if not cancelled:
            cancelled.append(0)
            cancelled[0] = posthorn.call("POST", f"{replays.path}/{replay_id}/cancel").status
        return plain(self, old, new)

    monkeypatch.setattr(Replays, "replace", late)
    replays.run()

    assert cancelled == [200]
    assert sorted(replays.generations().values()) == [1, 1, 1, 1, 2, 2]
    shown = replays.get(replay_id)
    assert (shown["state"], shown["counts"]) == ("cancelled", {"matched": 2, "replayed": 2, "skipped": 0})
