"""Part 2: two webhooks, two events, and a receiver that fails at first."""

from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING, Any, Final

from infra.demo.arrivals import PATIENCE, DemoFailed, check_signatures, next_arrival
from infra.demo.receivers import WEBHOOK, Arrival, Receiver, listening
from infra.demo.timeline import Timeline

if TYPE_CHECKING:
    from infra.demo.api import Api

DELAYS: Final = (3, 5, 8)
"""Seconds; they stand for 1, 5 and 15 minutes."""

STEADY_ANSWERS: Final = (200,)
FLAKY_ANSWERS: Final = (500, 503, 500, 200)

# the examples of the published API, as printed
CONTACT_CREATED: Final[dict[str, Any]] = {
    "event": "CONTACT_CREATED",
    "created_at": "2023-04-16T15:45:00Z",
    "data": {
        "contact": {
            "id": "cont_123456789",
            "email": "newcontact@example.com",
            "name": "New Contact",
            "createdAt": "2023-04-16T15:45:00Z",
        }
    },
}
TEAM_MEMBER_JOINED: Final[dict[str, Any]] = {
    "event": "WORKSPACE_TEAM_MEMBER_JOINED",
    "created_at": "2023-04-16T16:30:00Z",
    "data": {
        "workspace": {"id": "wksp_123456789", "name": "My Workspace"},
        "user": {"id": "usr_987654321", "email": "teammember@example.com", "name": "Team Member"},
    },
}


def run(api: Api) -> None:
    """Register, publish, watch, and read the results back."""
    arrivals: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
    steady = Receiver("steady", WEBHOOK, STEADY_ANSWERS, arrivals.put)
    flaky = Receiver("flaky", WEBHOOK, FLAKY_ANSWERS, arrivals.put)
    with listening(steady, flaky):
        timeline = Timeline()
        webhooks = {
            steady.name: _register(
                api, timeline, steady, ["CONTACT_CREATED", "WORKSPACE_TEAM_MEMBER_JOINED"]
            ),
            # the other spelling of CONTACT_CREATED
            flaky.name: _register(api, timeline, flaky, ["contact.created"]),
        }
        published = {}
        for event in (CONTACT_CREATED, TEAM_MEMBER_JOINED):
            answer = api.call("POST", "/v1/events", event, expect=202)
            published[answer["event"]["id"]] = event
            timeline.say("you", f"POST /v1/events    {event['event']} is {answer['event']['id']}")
        expected = len(STEADY_ANSWERS) * 2 + len(FLAKY_ANSWERS)
        _follow(arrivals, timeline, published, expected)
    _read_back(api, timeline, webhooks, published)


def _register(api: Api, timeline: Timeline, receiver: Receiver, events: list[str]) -> str:
    webhook = api.call("POST", "/v1/webhooks", {"url": receiver.url, "events": events}, expect=201)["webhook"]
    receiver.secret = webhook["token"]
    timeline.say("you", f"POST /v1/webhooks  {receiver.name} subscribes to {', '.join(events)}")
    webhook_id: str = webhook["id"]
    return webhook_id


def _follow(
    arrivals: queue.SimpleQueue[Arrival],
    timeline: Timeline,
    published: dict[str, dict[str, Any]],
    expected: int,
) -> None:
    """Show every POST as it arrives, and compare it with the published event and the schedule."""
    last: dict[tuple[str, str], float] = {}
    for _ in range(expected):
        arrival = next_arrival(arrivals)
        failed = arrival.answer >= 300
        timeline.arrived(arrival, DELAYS[arrival.attempt - 1] if failed else None)
        check_signatures(arrival)
        if arrival.payload != published.get(arrival.event_id):
            raise DemoFailed(f"{arrival.receiver} received an event that was not published")
        key = (arrival.receiver, arrival.event_id)
        if arrival.attempt > 1 and arrival.at - last[key] < DELAYS[arrival.attempt - 2]:
            raise DemoFailed(f"attempt {arrival.attempt} arrived at {arrival.receiver} too early")
        last[key] = arrival.at


def _read_back(
    api: Api, timeline: Timeline, webhooks: dict[str, str], published: dict[str, dict[str, Any]]
) -> None:
    """Show every delivery's state from the API, and compare it with what the receivers saw."""
    print()
    names = {webhook_id: name for name, webhook_id in webhooks.items()}
    wanted = {
        (CONTACT_CREATED["event"], "steady"): list(STEADY_ANSWERS),
        (CONTACT_CREATED["event"], "flaky"): list(FLAKY_ANSWERS),
        (TEAM_MEMBER_JOINED["event"], "steady"): list(STEADY_ANSWERS),
    }
    found: dict[tuple[str, str], list[int]] = {}
    for event_id, event in published.items():
        for delivery in _settled(api, event_id):
            name = names[delivery["webhookId"]]
            statuses = [attempt["status"] for attempt in delivery["attempts"]]
            found[event["event"], name] = statuses
            state = timeline.paint(delivery["status"], "green")
            timeline.say(
                "you",
                f"GET /v1/events/…    {event['event']} at {name}: {state}"
                f" after {len(statuses)} attempt{'s' * (len(statuses) > 1)}"
                f" ({', '.join(map(str, statuses))})",
            )
            if delivery["status"] != "delivered":
                raise DemoFailed(f"{event['event']} at {name} is {delivery['status']}")
    if found != wanted:
        raise DemoFailed(f"the API shows {found}, but expected was {wanted}")


def _settled(api: Api, event_id: str) -> list[dict[str, Any]]:
    """Return an event's deliveries once all have settled; the last row is written after its answer."""
    deadline = time.monotonic() + PATIENCE
    while True:
        deliveries: list[dict[str, Any]] = api.call("GET", f"/v1/events/{event_id}", expect=200)["event"][
            "deliveries"
        ]
        if deliveries and all(delivery["status"] in {"delivered", "failed"} for delivery in deliveries):
            return deliveries
        if time.monotonic() > deadline:
            raise DemoFailed(f"the deliveries of {event_id} did not settle: {deliveries}")
        time.sleep(0.2)
