"""Names with slashes and colons through a real HTTP API: in paths, which it decodes, and in deliveries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from posthorn_cli.access import create_workspace_key
from tests.e2e.customer import Customer
from tests.receivers.recorder import always

if TYPE_CHECKING:
    from infra.local.stack import Stack
    from tests.e2e.verification import Receiving

PATH = "/v1/event-types"


@pytest.fixture(scope="module")
def customer(stack: Stack) -> Customer:
    _, key = create_workspace_key(
        stack.client("dynamodb"),
        stack.outputs["ConfigTableName"],
        workspace_name="names",
        scopes=["publish", "api_user", "user", "admin"],
    )
    return Customer(stack.api_url, key)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("orders/create", "orders/*"),
        ("repo:push", "repo:*"),
        ("checkout.session.async_payment_failed", "checkout.*"),
    ],
)
def test_a_name_of_another_publisher_works(
    customer: Customer, receiving: Receiving, name: str, pattern: str
) -> None:
    """A type is created, found in a path in both encodings, delivered with valid signatures, and deleted."""
    status, made = customer.call("POST", PATH, {"name": name, "description": "From another publisher"})
    assert (status, made["eventType"]["name"]) == (201, name)
    for path in (f"{PATH}/{quote(name, safe='')}", f"{PATH}/{name}"):
        assert customer.call("GET", path) == (200, made)

    with receiving(always(200)) as receiver:
        customer.register(receiver.url, [pattern])
        (delivery,) = customer.settled(customer.publish(event=name))
        (received,) = receiver.recorded
    assert delivery["status"] == "delivered"
    assert json.loads(received.body)["event"] == name

    assert customer.call("DELETE", f"{PATH}/{quote(name, safe='')}") == (200, {"deleted": True})
    assert customer.call("GET", f"{PATH}/{quote(name, safe='')}")[0] == 404
