"""Configuration sets: names, changes and deletion, also when the email backend fails halfway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from posthorn.domain.errors import Unavailable
from posthorn.domain.models import DeliveryKey, Reason
from tests.configuration_sets import MAIL, SETS, check_refusal, deliver_all, new_destination, new_set
from tests.network import answers

if TYPE_CHECKING:
    from tests.installation import Installation


def test_a_set_belongs_to_its_workspace_and_its_name_is_unique_there(posthorn: Installation) -> None:
    """A second set with the same name is refused, but another workspace may use the name."""
    first = new_set(posthorn)
    _, other = posthorn.new_workspace()

    again = posthorn.call("POST", SETS, {"name": "production"})
    theirs = posthorn.call("POST", SETS, {"name": "production"}, key=other)

    assert (again.status, again.body["code"]) == (409, "name_taken")
    assert theirs.status == 201
    assert theirs.body["config_set_id"] != first
    assert [one["config_set_id"] for one in posthorn.call("GET", SETS).body["configuration_sets"]] == [first]


@pytest.mark.parametrize("suppression", ["NONE", "BOUNCE", "COMPLAINT", "BOUNCE_AND_COMPLAINT"])
def test_a_set_can_be_changed(posthorn: Installation, suppression: str) -> None:
    """PATCH changes suppression and name; mails then find the set by its new name only."""
    set_id = new_set(posthorn, suppression_options="BOUNCE")

    reply = posthorn.call("PATCH", f"{SETS}/{set_id}", {"suppression_options": suppression, "name": "live"})

    assert reply.status == 200
    assert (reply.body["name"], reply.body["suppression_options"]) == ("live", suppression)
    assert posthorn.call("GET", f"{SETS}/{set_id}").body == reply.body
    assert posthorn.call("POST", "/api/v1/partner/email/send", MAIL).status == 404
    sent = posthorn.call("POST", "/api/v1/partner/email/send", {**MAIL, "configuration_set_name": "live"})
    assert sent.status == 202
    assert new_set(posthorn, "production") != set_id


def test_a_set_cannot_take_the_name_of_another(posthorn: Installation) -> None:
    """Renaming to a taken name changes nothing."""
    new_set(posthorn, "one")
    two = new_set(posthorn, "two")

    reply = posthorn.call("PATCH", f"{SETS}/{two}", {"name": "one"})

    assert (reply.status, reply.body["code"]) == (409, "name_taken")
    assert posthorn.call("GET", f"{SETS}/{two}").body["name"] == "two"


def test_deleting_a_set_deletes_its_destinations_and_ends_their_deliveries(posthorn: Installation) -> None:
    """Its destinations are deleted too, and a delivery waiting for a retry ends as `endpoint_deleted`."""
    posthorn.network.receivers["yourapp.com"] = answers(500)
    set_id = new_set(posthorn)
    destination = new_destination(posthorn, set_id, matching_event_types=["send"])
    posthorn.call("POST", "/api/v1/partner/email/send", MAIL)
    deliver_all(posthorn)
    (message,) = posthorn.take("Retry1MinQueue")

    deleted = posthorn.call("DELETE", f"{SETS}/{set_id}")
    posthorn.deliver([message])

    row = posthorn.row(DeliveryKey(destination["destination_id"], message.task["event"]))
    assert (deleted.status, deleted.body) == (200, {"deleted": True})
    assert row is not None
    assert row.reason is Reason.ENDPOINT_DELETED
    assert posthorn.call("GET", f"{SETS}/{set_id}").status == 404
    assert posthorn.call("GET", f"{SETS}/{set_id}/event-destinations").status == 404
    assert posthorn.call("DELETE", f"{SETS}/{set_id}").status == 404
    assert posthorn.call("POST", "/api/v1/partner/email/send", MAIL).status == 404
    assert new_set(posthorn) != set_id


@pytest.mark.parametrize("key", [None, {"idempotency-key": "set-1"}])
def test_a_creation_that_broke_off_is_completed_by_the_next(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch, key: dict[str, str] | None
) -> None:
    """If the backend fails halfway, the set does not exist yet; repeating the request creates it."""
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise Unavailable("create_configuration_set", "TooManyRequestsException")

        broken.setattr(type(posthorn.services.email), "create_set", fail)
        first = posthorn.call("POST", SETS, {"name": "production"}, headers=key)
    listed = posthorn.call("GET", SETS).body
    at_once = posthorn.call("POST", SETS, {"name": "production"})
    posthorn.clock.pass_seconds(31)  # by then the first request has ended

    second = posthorn.call("POST", SETS, {"name": "production"}, headers=key)

    assert first.status == 503
    assert listed == {"configuration_sets": []}
    assert (at_once.status, at_once.body["code"]) == (409, "concurrent_changes")
    assert second.status == 201
    assert posthorn.call("GET", f"{SETS}/{second.body['config_set_id']}").body == second.body
    assert posthorn.call("POST", SETS, {"name": "production"}).status == 409


def test_a_deletion_that_broke_off_is_completed_by_the_next(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the backend fails halfway, the set cannot be used; repeating the request deletes it."""
    set_id = new_set(posthorn)
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise Unavailable("delete_configuration_set", "TooManyRequestsException")

        broken.setattr(type(posthorn.services.email), "delete_set", fail)
        first = posthorn.call("DELETE", f"{SETS}/{set_id}")
    retrieved = posthorn.call("GET", f"{SETS}/{set_id}")

    second = posthorn.call("DELETE", f"{SETS}/{set_id}")

    assert (first.status, retrieved.status, second.status) == (503, 404, 200)
    assert new_set(posthorn) != set_id


