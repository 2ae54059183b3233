"""What stops a bulk replay: disabling or deleting its endpoint, and a cancellation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.replays import replaying

if TYPE_CHECKING:
    from tests.installation import Installation


def test_a_disabled_endpoint(posthorn: Installation) -> None:
    """A replay is refused, but a dry run is not, and the refused key may be used again."""
    replays = replaying(posthorn)
    replays.settle(2)
    webhook = f"/v1/webhooks/{replays.endpoint_id}"
    posthorn.call("PUT", webhook, {"enabled": False})
    headers = {"idempotency-key": "one"}
    refused = replays.post(headers=headers)
    assert (refused.status, refused.body["code"]) == (409, "endpoint_disabled")
    dry = replays.start(dryRun=True)
    replays.run()
    assert replays.get(dry)["counts"]["matched"] == 2
    posthorn.call("PUT", webhook, {"enabled": True})
    assert replays.post(headers=headers).status == 202


def test_an_endpoint_that_is_disabled_meanwhile(posthorn: Installation) -> None:
    """The job stops, says why, and counts the deliveries it did not replay."""
    replays = replaying(posthorn)
    replays.settle(150)
    replay_id = replays.start()
    replays.run(steps=2)
    posthorn.call("PUT", f"/v1/webhooks/{replays.endpoint_id}", {"enabled": False})
    replays.run()
    shown = replays.get(replay_id)
    assert (shown["state"], shown["reason"]) == ("stopped", "endpoint_disabled")
    assert shown["counts"] == {"matched": 150, "replayed": 100, "skipped": 50}
    assert "finishedAt" in shown
    assert posthorn.waiting("ReplayQueue") == []


def test_an_endpoint_that_is_deleted_meanwhile(posthorn: Installation) -> None:
    """The job stops and replays nothing more."""
    replays = replaying(posthorn)
    replays.settle(3)
    replay_id = replays.start()
    replays.run(steps=1)
    posthorn.call("DELETE", f"/v1/webhooks/{replays.endpoint_id}")
    replays.run()
    job = posthorn.services.replays.get(replays.endpoint_id, replay_id)
    assert job is not None
    assert (job.state, job.reason) == ("stopped", "endpoint_deleted")
    assert set(replays.generations().values()) == {1}


def test_cancelling(posthorn: Installation) -> None:
    """A job is canceled between two pages; canceling again changes nothing, and a finished job stays."""
    replays = replaying(posthorn)
    replays.settle(250)
    replay_id = replays.start()
    replays.run(steps=2)
    cancelled = posthorn.call("POST", f"{replays.path}/{replay_id}/cancel")
    assert (cancelled.status, cancelled.body["replay"]["state"]) == (200, "cancelled")
    replays.run()
    again = posthorn.call("POST", f"{replays.path}/{replay_id}/cancel")
    assert (again.status, again.body["replay"]) == (200, replays.get(replay_id))
    assert again.body["replay"]["counts"] == {"matched": 200, "replayed": 100, "skipped": 100}
    assert list(replays.generations().values()).count(2) == 100

    done = replays.start(dryRun=True)
    replays.run()
    refused = posthorn.call("POST", f"{replays.path}/{done}/cancel")
    assert (refused.status, refused.body["code"]) == (409, "replay_finished")
