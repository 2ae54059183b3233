"""Limits on numbers of things: endpoints, endpoints of a host, configuration sets."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posthorn.aws import clients
from tests.customers import SETS, Customer, is_refused
from tests.installation import running
from tests.template import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.installation import Installation, Reply

KINDS = ("endpoints", "endpointsPerHost", "configurationSets")
PARAMETERS = {
    "endpoints": "EndpointLimit",
    "endpointsPerHost": "EndpointsPerHostLimit",
    "configurationSets": "ConfigurationSetLimit",
}


@pytest.fixture
def customer(posthorn: Installation) -> Customer:
    return Customer(posthorn)


@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_of_a_workspace_is_exact(customer: Customer, kind: str) -> None:
    """As many are created as the limit says, the next one is refused, and a deletion makes room for one."""
    customer.limit(**{kind: 3})
    made = [customer.create(kind) for _ in range(3)]
    refused = customer.create(kind)
    customer.delete(kind, made[1])
    after = customer.create(kind)

    assert [one.status for one in (*made, after)] == [201] * 4
    assert is_refused(refused, kind, 3)
    assert is_refused(customer.create(kind), kind, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_parameter_limits_every_workspace_without_a_limit_of_its_own(kind: str) -> None:
    """A workspace's own limit decides instead, whether it is higher, lower, or none."""
    with running(**{PARAMETERS[kind]: "2"}) as posthorn:
        by_default, more, none = (Customer(posthorn, uid) for uid in ("a", "b", "c"))
        more.limit(**{kind: 3})
        none.limit(**{kind: 0})
        statuses = {
            one.uid: Counter(one.create(kind).status for _ in range(5)) for one in (by_default, more, none)
        }
    assert statuses == {"a": {201: 2, 422: 3}, "b": {201: 3, 422: 2}, "c": {201: 5}}


def test_the_defaults_hold_where_nobody_set_a_limit() -> None:
    """With the template's defaults, a host has 10 endpoints and a workspace 10 sets; other hosts have room."""
    defaults = {name: load().defaults[name] for name in PARAMETERS.values()}
    with running(**defaults) as posthorn:
        customer = Customer(posthorn)
        hosts = [customer.webhook().status for _ in range(11)]
        sets = [customer.configuration_set().status for _ in range(11)]
        other = customer.webhook("other.example.com").status
    assert (hosts, sets, other) == ([201] * 10 + [422], [201] * 10 + [422], 201)


@pytest.mark.parametrize("kind", KINDS)
def test_lowering_a_limit_deletes_nothing(customer: Customer, kind: str) -> None:
    """What is above a lowered limit stays, and new ones are refused until there are fewer; a raised limit has room."""
    made = [customer.create(kind) for _ in range(4)]
    customer.limit(**{kind: 2})
    refused = [customer.create(kind)]
    for one in made[:2]:
        customer.delete(kind, one)
        refused.append(customer.create(kind))
    customer.delete(kind, made[2])
    after = customer.create(kind)
    customer.limit(**{kind: 3})

    assert all(is_refused(one, kind, 2) for one in refused)
    assert after.status == 201
    assert customer.create(kind).status == 201
    assert is_refused(customer.create(kind), kind, 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("there", [0, 2])
def test_concurrent_requests_do_not_pass_a_limit(customer: Customer, kind: str, there: int) -> None:
    """Of eight requests at the same moment, exactly as many succeed as there is room."""
    made = [customer.create(kind) for _ in range(there + 1)]
    customer.delete(kind, made.pop())  # the limit was reached once, and is not any more
    customer.limit(**{kind: there + 3})
    together = Barrier(8, timeout=30)

    def create(_: int) -> int:
        together.wait()
        return customer.create(kind).status

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(create, range(8))) == {201: 3, 422: 5}
    assert is_refused(customer.create(kind), kind, there + 3)


@pytest.mark.parametrize(
    "same",
    [
        "https://HOOKS.example.com/a",
        "https://hooks.example.com:8443/b",
        "https://hooks.example.com?q",
    ],
)
def test_hosts_are_compared_as_names(customer: Customer, same: str) -> None:
    """Upper case, a port or a path do not make another host."""
    customer.limit(endpointsPerHost=1)
    assert customer.webhook().status == 201
    body = {"url": same, "events": ["CONTACT_CREATED"]}
    assert is_refused(customer.call("POST", "/v1/webhooks", body), "endpointsPerHost", 1)
    assert customer.webhook("a.hooks.example.com").status == 201


@pytest.mark.parametrize("same", ["xn--bcher-kva.example.com", "XN--Bcher-KVA.example.com"])
def test_punycode_is_compared_in_lower_case(customer: Customer, same: str) -> None:
    """A name in its ASCII form is one host however it is spelled; its Unicode form and a trailing dot are refused."""
    customer.limit(endpointsPerHost=1)
    assert customer.webhook("xn--bcher-kva.example.com").status == 201
    assert is_refused(customer.webhook(same), "endpointsPerHost", 1)
    codes = [customer.webhook(host).body["code"] for host in (f"{same}.", "bücher.example.com")]
    assert codes == ["url_host", "url_characters"]