def test_a_late_delete_leaves_the_name_to_its_new_owner(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower of two deletes does not release the name if a new set has taken it."""
    old = new_set(posthorn)
    backend = type(posthorn.services.email)
    made: list[str] = []

    def slow(*_: object) -> None:
        with monkeypatch.context() as quick:
            quick.setattr(backend, "delete_set", lambda *_: None)
            assert posthorn.call("DELETE", f"{SETS}/{old}").status == 200
        made.append(new_set(posthorn))

    with monkeypatch.context() as patched:
        patched.setattr(backend, "delete_set", slow)
        posthorn.call("DELETE", f"{SETS}/{old}")

    assert posthorn.call("POST", SETS, {"name": "production"}).body["code"] == "name_taken"
    assert posthorn.call("POST", "/api/v1/partner/email/send", MAIL).status == 202
    assert posthorn.call("GET", f"{SETS}/{made[0]}").status == 200


def test_a_refused_change_changes_nothing_at_the_backend(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PATCH to a taken name leaves the backend alone; a valid one reaches it, even when repeated."""
    new_set(posthorn, "one")
    two = new_set(posthorn, "two")
    told: list[Any] = []
    monkeypatch.setattr(
        type(posthorn.services.email), "change_set", lambda _, set_id, to: told.append((set_id, to))
    )

    refused = posthorn.call("PATCH", f"{SETS}/{two}", {"name": "one", "suppression_options": "NONE"})
    told_by_refused = list(told)
    for _ in range(2):
        posthorn.call("PATCH", f"{SETS}/{two}", {"suppression_options": "NONE"})

    assert refused.status == 409
    assert told_by_refused == []
    assert told == [(two, "NONE")] * 2


BAD_SETS: Final = [
    ({}, "/name"),
    ({"name": ""}, "/name"),
    ({"name": "x" * 65}, "/name"),
    ({"name": "with space"}, "/name"),
    ({"name": "ünïcode"}, "/name"),
    ({"name": 1}, "/name"),
    ({"name": "a", "suppression_options": "SOME"}, "/suppression_options"),
    ({"name": "a", "suppression_options": None}, "/suppression_options"),
    ({"name": "a", "suppression_options": ["BOUNCE"]}, "/suppression_options"),
    ({"name": "a", "colour": "red"}, "/colour"),
]


@pytest.mark.parametrize(("body", "pointer"), BAD_SETS)
def test_an_invalid_set(posthorn: Installation, body: dict[str, Any], pointer: str) -> None:
    """Bad input for a set gets a pointer to its cause, and no set is created."""
    check_refusal(posthorn.call("POST", SETS, body), pointer)
    assert posthorn.call("GET", SETS).body == {"configuration_sets": []}
