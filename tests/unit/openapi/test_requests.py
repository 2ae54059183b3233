"""The description of what is sent: the fields of the models that check it, with their bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]

from posthorn.api.routes import events
from posthorn.api.routes.table import ROUTES
from posthorn.wire.signing import MAX_SECRET_LENGTH, MIN_SECRET_LENGTH
from tests.unit.openapi.description import check, component, document

if TYPE_CHECKING:
    from pydantic import BaseModel

MODELS: Final[list[type[BaseModel]]] = [
    *(route.body for route in ROUTES if route.body is not None),
    events.NewEvents,
]
REQUEST_MODELS: Final = {model.__name__: model for model in MODELS}


@pytest.mark.parametrize("name", REQUEST_MODELS)
def test_every_field_of_a_request_is_described_and_no_other(name: str) -> None:
    """The description has the fields of the model, tells which are required, and refuses unknown ones as it does."""
    schema = document()["components"]["schemas"][name]
    fields = {field.alias or key: field for key, field in REQUEST_MODELS[name].model_fields.items()}
    assert schema["properties"].keys() == fields.keys()
    assert set(schema.get("required", [])) == {key for key, field in fields.items() if field.is_required()}
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("name", [name for name in REQUEST_MODELS if name != "NewEvents"])
def test_every_request_has_an_example_that_works(name: str) -> None:
    """What people copy passes the described schema and the model alike."""
    (example,) = document()["components"]["schemas"][name]["examples"]
    shown = [
        one
        for item in document()["paths"].values()
        for operation in item.values()
        for one in examples_of(operation, name)
    ]
    assert shown
    for one in (example, *shown):
        check(one, component(name))
        REQUEST_MODELS[name].model_validate(one)


def examples_of(operation: dict[str, Any], name: str) -> list[Any]:
    """Return the examples that an operation shows of a body, if its body is the one of this name."""
    media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    if media.get("schema") == component(name):
        return [media["example"]]
    return [media["examples"]["event"]["value"]] if name == "NewEvent" and "examples" in media else []


def test_the_example_of_a_batch_works() -> None:
    """Each of its events could be published alone."""
    batch = document()["paths"]["/v1/events"]["post"]["requestBody"]["content"]["application/json"]
    example = batch["examples"]["batch"]["value"]
    check(example, component("NewEvents"))
    for event in events.NewEvents.model_validate(example).events:
        events.NewEvent.model_validate(event)


def test_a_batch_is_described_as_events() -> None:
    """Up to a hundred of what can be published alone."""
    schema = document()["components"]["schemas"]["NewEvents"]["properties"]["events"]
    assert (schema["items"], schema["minItems"], schema["maxItems"]) == (component("NewEvent"), 1, 100)


def test_a_token_is_described_with_its_bounds() -> None:
    """Clients can check a token before they send it."""
    schema = document()["components"]["schemas"]["Secret"]
    assert (schema["minLength"], schema["maxLength"]) == (MIN_SECRET_LENGTH, MAX_SECRET_LENGTH)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (
            "NewWebhook",
            {
                "url": "https://example.com/webhooks/zootools",
                "events": ["CONTACT_CREATED", "CONTACT_UPDATED"],
                "token": "optional_secret_token",
            },
        ),
        (
            "WebhookChange",
            {"events": ["CONTACT_CREATED", "CONTACT_UPDATED", "WORKSPACE_TEAM_MEMBER_JOINED"]},
        ),
        ("NewEvent", {"event": "CONTACT_CREATED", "data": {"contact": {"id": "cont_1"}}}),
        ("NewEvents", {"events": [{"event": "CONTACT_CREATED", "data": {}}]}),
    ],
)
def test_the_published_requests_fit_their_description(name: str, body: dict[str, Any]) -> None:
    """The documentation's examples pass the described schema and the model alike, and a wrong field passes neither."""
    check(body, component(name))
    REQUEST_MODELS[name].model_validate(body)
    with pytest.raises(ValidationError):
        check({**body, "invented": 1}, component(name))
