"""The event type catalog matches the published one, and every example can be published as it stands."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from posthorn.domain.event_types import EventType, built_in
from posthorn.domain.matching import canonical
from posthorn.wire.ecmascript import parse, stringify

PUBLISHED: Final = {
    "CONTACT_CREATED": "A new contact was created",
    "CONTACT_UPDATED": "A contact was updated",
    "CONTACT_UNSUBSCRIBED": "A contact has unsubscribed",
    "CONTACT_RESUBSCRIBED": "A contact has resubscribed",
    "CONTACT_DELETED": "A contact was deleted",
    "WORKSPACE_TEAM_MEMBER_JOINED": "A team member joined the workspace",
}
# Used in the published webhook examples: campaign.sent, campaign.opened, campaign.clicked.
NAMED: Final = {"CAMPAIGN_SENT", "CAMPAIGN_OPENED", "CAMPAIGN_CLICKED"}
# Posthorn's own events about webhooks.
OPERATIONAL: Final = {"WEBHOOK_FAILING", "WEBHOOK_DISABLED"}

PUBLISHED_EXAMPLES: Final[dict[str, Any]] = {
    "CONTACT_CREATED": {
        "contact": {
            "id": "cont_123456789",
            "email": "newcontact@example.com",
            "name": "New Contact",
            "createdAt": "2023-04-16T15:45:00Z",
        }
    },
    "WORKSPACE_TEAM_MEMBER_JOINED": {
        "workspace": {"id": "wksp_123456789", "name": "My Workspace"},
        "user": {"id": "usr_987654321", "email": "teammember@example.com", "name": "Team Member"},
    },
}

EACH: Final = pytest.mark.parametrize("event_type", built_in().values(), ids=lambda one: one.name)


def test_the_published_types_are_there_with_their_descriptions() -> None:
    """Names and descriptions match the documentation."""
    assert {name: built_in()[name].description for name in PUBLISHED} == PUBLISHED


def test_there_are_no_unpublished_types() -> None:
    """The six documented types, the examples' campaign types and the operational ones: no others exist."""
    assert built_in().keys() == PUBLISHED.keys() | NAMED | OPERATIONAL
    assert {name for name, one in built_in().items() if one.operational} == OPERATIONAL


@pytest.mark.parametrize("name", PUBLISHED_EXAMPLES)
def test_the_published_examples_are_word_for_word(name: str) -> None:
    """An example event looks like the documentation, including the order of its keys."""
    assert json.dumps(built_in()[name].example) == json.dumps(PUBLISHED_EXAMPLES[name])


@EACH
def test_every_type_has_its_canonical_name(event_type: EventType) -> None:
    """Each type is found under its canonical name, the spelling that matching compares."""
    assert canonical(event_type.name) == event_type.name
    assert built_in()[event_type.name] is event_type


@EACH
def test_every_example_survives_javascript(event_type: EventType) -> None:
    """Every example survives a JavaScript round trip, so it can be published, signed and verified."""
    text = json.dumps(event_type.example, separators=(",", ":"))
    assert stringify(parse(text.encode())) == text


@EACH
def test_every_description_is_a_sentence(event_type: EventType) -> None:
    """A description starts with a capital letter and has neither a final period nor a line break."""
    text = event_type.description
    assert text[0].isupper()
    assert text == text.strip().rstrip(".")
    assert text.isprintable()
