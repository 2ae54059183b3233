"""Limits on work: bulk replays at the same time, and the deliveries of one request."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from posthorn.domain.clock import rfc3339_ms
from tests.customers import Customer, is_refused
from tests.installation import START_MS, running
from tests.moto_account import stored_rows
from tests.template import load

if TYPE_CHECKING:
    from tests.installation import Installation, Reply

SINCE = rfc3339_ms(START_MS - 3_600_000)
EVENT = {"event": "CONTACT_CREATED", "data": {"n": 1}}


@pytest.fixture
def customer(posthorn: Installation) -> Customer:
    return Customer(posthorn)


def webhooks(customer: Customer, number: int) -> list[str]:
    """Register webhooks and return the paths of their replays."""
    made = [customer.webhook(f"h{at}.example.com").body["webhook"]["id"] for at in range(number)]
    return [f"/v1/webhooks/{webhook_id}/replays" for webhook_id in made]


def replay(customer: Customer, path: str) -> Reply:
    return customer.call("POST", path, {"since": SINCE})


def cancel(customer: Customer, path: str, made: Reply) -> None:
    assert customer.call("POST", f"{path}/{made.body['replay']['id']}/cancel").status == 200


def test_replays_are_limited_in_a_workspace_and_at_an_endpoint(customer: Customer) -> None:
    """A job that is cancelled or done makes room; a refused one leaves nothing behind."""
    customer.limit(replays=2, replaysPerEndpoint=1)
    paths = webhooks(customer, 3)
    first, second = replay(customer, paths[0]), replay(customer, paths[1])
    assert (first.status, second.status) == (202, 202)
    assert is_refused(replay(customer, paths[2]), "replays", 2)
    assert customer.call("GET", paths[2]).body["replays"] == []

    cancel(customer, paths[0], first)
    assert is_refused(replay(customer, paths[1]), "replaysPerEndpoint", 1)
    assert replay(customer, paths[2]).status == 202
    assert is_refused(replay(customer, paths[0]), "replays", 2)

    posthorn = customer.posthorn
    while messages := posthorn.take("ReplayQueue"):
        posthorn.replay(messages)
    assert [replay(customer, path).status for path in paths] == [202, 202, 422]


def test_the_defaults_are_one_of_an_endpoint_and_five_of_a_workspace() -> None:
    """They hold where nobody set a limit; a workspace's own limits decide instead."""
    defaults = {name: load().defaults[name] for name in ("ReplayLimit", "ReplaysPerEndpointLimit")}
    with running(**defaults) as posthorn:
        customer, other = Customer(posthorn, "a"), Customer(posthorn, "b")
        other.limit(replays=7, replaysPerEndpoint=0)
        paths, (path,) = webhooks(customer, 6), webhooks(other, 1)
        assert is_refused([replay(customer, paths[0]) for _ in range(2)][1], "replaysPerEndpoint", 1)
        assert [replay(customer, path).status for path in paths[1:]] == [202] * 4 + [422]
        assert [replay(other, path).status for _ in range(8)] == [202] * 7 + [422]


def test_a_dry_run_holds_up_no_replay_of_its_endpoint(customer: Customer) -> None:
    """It sends nothing, so only the workspace's limit counts it."""
    customer.limit(replays=3, replaysPerEndpoint=1)
    (path,) = webhooks(customer, 1)
    dry = {"since": SINCE, "dryRun": True}
    assert [customer.call("POST", path, body).status for body in (dry, {"since": SINCE}, dry)] == [202] * 3
    assert is_refused(customer.call("POST", path, dry), "replays", 3)


def test_lowering_the_limit_stops_no_replay(customer: Customer) -> None:
    """Those that run go on, and new ones are refused until there are fewer than the limit."""
    paths = webhooks(customer, 5)
    made = [replay(customer, path) for path in paths[:4]]
    customer.limit(replays=2)
    for at in (0, 1):
        assert is_refused(replay(customer, paths[4]), "replays", 2)
        cancel(customer, paths[at], made[at])
    assert is_refused(replay(customer, paths[4]), "replays", 2)
    cancel(customer, paths[2], made[2])
    assert [replay(customer, path).status for path in (paths[4], paths[0])] == [202, 422]