def test_an_endpoint_takes_its_place_to_another_host(customer: Customer) -> None:
    """A new URL needs room at its host and frees the old one; a new path needs none; a refused change changes nothing."""
    customer.limit(endpointsPerHost=1)
    first, second = customer.webhook("a.example.com"), customer.webhook("b.example.com")

    def move(made: Reply, url: str, **fields: Any) -> Reply:
        return customer.call("PUT", f"/v1/webhooks/{made.body['webhook']['id']}", {"url": url, **fields})

    refused = [move(first, "https://b.example.com/x"), move(first, "https://b.example.com/x", enabled=False)]
    assert all(is_refused(one, "endpointsPerHost", 1) for one in refused)
    shown = customer.call("GET", f"/v1/webhooks/{first.body['webhook']['id']}").body["webhook"]
    assert (shown["url"], shown["enabled"]) == ("https://a.example.com/hook", True)

    assert move(first, "https://a.example.com/y").status == 200
    assert move(second, "https://c.example.com/x", enabled=False).status == 200
    assert move(first, "https://b.example.com/x").status == 200
    assert [customer.webhook(f"{host}.example.com").status for host in "abc"] == [201, 422, 422]


def test_event_destinations_are_endpoints(customer: Customer) -> None:
    """They count like webhooks, of all sets together, and are no longer counted when their set is deleted."""
    customer.limit(endpoints=3, endpointsPerHost=2)
    ids = [customer.configuration_set().body["config_set_id"] for _ in range(2)]

    def destination(set_id: str, host: str) -> Reply:
        body = {
            "name": "x",
            "destination_type": "WEBHOOK",
            "webhook_url": f"https://{host}.example.com/x",
            "webhook_secret": "s" * 32,
            "matching_event_types": ["*"],
        }
        return customer.call("POST", f"{SETS}/{set_id}/event-destinations", body)

    assert [destination(one, "a").status for one in ids] == [201, 201]
    assert is_refused(customer.webhook("a.example.com"), "endpointsPerHost", 2)
    assert customer.webhook("b.example.com").status == 201
    assert is_refused(destination(ids[0], "c"), "endpoints", 3)
    assert customer.call("DELETE", f"{SETS}/{ids[0]}").status == 200
    assert [customer.webhook("a.example.com").status for _ in range(2)] == [201, 422]


def test_an_unreadable_endpoint_gives_its_place_back(customer: Customer) -> None:
    """A row that a later version wrote can be deleted, and is no longer counted."""
    customer.limit(endpoints=1, endpointsPerHost=1)
    made = customer.webhook()
    webhook_id = made.body["webhook"]["id"]
    workspace = customer.posthorn.services.workspaces.find(customer.uid)
    assert workspace is not None
    clients.client("dynamodb").update_item(
        TableName=customer.posthorn.tables["ConfigTable"],
        Key={"pk": {"S": workspace.id}, "sk": {"S": f"endpoint#{webhook_id}"}},
        UpdateExpression="SET v = :later",
        ExpressionAttributeValues={":later": {"N": "99"}},
    )
    assert customer.call("DELETE", f"/v1/webhooks/{webhook_id}").status == 200
    assert customer.call("DELETE", f"/v1/webhooks/{webhook_id}").status == 404
    assert [customer.webhook().status for _ in range(2)] == [201, 422]


def test_a_repetition_is_counted_once(customer: Customer) -> None:
    """A request with an Idempotency-Key that is sent again finds its webhook, even at the limit."""
    customer.limit(endpoints=2)
    headers = {"posthorn-workspace": customer.uid, "idempotency-key": "one"}
    body = {"url": "https://a.example.com/x", "events": ["CONTACT_CREATED"]}
    call: Callable[[], Reply] = lambda: customer.posthorn.call(  # noqa: E731 - three times the same request
        "POST", "/v1/webhooks", body, key=customer.key, headers=headers
    )
    first, again = call(), call()
    second = customer.webhook()

    assert first.body == again.body == call().body
    assert second.status == 201
    assert is_refused(customer.webhook(), "endpoints", 2)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("create"), st.integers(0, 2)),
            st.tuples(st.just("delete"), st.integers(0, 5)),
            st.tuples(st.just("move"), st.integers(0, 5), st.integers(0, 2)),
            st.tuples(st.just("limit"), st.integers(0, 4), st.integers(0, 2)),
        ),
        max_size=14,
    )
)
def test_any_sequence_of_changes_is_counted_exactly(steps: list[tuple[Any, ...]]) -> None:
    """Whatever is created, moved, deleted and limited: a request is refused exactly if there is no room."""
    with running() as posthorn:
        customer = Customer(posthorn)
        there: dict[str, int] = {}  # webhook id -> host
        most = at_host = 0

        def has_room(host: int) -> bool:
            return not at_host or list(there.values()).count(host) < at_host

        for step in steps:
            match step:
                case ("create", host):
                    reply = customer.webhook(f"h{host}.example.com")
                    assert (reply.status == 201) == (has_room(host) and not (most and len(there) >= most))
                    if reply.status == 201:
                        there[reply.body["webhook"]["id"]] = host
                case ("delete", number) if there:
                    webhook_id = list(there)[number % len(there)]
                    assert customer.call("DELETE", f"/v1/webhooks/{webhook_id}").status == 200
                    del there[webhook_id]
                case ("move", number, host) if there:
                    webhook_id = list(there)[number % len(there)]
                    body = {"url": f"https://h{host}.example.com/new"}
                    status = customer.call("PUT", f"/v1/webhooks/{webhook_id}", body).status
                    assert (status == 200) == (there[webhook_id] == host or has_room(host))
                    if status == 200:
                        there[webhook_id] = host
                case ("limit", most, at_host):
                    customer.limit(endpoints=most, endpointsPerHost=at_host)
