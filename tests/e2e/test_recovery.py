"""A receiver breaks, is repaired, and gets everything that it missed: the walkthrough of the README."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from posthorn_cli.access import create_workspace_key
from tests.e2e.customer import Customer, awaited

if TYPE_CHECKING:
    from infra.local.stack import Stack
    from tests.e2e.verification import Receiving
    from tests.receivers.recorder import Recorded

EVENTS = 12


def test_missed_events_are_replayed_once(stack: Stack, receiving: Receiving) -> None:
    """After a dry run that counts them, a replay delivers each failed event once and no delivered one."""
    _, key = create_workspace_key(
        stack.client("dynamodb"),
        stack.outputs["ConfigTableName"],
        workspace_name="recovery",
        scopes=["publish", "api_user", "user"],
    )
    customer = Customer(stack.api_url, key)
    broken = True

    def answer(_: Recorded) -> int:
        return 500 if broken else 200

    with receiving(answer) as receiver:
        webhook = customer.register(receiver.url)
        path = f"/v1/webhooks/{webhook['id']}"
        missed = {customer.publish({"n": number}) for number in range(EVENTS)}
        for event_id in missed:
            (delivery,) = customer.settled(event_id)
            assert (delivery["status"], delivery["reason"]) == ("failed", "exhausted")

        broken = False
        fine = customer.publish({"n": "fine"})
        assert customer.settled(fine)[0]["status"] == "delivered"
        seen = len(receiver.recorded)

        _, listed = customer.call("GET", f"{path}/deliveries?status=undelivered")
        assert {one["eventId"] for one in listed["deliveries"]} == missed

        wanted = {"since": webhook["createdAt"]}
        dry = _finished(customer, path, {**wanted, "dryRun": True})
        assert dry["counts"]["matched"] == EVENTS
        assert len(receiver.recorded) == seen

        replay = _finished(customer, path, wanted)
        assert replay["counts"]["replayed"] == EVENTS
        for event_id in missed:
            (delivery,) = customer.settled(event_id)
            assert delivery["status"] == "delivered"
        again: list[Recorded] = receiver.recorded[seen:]

    assert Counter(one.id for one in again) == Counter(missed)
    _, detail = customer.call("GET", f"{path}/deliveries/{min(missed)}")
    generations = [attempt["generation"] for attempt in detail["delivery"]["attempts"]]
    assert generations == [1, 1, 1, 1, 2]


def _finished(customer: Customer, path: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """Start a replay and return it as soon as it is done."""
    status, body = customer.call("POST", f"{path}/replays", wanted)
    assert status == 202, body

    def ask() -> dict[str, Any] | None:
        _, found = customer.call("GET", f"{path}/replays/{body['replay']['id']}")
        job: dict[str, Any] = found["replay"]
        return job if job["state"] == "done" else None

    return awaited(ask)
