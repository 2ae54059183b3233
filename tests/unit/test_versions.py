"""Rows and messages of version 1 stay readable after a deploy, and later versions are never misread."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from posthorn.aws.messages import DeliveryMessage, NewRow, RecordedAttempt, read_message
from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.errors import Malformed
from posthorn.domain.models import (
    Attempt,
    Delivery,
    DeliveryKey,
    Endpoint,
    Event,
    Health,
    Outcome,
    SealedSecret,
    Status,
    Timings,
)
from posthorn.stores import delivery_rows, endpoint_rows, events

if TYPE_CHECKING:
    from collections.abc import Callable

# recorded once and never changed, like the rows and messages that are already stored
VECTORS: Final = Path(__file__).parent.parent / "vectors"
ROWS: Final[dict[str, dict[str, Any]]] = json.loads((VECTORS / "rows_v1.json").read_text("utf-8"))
MESSAGES: Final[dict[str, str]] = json.loads((VECTORS / "messages_v1.json").read_text("utf-8"))

WORKSPACE: Final = "wksp_01GY5BVC309NNKZNNKZNNKZNNK"
KEY: Final = DeliveryKey("wh_01GY5BVC308HJA1VXRQ9M3Z7KD", "evt_01GY5BVC30BPC335BN0KCGXRQ8")

READERS: Final[dict[str, Callable[[Any], object]]] = {
    "endpoint": endpoint_rows.from_item,
    "event": events.from_item,
    "delivery": delivery_rows.from_item,
}


def test_an_endpoint() -> None:
    """An endpoint written before health and rotation existed is healthy and has one secret."""
    assert endpoint_rows.from_item(ROWS["endpoint"]) == Endpoint(
        id=KEY.endpoint_id,
        channel=WORKSPACE,
        workspace=WORKSPACE,
        kind=EndpointKind.WEBHOOK,
        format=PayloadFormat.EVENT_JSON,
        url="https://hooks.example.com/hook",
        events=("CONTACT_CREATED", "campaign.*"),
        secret=SealedSecret(b"sealed", 1),
        created_at=1_681_659_900_000,
        health=Health.HEALTHY,
        revision=1,
    )


def test_an_event() -> None:
    """An event written before example events existed is for all endpoints."""
    assert events.from_item(ROWS["event"]) == Event(
        id=KEY.event_id,
        channel=WORKSPACE,
        workspace=WORKSPACE,
        type="contact.created",
        data='{"contact":{"id":"cont_1"}}',
        created_at="2023-04-16T15:45:00Z",
    )


def test_a_delivery() -> None:
    """A delivery written before replays existed has generation 1, and so do its attempts."""
    outcome = Outcome(Timings(1, 2, 3, 4, 5), status=503, address="203.0.113.7", snippet="busy")
    assert delivery_rows.from_item(ROWS["delivery"]) == Delivery(
        key=KEY,
        channel=WORKSPACE,
        event_type="contact.created",
        status=Status.RETRYING,
        attempt=1,
        generation=1,
        next_attempt_at=1_681_659_960_000,
        attempts=(Attempt(1, 1_681_659_900_000, outcome),),
    )


def test_a_message_about_a_first_attempt_without_a_row() -> None:
    """Its row was refused: the claim writes it."""
    assert read_message(MESSAGES["first_attempt"]) == DeliveryMessage(
        KEY, WORKSPACE, generation=1, attempt=1, new_row=NewRow("contact.created", is_test=False)
    )


def test_a_message_with_a_result() -> None:
    """The row of an attempt that was made is in the message, as it is in the table."""
    message = read_message(MESSAGES["recorded_attempt"])

    assert isinstance(message, RecordedAttempt)
    assert (message.key, message.channel, message.generation, message.attempt) == (KEY, WORKSPACE, 1, 1)
    assert delivery_rows.from_item(message.row) == delivery_rows.from_item(ROWS["delivery"])


def test_a_message() -> None:
    """A message sent before a deploy means the same after it."""
    assert read_message(MESSAGES["attempt"]) == DeliveryMessage(KEY, WORKSPACE, generation=1, attempt=2)


@pytest.mark.parametrize("what", READERS)
def test_unknown_fields_do_no_harm(what: str) -> None:
    """An unknown attribute leaves a row readable."""
    later = {**ROWS[what], "colour": {"S": "blue"}}

    assert READERS[what](later) == READERS[what](ROWS[what])


@pytest.mark.parametrize("what", READERS)
@pytest.mark.parametrize("version", [{"N": "2"}, {"N": "99"}, {"N": "?"}, {"S": "1"}, None])
def test_a_row_of_another_version_is_refused(what: str, version: dict[str, str] | None) -> None:
    """A row of another version is refused, never guessed at."""
    row = {name: value for name, value in ROWS[what].items() if name != "v"}
    if version is not None:
        row["v"] = version

    with pytest.raises(Malformed):
        READERS[what](row)


@pytest.mark.parametrize("version", [2, 99, "1", None])
def test_a_message_of_another_version_is_refused(version: object) -> None:
    """A message of another version is refused, too."""
    with pytest.raises(Malformed):
        read_message(json.dumps({**json.loads(MESSAGES["attempt"]), "v": version}))


def test_a_message_with_more_in_it_is_understood() -> None:
    """Unknown fields of a message are ignored."""
    body = json.dumps({**json.loads(MESSAGES["attempt"]), "colour": "blue"})

    assert read_message(body) == read_message(MESSAGES["attempt"])
