"""Part 1: the platform's key makes a workspace for each of two customers, and publishes to both in one request.

One of them has a limit of one endpoint, and reaches it.
"""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any, Final

from infra.demo.arrivals import DemoFailed, check_signatures, next_arrival
from infra.demo.receivers import WEBHOOK, Arrival, Receiver, listening
from infra.demo.timeline import Timeline

if TYPE_CHECKING:
    from infra.demo.api import Api

UIDS: Final = ("acme", "globex")
LIMITS: Final = {"globex": {"endpoints": 1}}
EVENT: Final = "CONTACT_CREATED"


def run(api: Api) -> None:
    """Make the workspaces, register a webhook in each, publish one batch, and watch each get its own event."""
    arrivals: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
    receivers = {uid: Receiver(uid, WEBHOOK, (200,), arrivals.put) for uid in UIDS}
    with listening(*receivers.values()):
        timeline = Timeline()
        for uid, receiver in receivers.items():
            _sign_up(api, timeline, uid, receiver)
        _reach_the_limit(api, timeline, receivers)
        published = _publish(api, timeline)
        for _ in UIDS:
            arrival = next_arrival(arrivals)
            timeline.arrived(arrival, None)
            check_signatures(arrival)
            if arrival.payload["data"] != published[arrival.receiver]:
                raise DemoFailed(f"{arrival.receiver} received an event that is not its own")


def _sign_up(api: Api, timeline: Timeline, uid: str, receiver: Receiver) -> None:
    limits = LIMITS.get(uid, {})
    api.call("PUT", f"/v1/workspaces/{uid}", {"limits": limits}, expect=201)
    limited = "".join(f", limited to {number} {name.rstrip('s')}" for name, number in limits.items())
    timeline.say("you", f"PUT /v1/workspaces  {uid} signs up{limited}")
    webhook = api.in_workspace(uid).call("POST", "/v1/webhooks", _wanted(receiver), expect=201)["webhook"]
    receiver.secret = webhook["token"]
    timeline.say("you", f"POST /v1/webhooks   {uid} subscribes to {EVENT}")


def _reach_the_limit(api: Api, timeline: Timeline, receivers: dict[str, Receiver]) -> None:
    for uid in LIMITS:
        body = _wanted(receivers[uid])
        code = api.in_workspace(uid).call("POST", "/v1/webhooks", body, expect=422)["code"]
        if code != "limit_reached":
            raise DemoFailed(f"a second webhook was refused with {code}")
        refused = timeline.paint(f"refused, {code}", "yellow")
        timeline.say("you", f"POST /v1/webhooks   {uid} wants a second webhook: {refused}")


def _wanted(receiver: Receiver) -> dict[str, Any]:
    return {"url": receiver.url, "events": [EVENT]}


def _publish(api: Api, timeline: Timeline) -> dict[str, dict[str, Any]]:
    """Publish an event for each customer in one request; return the data by uid."""
    data = {uid: {"contact": {"email": f"ada@{uid}.example"}} for uid in UIDS}
    events = [{"workspace": uid, "event": EVENT, "data": one} for uid, one in data.items()]
    api.call("POST", "/v1/events", {"events": events}, expect=202)
    timeline.say("you", f"POST /v1/events     {EVENT} for {' and '.join(UIDS)}, in one request")
    return data
