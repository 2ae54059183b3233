"""Limits on rates: published events and test events."""

from __future__ import annotations

import math
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from botocore.client import BaseClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posthorn.api.rates import BURST_SECONDS, Rates, rate_of_events
from posthorn.aws import clients
from posthorn.domain.limits import MAX_BATCH
from posthorn.stores.token_buckets import TokenBuckets
from tests.customers import Customer
from tests.installation import running
from tests.moto_account import stored_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.installation import Installation, Reply

EVENT = {"event": "CONTACT_CREATED", "data": {"n": 1}}


@pytest.fixture
def customer(posthorn: Installation) -> Customer:
    return Customer(posthorn)


@pytest.fixture
def calls() -> Iterator[list[str]]:
    """Return a list that collects every AWS call that concerns a bucket."""
    made: list[str] = []
    plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def noted(self: BaseClient, name: str, parameters: Any) -> Any:
        if "bucket#" in repr(parameters):
            made.append(name)
        return plain(self, name, parameters)

    with mock.patch.object(BaseClient, "_make_api_call", noted):
        yield made


def publish(customer: Customer, number: int = 1) -> Reply:
    return customer.call("POST", "/v1/events", EVENT if number == 1 else {"events": [EVENT] * number})


def events(posthorn: Installation) -> int:
    return len(stored_rows([posthorn.tables["EventsTable"]]))


def retry_after(reply: Reply) -> int:
    assert (reply.status, reply.body["code"]) == (429, "rate_limited")
    return int(reply.headers["retry-after"])


def new_rates(posthorn: Installation) -> Rates:
    """Return the rates of another process."""
    return Rates(
        TokenBuckets(clients.client("dynamodb"), posthorn.tables["ConfigTable"]), clock=posthorn.clock
    )


def test_what_is_beyond_the_rate_is_refused_and_told_when_to_come_back(customer: Customer) -> None:
    """Unused seconds can be caught up on; then the answer is 429, nothing is written, and waiting helps."""
    customer.limit(eventsPerSecond=20)
    assert [publish(customer, 100).status, publish(customer).status] == [202, 202]
    customer.posthorn.clock.pass_seconds(1)
    assert publish(customer, 100).status == 202
    refused = publish(customer, 100)
    before = events(customer.posthorn)

    assert refused.body["detail"].startswith(
        "Must stay within the workspace's limit `eventsPerSecond`, which is 20."
    )
    assert "errors" not in refused.body
    customer.posthorn.clock.pass_seconds(retry_after(refused) - 1)
    again = publish(customer, 100)
    customer.posthorn.clock.pass_seconds(retry_after(again))

    assert before == 201
    assert publish(customer, 100).status == 202


def test_a_full_batch_fits_into_the_smallest_rate(customer: Customer) -> None:
    """With one event a second, a batch of 100 is accepted, and the next one after 100 seconds."""
    customer.limit(eventsPerSecond=1)
    assert publish(customer, 100).status == 202
    refused = publish(customer, 100)
    assert retry_after(refused) == 100
    customer.posthorn.clock.pass_seconds(100)
    assert publish(customer, 100).status == 202


def test_a_workspace_without_a_limit_has_no_bucket(customer: Customer, calls: list[str]) -> None:
    """Publishing for it makes no call about rates."""
    assert [publish(customer, number).status for number in (1, 100)] == [202, 202]
    assert calls == []


def test_a_process_takes_tokens_once_a_second(customer: Customer, calls: list[str]) -> None:
    """However many requests come in a second, one takes tokens, for the others as well."""
    customer.limit(eventsPerSecond=50)
    for _ in range(4):
        assert {publish(customer).status for _ in range(50)} == {202}
        customer.posthorn.clock.pass_seconds(1)
    assert Counter(calls) == {"GetItem": 4, "UpdateItem": 4}


