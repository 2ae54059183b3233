"""Part 3: the three calls of the published API, then mails to the mailbox simulator."""

from __future__ import annotations

import queue
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from infra.demo.arrivals import DemoFailed, check_signatures, next_arrival
from infra.demo.receivers import EMAIL, Arrival, Receiver, listening
from infra.demo.timeline import Timeline

if TYPE_CHECKING:
    from infra.demo.api import Api

SETS: Final = "/api/v1/partner/email/configuration-sets"
SECRET: Final = "your-shared-secret-32-chars"  # noqa: S105 - as printed in the published example
EXPECTED: Final = {
    "success@simulator.amazonses.com": ["Send", "Delivery"],
    "bounce@simulator.amazonses.com": ["Send", "Bounce"],
    "complaint@simulator.amazonses.com": ["Send", "Delivery", "Complaint"],
}
"""The events of a mail to each address, as SES documents its simulator."""


def run(api: Api) -> None:
    """Make the three calls, send three mails, and watch their events."""
    arrivals: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
    receiver = Receiver("yourapp", EMAIL, (200,), arrivals.put)
    receiver.secret = SECRET
    with listening(receiver):
        timeline = Timeline()
        _make_calls(api, timeline, receiver)
        mails = {_send(api, timeline, address): address for address in EXPECTED}
        _follow(arrivals, timeline, mails)


def _make_calls(api: Api, timeline: Timeline, receiver: Receiver) -> None:
    set_id = api.call(
        "POST",
        SETS,
        {"name": "production", "suppression_options": "BOUNCE_AND_COMPLAINT"},
        expect=201,
    )["config_set_id"]
    timeline.say("you", f"POST …/configuration-sets   production is {set_id}")
    api.call(
        "POST",
        f"{SETS}/{set_id}/event-destinations",
        {
            "name": "production-webhook",
            "destination_type": "WEBHOOK",
            "webhook_url": receiver.url,
            "webhook_secret": SECRET,
            "matching_event_types": ["send", "delivered", "bounce", "complaint", "open", "click"],
        },
        expect=201,
    )
    timeline.say(
        "you", "POST …/event-destinations   yourapp subscribes to send, delivered, bounce, complaint, …"
    )


def _send(api: Api, timeline: Timeline, address: str) -> str:
    message_id: str = api.call(
        "POST",
        "/api/v1/partner/email/send",
        {
            "from": "hello@yourcompany.com",
            "to": [address],
            "subject": "Welcome",
            "html_body": "<h1>Hi</h1>",
            "configuration_set_name": "production",
        },
        expect=202,
    )["message_id"]
    timeline.say("you", f"POST …/email/send           to {address}")
    return message_id


def _follow(arrivals: queue.SimpleQueue[Arrival], timeline: Timeline, mails: dict[str, str]) -> None:
    """Show every event as it arrives, and check that it was expected for one of the mails."""
    waiting = {address: Counter(events) for address, events in EXPECTED.items()}
    while any(count.total() for count in waiting.values()):
        arrival = next_arrival(arrivals)
        address = mails.get(_message_id(arrival.payload), "")
        timeline.mail_event(arrival, address)
        check_signatures(arrival)
        if not address or not waiting[address][arrival.event]:
            raise DemoFailed(f"unexpected {arrival.event} about {address or 'an unknown mail'}")
        waiting[address][arrival.event] -= 1


def _message_id(payload: dict[str, Any]) -> str:
    message_id: str = payload["mail"]["messageId"]
    return message_id
