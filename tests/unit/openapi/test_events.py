"""The description of what receivers get: every event type, with its payload and its headers."""

from posthorn.domain.email_types import EMAIL_TYPES
from posthorn.domain.event_types import built_in
from tests.unit.openapi.description import check, component, document


def test_every_event_type_is_described_for_receivers() -> None:
    """The section for receivers has every type of the catalogue, with an example of its payload."""
    described = document()["webhooks"]
    assert list(described) == [*built_in(), *(f"email.{one.name}" for one in EMAIL_TYPES)]
    for name in built_in():
        item = described[name]
        media = item["post"]["requestBody"]["content"]["application/json"]
        check(media["example"], media["schema"])
        assert media["example"]["event"] == name
        assert media["example"]["data"] == built_in()[name].example
        assert item["post"]["security"] == []


def test_every_event_of_a_mail_is_described_for_receivers() -> None:
    """Each has the six published headers' own four, and the payload of SES."""
    for one in EMAIL_TYPES:
        operation = document()["webhooks"][f"email.{one.name}"]["post"]
        names = {parameter["name"] for parameter in operation["parameters"]}
        assert names >= {f"X-Splashify-{name}" for name in ("Event", "Signature", "Timestamp", "Delivery-ID")}
        assert operation["requestBody"]["content"]["application/json"]["schema"] == component("EmailEvent")
        assert operation["security"] == []
