"""The catalogue of event types is the published one, and every example could be published as it stands."""

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
# Named in the published examples of webhooks: campaign.sent, campaign.opened, campaign.clicked.
NAMED: Final = {"CAMPAIGN_SENT", "CAMPAIGN_OPENED", "CAMPAIGN_CLICKED"}
# What Posthorn says about webhooks themselves.
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
    """Names and words are those of the documentation."""
    assert {name: built_in()[name].description for name in PUBLISHED} == PUBLISHED


def test_there_are_no_types_that_nobody_published() -> None:
    """Beside the six of the list there are only the campaign types of the examples, and the operational ones."""
    assert built_in().keys() == PUBLISHED.keys() | NAMED | OPERATIONAL
    assert {name for name, one in built_in().items() if one.operational} == OPERATIONAL


@pytest.mark.parametrize("name", PUBLISHED_EXAMPLES)
def test_the_published_examples_are_word_for_word(name: str) -> None:
    """A test delivery looks like the documentation, order of the keys included."""
    assert json.dumps(built_in()[name].example) == json.dumps(PUBLISHED_EXAMPLES[name])


@EACH
def test_every_type_has_its_canonical_name(event_type: EventType) -> None:
    """It is found under its name, and that is the spelling which matching compares."""
    assert canonical(event_type.name) == event_type.name
    assert built_in()[event_type.name] is event_type


@EACH
def test_every_example_survives_javascript(event_type: EventType) -> None:
    """An example can be published, signed and verified like anybody's data."""
    text = json.dumps(event_type.example, separators=(",", ":"))
    assert stringify(parse(text.encode())) == text


@EACH
def test_every_description_is_a_sentence(event_type: EventType) -> None:
    """Words for a person: a capital at the start, no full stop, no line break."""
    text = event_type.description
    assert text[0].isupper()
    assert text == text.strip().rstrip(".")
    assert text.isprintable()