def test_a_replay_whose_row_is_gone_takes_no_place(customer: Customer) -> None:
    """A job that was lost before it ended makes room when its row expires."""
    customer.limit(replays=1)
    paths = webhooks(customer, 2)
    made = replay(customer, paths[0]).body["replay"]["id"]
    endpoint_id = paths[0].split("/")[3]
    job = customer.posthorn.services.replays.get(endpoint_id, made)
    assert job is not None
    customer.posthorn.services.replays.remove(job)
    assert replay(customer, paths[1]).status == 202


@pytest.mark.parametrize("same_endpoint", [False, True])
def test_concurrent_replays_do_not_pass_the_limit(customer: Customer, *, same_endpoint: bool) -> None:
    """Of eight requests at the same moment, exactly as many succeed as there is room."""
    name = "replaysPerEndpoint" if same_endpoint else "replays"
    customer.limit(**{name: 5})
    paths = webhooks(customer, 8)
    together = Barrier(8, timeout=30)

    def start(at: int) -> int:
        together.wait()
        return replay(customer, paths[0 if same_endpoint else at]).status

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(start, range(8))) == {202: 5, 422: 3}


def test_a_repeated_replay_is_one(customer: Customer) -> None:
    """A request that is sent again finds its job, even at the limit; a refused one can be repeated when there is room."""
    customer.limit(replays=1)
    paths = webhooks(customer, 2)
    headers = {"posthorn-workspace": customer.uid, "idempotency-key": "one"}

    def send(path: str) -> Reply:
        return customer.posthorn.call("POST", path, {"since": SINCE}, key=customer.key, headers=headers)

    first = send(paths[0])
    assert send(paths[0]).body == first.body
    assert is_refused(send(paths[1]), "replays", 1)
    cancel(customer, paths[0], first)
    assert send(paths[1]).status == 202


def test_the_deliveries_of_a_request_are_limited(customer: Customer) -> None:
    """Events times endpoints count; a single event is always accepted; nothing of a refused batch is written."""
    customer.limit(deliveriesPerRequest=6)
    webhooks(customer, 3)
    before = len(stored_rows([customer.posthorn.tables["EventsTable"]]))
    refused = customer.call("POST", "/v1/events", {"events": [EVENT] * 3})
    after = len(stored_rows([customer.posthorn.tables["EventsTable"]]))
    assert is_refused(refused, "deliveriesPerRequest", 6)
    assert before == after
    assert customer.call("POST", "/v1/events", {"events": [EVENT] * 2}).status == 202
    customer.limit(deliveriesPerRequest=2)
    assert customer.call("POST", "/v1/events", EVENT).status == 202
    assert customer.call("POST", "/v1/events", {"events": [EVENT]}).status == 202
    assert is_refused(customer.call("POST", "/v1/events", {"events": [EVENT] * 2}), "deliveriesPerRequest", 2)


def test_a_request_is_limited_by_default() -> None:
    """With the template's default, a full batch reaches 100 endpoints and no more; 0 removes the limit."""
    with running(DeliveriesPerRequestLimit=load().defaults["DeliveriesPerRequestLimit"]) as posthorn:
        customer = Customer(posthorn)
        webhooks(customer, 101)
        batch = {"events": [EVENT] * 100}
        assert is_refused(customer.call("POST", "/v1/events", batch), "deliveriesPerRequest", 10_000)
        assert customer.call("POST", "/v1/events", {"events": [EVENT] * 99}).status == 202
        customer.limit(deliveriesPerRequest=0)
        assert customer.call("POST", "/v1/events", batch).status == 202


def test_each_workspace_of_a_batch_has_its_own_limit(posthorn: Installation) -> None:
    """One workspace over its limit refuses the batch, with pointers to its events."""
    small, large = Customer(posthorn, "small"), Customer(posthorn, "large")
    small.limit(deliveriesPerRequest=2)
    for one in (small, large):
        webhooks(one, 2)

    def send(*uids: str) -> Reply:
        batch = {"events": [{**EVENT, "workspace": uid} for uid in uids]}
        return posthorn.call("POST", "/v1/events", batch, key=small.key)

    refused = send("large", "small", "large", "small")
    assert is_refused(refused, "deliveriesPerRequest", 2)
    pointers = [error["pointer"] for error in refused.body["errors"]]
    assert pointers == ["/events/1/workspace", "/events/3/workspace"]
    assert send("large", "small", "large").status == 202