def test_refusing_takes_no_call_either(customer: Customer, calls: list[str]) -> None:
    """Within a second of asking in vain, a process asks no more."""
    customer.limit(eventsPerSecond=1)
    publish(customer, 100)
    calls.clear()
    assert {retry_after(publish(customer, 100)) for _ in range(20)} == {100}
    assert calls == []


def test_the_rate_is_that_of_the_workspace(customer: Customer) -> None:
    """A neighbour with the same limit is not held up, and another process of the installation is."""
    posthorn = customer.posthorn
    neighbour = Customer(posthorn, "cust_2")
    for one in (customer, neighbour):
        one.limit(eventsPerSecond=1)
    assert publish(customer, 100).status == 202
    assert publish(customer).status == 429
    found = posthorn.services.workspaces.find(customer.uid)
    assert found is not None
    assert new_rates(posthorn).take({found.id: (rate_of_events(1), 1)}) == {found.id: 1}
    assert publish(neighbour).status == 202


def test_a_parameter_limits_every_workspace() -> None:
    """A workspace's own limit decides instead, whether it is higher or none."""
    with running(EventsPerSecondLimit="1") as posthorn:
        by_default, more, none = (Customer(posthorn, uid) for uid in ("a", "b", "c"))
        more.limit(eventsPerSecond=30)
        none.limit(eventsPerSecond=0)
        statuses: dict[str, list[int]] = {}
        for one in (by_default, more, none):
            statuses[one.uid] = []
            for _ in range(3):
                posthorn.clock.pass_seconds(1)
                statuses[one.uid].append(publish(one, 100).status)
    assert statuses == {"a": [202, 429, 429], "b": [202, 202, 202], "c": [202, 202, 202]}


def test_a_raised_limit_and_a_removed_one_take_effect(customer: Customer) -> None:
    """Requests that were refused succeed after the change is known."""
    customer.limit(eventsPerSecond=1)
    publish(customer, 100)
    assert publish(customer, 100).status == 429
    customer.limit(eventsPerSecond=4)  # known after half a minute
    assert publish(customer, 100).status == 202
    assert publish(customer, 100).status == 429
    customer.limit()
    assert {publish(customer, 100).status for _ in range(5)} == {202}


def test_one_workspace_over_its_rate_refuses_the_whole_batch(posthorn: Installation) -> None:
    """Nothing is written, the events of that workspace are pointed to, and the tokens of the others stay."""
    fast, slow, free = (Customer(posthorn, uid) for uid in ("fast", "slow", "free"))
    fast.limit(eventsPerSecond=1)
    slow.limit(eventsPerSecond=1)
    assert publish(slow, 100).status == 202
    before = events(posthorn)
    batch = [{**EVENT, "workspace": uid} for uid in ("fast", "slow", "free", "slow", *["fast"] * 96)]
    headers = {"idempotency-key": "one"}

    def send() -> Reply:
        return posthorn.call("POST", "/v1/events", {"events": batch}, key=fast.key, headers=headers)

    refused = send()
    assert retry_after(refused) == 2
    assert [error["pointer"] for error in refused.body["errors"]] == [
        "/events/1/workspace",
        "/events/3/workspace",
    ]
    assert events(posthorn) == before
    assert "idempotency" not in repr(stored_rows([posthorn.tables["ConfigTable"]]))
    posthorn.clock.pass_seconds(2)
    assert send().status == 202
    assert publish(free).status == 202


def test_suspended_workspaces_and_wrong_events_take_no_tokens(customer: Customer) -> None:
    """What is refused for another reason does not count."""
    customer.limit(eventsPerSecond=1)
    for _ in range(3):
        wrong = {"events": [EVENT] * 99 + [{**EVENT, "event": "UNKNOWN_TYPE"}]}
        assert customer.call("POST", "/v1/events", wrong).status == 422
    assert publish(customer, 100).status == 202


