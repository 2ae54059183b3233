"""The description of what receivers get: every event type, with its payload and its headers."""

from typing import Any

from posthorn.domain.email_types import EMAIL_TYPES
from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.event_types import built_in
from posthorn.wire.formats import content_type_of, formats_of
from tests.unit.openapi.description import check, component, document


def test_every_event_type_is_described_for_receivers() -> None:
    """The section for receivers has every type of the catalogue, with an example of its payload."""
    described = document()["webhooks"]
    assert list(described) == [*built_in(), *(f"email.{one.name}" for one in EMAIL_TYPES)]
    for name in built_in():
        item = described[name]
        examples = _examples(item["post"])
        assert list(examples) == [str(one) for one in formats_of(EndpointKind.WEBHOOK)]
        assert examples["event_json"]["event"] == name
        assert examples["standard_json"]["type"] == examples["cloudevents_json"]["type"] == name
        assert all(example["data"] == built_in()[name].example for example in examples.values())
        assert item["post"]["security"] == []


def test_every_event_of_a_mail_is_described_for_receivers() -> None:
    """Each has the six published headers' own four, and the payload of SES."""
    for one in EMAIL_TYPES:
        operation = document()["webhooks"][f"email.{one.name}"]["post"]
        names = {parameter["name"] for parameter in operation["parameters"]}
        assert names >= {f"X-Splashify-{name}" for name in ("Event", "Signature", "Timestamp", "Delivery-ID")}
        examples = _examples(operation)
        assert list(examples) == [str(one) for one in formats_of(EndpointKind.EVENT_DESTINATION)]
        check(examples["ses_json"], component("EmailEvent"))
        assert examples["ses_json"]["eventType"] == one.event_type
        assert (
            examples["standard_json"]["data"] == examples["cloudevents_json"]["data"] == examples["ses_json"]
        )
        assert operation["security"] == []


def _examples(operation: dict[str, Any]) -> dict[str, Any]:
    """Return the examples of a delivery by format, each of which fits the schema of its own content type only."""
    found: dict[str, Any] = {}
    for media_type, media in operation["requestBody"]["content"].items():
        for name, example in media["examples"].items():
            check(example["value"], media["schema"])
            assert media_type == content_type_of(PayloadFormat(name))
            found[name] = example["value"]
    return found
