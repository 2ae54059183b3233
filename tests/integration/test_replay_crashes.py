"""Bulk replays that die, come twice or come late: each delivery is begun anew exactly once, and the counts are exact."""

from __future__ import annotations

from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any, Final

import pytest

from posthorn import replay
from posthorn.models import Status
from tests.replays import VISIBILITY, Death, replaying

if TYPE_CHECKING:
    from tests.installation import Installation

MANY: Final = 5000

SMALL: Final = 7  # deliveries, in pages of three


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


# the calls around the boundary between two pages, in their order, and at which of them
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
    """Every page dies once, each time a call later: all are begun anew once, none twice, and the counts say so."""
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

    replays.run(dies_once_per_page)

    assert died >= MANY // replay.PAGE
    assert set(replays.generations().values()) == {2}
    assert replays.asked_for() == sorted((event_id, 2, 1) for event_id in replays.events)
    shown = replays.get(replay_id)
    assert shown["state"] == "done"
    assert shown["counts"] == {"matched": MANY, "replayed": MANY, "skipped": 0}


def test_a_crash_at_every_call(posthorn: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a small replay dies, before or after any call to AWS, it goes on as if it had not."""
    monkeypatch.setattr(replay, "PAGE", 3)
    calls = _calls_of_a_whole_replay(posthorn)
    assert calls > 30
    for at in range(1, calls + 1):
        for after in (False, True):
            replays = replaying(posthorn)
            replays.settle(SMALL)
            replay_id = replays.start()
            death = Death(at, after=after)

            replays.run(lambda _, death=death: None if death.is_over else death)

            assert death.is_over
            _assert_each_once(posthorn, replays.endpoint_id, replays, replay_id, (at, after))


def _calls_of_a_whole_replay(posthorn: Installation) -> int:
    replays = replaying(posthorn)
    replays.settle(SMALL)
    replays.start()
    never = Death(0, after=False)
    replays.run(lambda _: never)
    return never.calls


def _assert_each_once(
    posthorn: Installation, endpoint_id: str, replays: Any, replay_id: str, where: Any
) -> None:
    assert set(replays.generations().values()) == {2}, where
    assert replays.asked_for() == sorted((event_id, 2, 1) for event_id in replays.events), where
    shown = replays.get(replay_id)
    assert (shown["state"], shown["progress"]["fraction"]) == ("done", 1), where
    assert shown["counts"] == {"matched": SMALL, "replayed": SMALL, "skipped": 0}, where
