"""Messages in the queues: ids instead of payloads, so that an attempt always reads the current endpoint and event."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.errors import Malformed
from posthorn.domain.ids import EVENT, REPLAY, is_id
from posthorn.domain.models import DeliveryKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthorn.domain.replay_job import ReplayStep

MESSAGE_VERSION: Final = 1

_FIRST_ATTEMPT: Final = "first_attempt"
_RECORDED_ATTEMPT: Final = "recorded_attempt"

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class NewRow:
    """The part of a new delivery's row that other messages do not hold."""

    event_type: str
    is_test: bool


@dataclass(frozen=True, slots=True)
class DeliveryMessage:
    """One attempt to make."""

    key: DeliveryKey
    channel: str
    generation: int
    attempt: int  # the number of the attempt to make; the number in the row must be one less
    new_row: NewRow | None = None  # of a first attempt whose row DynamoDB refused: the claim writes it
    moved: bool = False  # by an operator, out of the dead-letter queue


@dataclass(frozen=True, slots=True)
class RecordedAttempt:
    """An attempt that was made while DynamoDB refused its row. Nothing is sent for it: its row is written."""

    key: DeliveryKey
    channel: str
    generation: int
    attempt: int
    row: Mapping[str, Any] = field(repr=False, hash=False)
    """The row after the attempt in DynamoDB's own JSON, of all attempts only this one."""


type QueueMessage = DeliveryMessage | RecordedAttempt


def write_message(message: QueueMessage) -> str:
    if isinstance(message, RecordedAttempt):
        return _write({"v": MESSAGE_VERSION, "kind": _RECORDED_ATTEMPT, "row": message.row})
    return _write(_attempt_to_make(message))


def read_message(body: str) -> QueueMessage:
    """Read a message; `Malformed` if it is not one of ours."""
    found = read_fields(body)
    kind = found.get("kind")
    if kind is None:
        return _read_attempt(found)
    if kind == _FIRST_ATTEMPT:
        return _read_attempt(found, NewRow(_event_type(found), is_test=found.get("test") is True))
    if kind == _RECORDED_ATTEMPT:
        return _read_recorded(found)
    raise Malformed("the message is of an unknown kind")


def write_step(step: ReplayStep) -> str:
    return _write(
        {"v": MESSAGE_VERSION, "endpoint": step.endpoint_id, "replay": step.replay_id, "step": step.number}
    )


def read_step(body: str) -> ReplayStep:
    """Read a message; `Malformed` if it is not one of ours."""
    from posthorn.domain.replay_job import ReplayStep  # loaded here, since delivering needs no replays

    found = read_fields(body)
    replay_id = id_in(found, "replay")
    if not is_id(replay_id, REPLAY):
        raise Malformed("replay is not the id of a replay")
    return ReplayStep(id_in(found, "endpoint"), replay_id, number=number_in(found, "step"))


def _attempt_to_make(message: DeliveryMessage) -> dict[str, Any]:
    told: dict[str, Any] = {
        "v": MESSAGE_VERSION,
        "endpoint": message.key.endpoint_id,
        "event": message.key.event_id,
        "channel": message.channel,
        "generation": message.generation,
        "attempt": message.attempt,
    }
    if message.new_row is not None:
        told |= {"kind": _FIRST_ATTEMPT, "event_type": message.new_row.event_type}
        if message.new_row.is_test:
            told["test"] = True
    if message.moved:
        told["moved"] = True
    return told


def _read_attempt(found: dict[str, Any], new_row: NewRow | None = None) -> DeliveryMessage:
    return DeliveryMessage(
        key=DeliveryKey(endpoint_id=id_in(found, "endpoint"), event_id=_event_id(found)),
        channel=id_in(found, "channel"),
        generation=number_in(found, "generation"),
        attempt=number_in(found, "attempt"),
        new_row=new_row,
        moved=found.get("moved") is True,
    )


def _read_recorded(found: dict[str, Any]) -> RecordedAttempt:
    """Read what addresses the row; the store that writes it reads the rest."""
    row = found.get("row")
    if not isinstance(row, dict):
        raise Malformed("row is missing or not an object")
    flat: dict[str, Any] = {
        name: next(iter(value.values()), None) for name, value in row.items() if isinstance(value, dict)
    }
    try:
        numbers = {name: int(flat[name]) for name in ("generation", "attempt")}
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed("the row of a recorded attempt does not say which one") from error
    names = {"endpoint": flat.get("pk"), "event": flat.get("sk"), "channel": flat.get("channel")}
    return RecordedAttempt(
        key=DeliveryKey(endpoint_id=id_in(names, "endpoint"), event_id=_event_id(names)),
        channel=id_in(names, "channel"),
        row=row,
        **numbers,
    )


def _write(told: Mapping[str, Any]) -> str:
    # ASCII only: SQS refuses a few characters that a receiver's answer may hold
    return json.dumps(told, separators=(",", ":"))


def read_fields(body: str) -> dict[str, Any]:
    """Return the fields of a message of this version."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed("the message is not JSON") from error
    if not isinstance(found, dict):
        raise Malformed("the message is not an object")
    version = number_in(found, "v")
    if version != MESSAGE_VERSION:
        raise Malformed(f"the message has the unknown version {version}")
    return found


def _event_id(found: dict[str, Any]) -> str:
    event_id = id_in(found, "event")
    if not is_id(event_id, EVENT):
        raise Malformed("event is not an event id")
    return event_id


def _event_type(found: dict[str, Any]) -> str:
    value = found.get("event_type")
    if not isinstance(value, str) or not value:
        raise Malformed("event_type is missing or not a text")
    return value


def id_in(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise Malformed(f"{name} is missing or not an id")
    return value


def number_in(found: dict[str, Any], name: str) -> int:
    value = found.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Malformed(f"{name} is missing or not a positive integer")
    return value
