"""Event destinations of a configuration set: created, changed and shown without their secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from posthorn.aws import clients
from posthorn.stores.endpoints import ChannelEndpoints
from tests.configuration_sets import DESTINATION, SECRET, SETS, check_refusal, new_destination, new_set

if TYPE_CHECKING:
    from tests.installation import Installation


def test_a_destination_created_while_its_set_is_deleted_is_deleted(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the set is deleted between check and write, the new destination is deleted too."""
    from posthorn.api.routes import endpoints

    set_id = new_set(posthorn)
    create = endpoints.create

    def late(*arguments: Any, **named: Any) -> Any:
        assert posthorn.call("DELETE", f"{SETS}/{set_id}").status == 200
        return create(*arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(endpoints, "create", late)
        reply = posthorn.call("POST", f"{SETS}/{set_id}/event-destinations", DESTINATION)

    assert reply.status == 404
    assert posthorn.services.endpoints.of_channel(set_id) == ChannelEndpoints([], [])


def test_an_idempotency_key_counts_for_one_set(posthorn: Installation) -> None:
    """The same key and body for two sets creates a destination in each."""
    key = {"idempotency-key": "same"}
    made = [
        posthorn.call(
            "POST", f"{SETS}/{new_set(posthorn, name)}/event-destinations", DESTINATION, headers=key
        )
        for name in ("one", "two")
    ]

    assert [reply.status for reply in made] == [201, 201]
    assert len({reply.body["destination_id"] for reply in made}) == 2


def test_a_destination_never_shows_its_secret(posthorn: Installation) -> None:
    """No response of any destination route holds the secret, and neither does a row."""
    set_id = new_set(posthorn)
    destination = new_destination(posthorn, set_id)
    path = f"{SETS}/{set_id}/event-destinations"
    one = f"{path}/{destination['destination_id']}"

    replies = [
        posthorn.call("GET", path),
        posthorn.call("GET", one),
        posthorn.call("PATCH", one, {"webhook_secret": "another-shared-secret"}),
        posthorn.call("PATCH", one, {"name": "renamed"}),
        posthorn.call("DELETE", one),
    ]

    rows = repr(clients.client("dynamodb").scan(TableName=posthorn.tables["ConfigTable"])["Items"])
    assert [reply.status for reply in replies] == [200] * 5
    said = json.dumps([destination, *(reply.body for reply in replies)])
    for secret in (SECRET, "another-shared-secret"):
        assert secret not in said
        assert secret not in rows


@pytest.mark.parametrize(
    "change",
    [
        {"name": "renamed"},
        {"webhook_url": "https://new.example.com/hook"},
        {"matching_event_types": ["reject", "delivery_delay", "rendering_failure", "subscription"]},
        {"matching_event_types": ["*"]},
        {"enabled": False},
        {},
    ],
)
def test_a_change_of_a_destination_changes_nothing_else(
    posthorn: Installation, change: dict[str, Any]
) -> None:
    """PATCH takes any subset of the fields and leaves the others unchanged."""
    set_id = new_set(posthorn)
    destination = new_destination(posthorn, set_id)
    path = f"{SETS}/{set_id}/event-destinations/{destination['destination_id']}"

    reply = posthorn.call("PATCH", path, change)

    assert reply.status == 200
    shown = {name: reply.body[name] for name in destination}
    assert shown == {**destination, **change}
    assert posthorn.call("GET", path).body == reply.body


BAD_DESTINATIONS: Final = [
    ({"destination_type": "SNS"}, "/destination_type"),
    ({"destination_type": "webhook"}, "/destination_type"),
    ({"webhook_url": "http://yourapp.com/"}, "/webhook_url"),
    ({"webhook_url": "https://169.254.169.254/"}, "/webhook_url"),
    ({"webhook_secret": "x" * 15}, "/webhook_secret"),
    ({"webhook_secret": "x" * 257}, "/webhook_secret"),
    ({"matching_event_types": []}, "/matching_event_types"),
    ({"matching_event_types": ["send", "sent"]}, "/matching_event_types/1"),
    ({"matching_event_types": ["CONTACT_CREATED"]}, "/matching_event_types/0"),
    ({"name": ""}, "/name"),
    ({"name": None}, "/name"),
    ({"colour": "red"}, "/colour"),
]


@pytest.mark.parametrize(("change", "pointer"), BAD_DESTINATIONS)
def test_an_invalid_destination(posthorn: Installation, change: dict[str, Any], pointer: str) -> None:
    """Bad input gets a pointer to its cause, on create and on change, and changes nothing."""
    set_id = new_set(posthorn)
    path = f"{SETS}/{set_id}/event-destinations"
    check_refusal(posthorn.call("POST", path, {**DESTINATION, **change}), pointer)
    assert posthorn.call("GET", path).body == {"event_destinations": []}

    destination = new_destination(posthorn, set_id)
    one = f"{path}/{destination['destination_id']}"
    check_refusal(posthorn.call("PATCH", one, change), pointer)
    assert posthorn.call("GET", one).body == destination
