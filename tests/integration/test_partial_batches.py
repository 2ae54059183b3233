"""Batch handlers report exactly the failed records, by identifiers that exist, whatever a batch holds.

An answer that is not a list of known identifiers makes Lambda retry, or drop, the whole batch.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

import posthorn.handlers
from posthorn.aws import batch_response
from posthorn.domain.errors import Unavailable
from posthorn.handlers import deliver, dispatch, feedback, purge, replay
from tests import purges
from tests.network import answers
from tests.sample_requests import SINCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.installation import Installation

HANDLERS: dict[str, Callable[[Any, Any], Any]] = {
    "dispatch": dispatch.handler,
    "deliver": deliver.handler,
    "feedback": feedback.handler,
    "replay": replay.handler,
    "purge": purge.handler,
}
NO_BATCHES = {"api": "answers requests", "sweep": "is started by a schedule"}

# invalid identifiers: absent, empty, or of a type that no identifier has
NAMELESS: list[Any] = [..., "", None, 7, ["a"], {}]


class Context:
    """The context that Lambda passes beside the event."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@pytest.fixture(autouse=True)
def _processes(posthorn: Installation) -> Iterator[None]:
    """Let the handlers work with the installation."""
    with (
        mock.patch.object(dispatch, "dispatcher", return_value=posthorn.dispatcher),
        mock.patch.object(deliver, "deliverer", return_value=posthorn.deliverer),
        mock.patch.object(feedback, "feedback", return_value=posthorn.feedback),
        mock.patch.object(replay, "replayer", return_value=posthorn.replayer),
        mock.patch.object(purge, "purger", return_value=posthorn.purger),
    ):
        yield


def _good(posthorn: Installation, handler: str) -> dict[str, Any]:
    """Return a record that leads to AWS calls."""
    webhook_host = f"h{posthorn.sequence}.example.com"
    posthorn.network.receivers[webhook_host] = answers(500)
    if handler == "feedback":
        return {"messageId": "good", "body": json.dumps({"eventType": "Bounce"}), "attributes": {}}
    if handler == "purge":
        tenant = purges.new_tenant(posthorn, posthorn.new_id().lower())
        purges.delete(posthorn, tenant.uid)
        (step,) = posthorn.take("PurgeQueue")
        return step.record()
    webhook = posthorn.register(webhook_host)
    if handler == "replay":
        posthorn.call("POST", f"/v1/webhooks/{webhook['id']}/replays", {"since": SINCE})
        (step,) = posthorn.take("ReplayQueue")
        return step.record()
    posthorn.publish()
    (record,) = posthorn.stream()
    if handler == "dispatch":
        return record
    posthorn.dispatch([record])
    (message,) = posthorn.take("Retry1MinQueue")
    return message.record()


def _named(handler: str, record: dict[str, Any], name: Any) -> dict[str, Any]:
    """Give a record another identifier, or none."""
    holder: dict[str, Any] = record["dynamodb"] if handler == "dispatch" else record
    field = "SequenceNumber" if handler == "dispatch" else "messageId"
    changed = {key: value for key, value in holder.items() if key != field}
    if name is not ...:
        changed[field] = name
    return {**record, "dynamodb": changed} if handler == "dispatch" else changed


def _odd(handler: str) -> list[dict[str, Any]]:
    """Return records that no version of Posthorn or AWS has written."""
    if handler == "dispatch":
        images: list[Any] = [{}, {"pk": {"S": "x"}}, {"v": {"N": "99"}}, None]
        rows = [{"Keys": {}, "NewImage": image} for image in images] + [{}]
        records = [{"eventName": "INSERT", "dynamodb": row} for row in rows]
        return [_named(handler, one, f"odd-{number}") for number, one in enumerate(records)]
    bodies: list[Any] = ["", "{}", "[]", "null", "7", "not json", "\ud800", '{"v":99}', None]
    records = [{"body": body} for body in bodies] + [{}]
    return [_named(handler, one, f"odd-{number}") for number, one in enumerate(records)]


def _failed(answer: Any) -> list[str]:
    """Return the identifiers of an answer, which must have the one valid shape."""
    assert json.loads(json.dumps(answer)) == answer
    assert answer.keys() == {"batchItemFailures"}
    assert all(one.keys() == {"itemIdentifier"} for one in answer["batchItemFailures"])
    return [one["itemIdentifier"] for one in answer["batchItemFailures"]]


def _outage() -> Any:
    def fail(_: BaseClient, name: str, __: Any) -> Any:
        error: Any = {"Error": {"Code": "Throttled"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
        raise ClientError(error, name)

    return mock.patch.object(BaseClient, "_make_api_call", fail)


def test_every_handler_of_batches_is_looked_at() -> None:
    """Every handler is covered here, or listed with a reason why it answers no batch."""
    (folder,) = posthorn.handlers.__path__
    assert {path.stem for path in Path(folder).glob("[!_]*.py")} == HANDLERS.keys() | NO_BATCHES.keys()


@pytest.mark.parametrize("handler", HANDLERS)
def test_nothing_fails_where_nothing_went_wrong(posthorn: Installation, handler: str) -> None:
    """Neither completed nor dead-lettered records are reported; an empty batch gets an answer, too."""
    records = [_good(posthorn, handler), *_odd(handler)]

    assert _failed(HANDLERS[handler]({"Records": records}, Context())) == []
    assert _failed(HANDLERS[handler]({"Records": []}, Context())) == []


@pytest.mark.parametrize("handler", HANDLERS)
def test_failed_records_are_reported_by_the_mappings_identifiers(
    posthorn: Installation, handler: str
) -> None:
    """In an outage every record is reported by its own identifier, once."""
    records = [_named(handler, _good(posthorn, handler), "good"), *_odd(handler)]
    names = ["good", *(f"odd-{number}" for number in range(len(records) - 1))]

    with _outage():
        answer = HANDLERS[handler]({"Records": records}, Context())

    assert sorted(_failed(answer)) == sorted(names)


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("name", NAMELESS)
def test_a_completed_record_needs_no_identifier(posthorn: Installation, handler: str, name: Any) -> None:
    """A completed record needs no identifier."""
    record = _named(handler, _good(posthorn, handler), name)

    assert _failed(HANDLERS[handler]({"Records": [record]}, Context())) == []


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("name", NAMELESS)
def test_a_failed_record_without_an_identifier_fails_the_batch(
    posthorn: Installation, handler: str, name: Any
) -> None:
    """A failed record without an identifier fails the invocation, so that the whole batch is retried."""
    records = [_named(handler, _good(posthorn, handler), name), *_odd(handler)]

    with _outage(), pytest.raises(Unavailable):
        HANDLERS[handler]({"Records": records}, Context())


def test_two_records_without_an_identifier_are_not_confused(posthorn: Installation) -> None:
    """Stream records are told apart by their identifiers; without them the batch is retried in halves."""
    records = [_named("dispatch", _good(posthorn, "dispatch"), ...) for _ in range(2)]

    with pytest.raises(Unavailable):
        dispatch.handler({"Records": records}, Context())
    assert [_failed(dispatch.handler({"Records": [one]}, Context())) for one in records] == [[], []]


def test_identifiers_are_reported_once_and_in_order() -> None:
    """The answer depends only on which records failed."""
    assert batch_response.response({"b", "a"}) == {
        "batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "b"}]
    }