def test_test_events_have_a_rate_of_their_own(customer: Customer) -> None:
    """60 a minute by default; beyond that the answer is 429, and waiting helps; publishing is not held up."""
    with running(TestSendsPerMinuteLimit="60") as posthorn:
        customer = Customer(posthorn)
        path = f"/v1/webhooks/{customer.webhook().body['webhook']['id']}/test"
        statuses = Counter(customer.call("POST", path).status for _ in range(60))
        refused = customer.call("POST", path)
        wait = retry_after(refused)
        posthorn.clock.pass_seconds(wait)

        assert statuses == {202: 60}
        assert "`testSendsPerMinute`, which is 60" in refused.body["detail"]
        assert wait == 1
        assert [customer.call("POST", path).status for _ in range(2)] == [202, 429]
        assert publish(customer).status == 202
        customer.limit(testSendsPerMinute=0)
        assert {customer.call("POST", path).status for _ in range(70)} == {202}


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    limit=st.integers(1, 200),
    requests=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([0, 0, 0.3, 1, 4, 15]), st.integers(1, MAX_BATCH)),
        min_size=1,
        max_size=40,
    ),
)
def test_processes_together_stay_within_the_limit(
    posthorn: Installation, limit: int, requests: list[tuple[int, float, int]]
) -> None:
    """Their sum never exceeds limit x time + burst, and a process that waits as told is served if it is alone."""
    processes = [new_rates(posthorn) for _ in range(4)]
    workspace, start, accepted = posthorn.new_id(), posthorn.clock(), 0
    burst = max(BURST_SECONDS * limit, MAX_BATCH)
    for process, pause, number in requests:
        posthorn.clock.pass_seconds(pause)
        wanted = {workspace: (rate_of_events(limit), number)}
        waits = processes[process].take(wanted)
        if waits:
            posthorn.clock.pass_seconds(waits[workspace])
            assert processes[process].take(wanted) == {}, "the wait was too short"
        accepted += number
        assert accepted <= limit * (posthorn.clock() - start) / 1000 + burst


def test_tokens_that_another_process_took_are_not_taken_again(posthorn: Installation) -> None:
    """Two processes that read a bucket at the same moment cannot both empty it, whether it was full or not."""
    store = TokenBuckets(clients.client("dynamodb"), posthorn.tables["ConfigTable"])
    bucket, workspace, now = rate_of_events(10).bucket, posthorn.new_id(), posthorn.clock() * 1000

    def take(tokens: int, taken_until: int) -> bool:
        return store.take(workspace, "x", bucket, tokens, taken_until=taken_until, now=now)

    assert [take(60, 0), take(60, 0)] == [True, False]
    read = store.taken_until(workspace, "x")
    assert [take(30, read), take(30, read), take(10, read)] == [True, False, True]


def test_a_wait_counts_no_tokens_that_will_be_dropped(posthorn: Installation) -> None:
    """A process drops what it holds after ten seconds, so a longer wait must make up for it."""
    process, workspace = new_rates(posthorn), posthorn.new_id()
    assert process.take({workspace: (rate_of_events(1), 50)}) == {}
    posthorn.clock.pass_seconds(1)
    wanted = {workspace: (rate_of_events(1), 100)}
    posthorn.clock.pass_seconds(process.take(wanted)[workspace])
    assert process.take(wanted) == {}


def test_concurrent_processes_share_a_burst(posthorn: Installation) -> None:
    """Eight processes that start at the same moment publish no more than the burst, and not much less."""
    limit, workspace = 10, posthorn.new_id()
    processes = [new_rates(posthorn) for _ in range(8)]
    together = Barrier(8, timeout=30)

    def run(process: Rates) -> int:
        together.wait()
        return sum(process.take({workspace: (rate_of_events(limit), 1)}) == {} for _ in range(60))

    with ThreadPoolExecutor(8) as pool:
        accepted = sum(pool.map(run, processes))
    assert accepted <= BURST_SECONDS * limit
    assert accepted >= math.floor(BURST_SECONDS * limit / 2)
