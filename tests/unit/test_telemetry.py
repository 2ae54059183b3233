"""The lines that operators look for: one name and one set of fields for each event."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
from typing import TYPE_CHECKING, Any

import pytest

from posthorn import telemetry
from posthorn.domain.errors import OperatorError, Unavailable
from posthorn.domain.models import Attempt, Delivery, DeliveryKey, Failure, Outcome, Reason, Status, Timings
from posthorn.domain.purge_job import PurgeJob
from posthorn.domain.replay_job import ReplayCounts, ReplayJob, ReplaySelection
from tests.modules import modules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

JOB = ReplayJob(
    id="rpl_1",
    endpoint_id="wh_1",
    channel="wksp_1",
    since=0,
    until=1,
    wanted=ReplaySelection.FAILED,
    dry_run=False,
    created_at=1,
    updated_at=1,
    sent_at=1,
    position="evt_0",
    end="evt_1",
    counts=ReplayCounts(matched=3, replayed=2, skipped=1),
)
PURGE = PurgeJob("wksp_1", "cust_1", created_at=1, updated_at=1, sent_at=1, removed={"events": 3})
OUTCOME = Outcome(
    Timings(dns=1, connect=2, tls=3, first_byte=4, total=5),
    failure=Failure.CONNECT,
    error="canary",
    headers=(("x-canary", "canary"),),
    snippet="canary",
)
DELIVERY = Delivery(
    key=DeliveryKey("wh_1", "evt_1"),
    channel="wksp_1",
    event_type="CONTACT_CREATED",
    status=Status.FAILED,
    attempt=4,
    generation=1,
    reason=Reason.EXHAUSTED,
)


def unexpected() -> Exception:
    try:
        raise ValueError("canary")  # noqa: TRY301  # stands for text that a customer sent
    except ValueError as error:
        return error


def attempt() -> None:
    counts = telemetry.AttemptCounts()
    counts.add(DELIVERY, Attempt(number=4, started_at=1, outcome=OUTCOME), "hooks.example.com")


def summary() -> None:
    counts = telemetry.AttemptCounts()
    outcome = Outcome(OUTCOME.timings, status=200)
    delivered = Delivery(**{**_fields_of(DELIVERY), "status": Status.DELIVERED, "reason": None})
    counts.add(delivered, Attempt(number=1, started_at=1, outcome=outcome), "hooks.example.com")
    counts.write()


def _fields_of(delivery: Delivery) -> dict[str, Any]:
    return {name: getattr(delivery, name) for name in delivery.__slots__}


EVENTS: dict[str, tuple[Callable[[], object], str, dict[str, Any]]] = {
    "aws.call_failed": (
        lambda: telemetry.call_failed(Unavailable("put_item", "Throttled")),
        "ERROR",
        {"operation": "put_item", "code": "Throttled"},
    ),
    "aws.refused": (
        lambda: telemetry.call_failed(
            OperatorError(
                "send_email",
                "AccessDeniedException",
                permission="ses:SendEmail",
                resource="arn:aws:ses:us-east-1:123456789012:configuration-set/default",
            )
        ),
        "ERROR",
        {
            "operation": "send_email",
            "code": "AccessDeniedException",
            "permission": "ses:SendEmail",
            "resource": "arn:aws:ses:us-east-1:123456789012:configuration-set/default",
        },
    ),
    "row.unreadable": (
        lambda: telemetry.row_unreadable("wh_1 evt_1", "the row has an unknown version"),
        "ERROR",
        {"where": "wh_1 evt_1", "reason": "the row has an unknown version"},
    ),
    "message.dead_lettered": (
        lambda: telemetry.dead_lettered("stream-record", "1", "the key is wrong"),
        "ERROR",
        {"kind": "stream-record", "id": "1", "reason": "the key is wrong"},
    ),
    "deliveries.queued": (lambda: telemetry.deliveries_queued(3), "INFO", {"deliveries": 3}),
    "results.handed_over": (
        lambda: telemetry.results_handed_over(3, refused=1),
        "WARNING",
        {"deliveries": 3, "refused": 1},
    ),
    "deliveries.requeued": (lambda: telemetry.deliveries_requeued(3), "INFO", {"deliveries": 3}),
    "records.postponed": (lambda: telemetry.records_postponed(3), "INFO", {"records": 3}),
    "messages.unsent": (lambda: telemetry.messages_unsent(3), "ERROR", {"deliveries": 3}),
    "notification.ignored": (
        lambda: telemetry.notification_ignored("1", "SubscriptionConfirmation"),
        "INFO",
        {"id": "1", "kind": "SubscriptionConfirmation"},
    ),
    "sweep.finished": (
        lambda: telemetry.sweep_finished(enqueued=1, left=2, unsent=3, complete=False),
        "INFO",
        {"enqueued": 1, "left": 2, "unsent": 3, "complete": False},
    ),
    "purge.finished": (
        lambda: telemetry.purge_finished(PURGE),
        "INFO",
        {"workspace": "wksp_1", "rounds": 1, "events": 3},
    ),
    "replay.finished": (
        lambda: telemetry.replay_finished(JOB),
        "INFO",
        {
            "replay": "rpl_1",
            "endpoint": "wh_1",
            "state": "queued",
            "matched": 3,
            "replayed": 2,
            "skipped": 1,
        },
    ),
    "delivery.attempted": (
        attempt,
        "INFO",
        {
            "endpoint": "wh_1",
            "event": "evt_1",
            "host": "hooks.example.com",
            "attempt": 4,
            "generation": 1,
            "failure": "connect",
            "latency_ms": 5,
            "delivery": "failed",
            "reason": "exhausted",
        },
    ),
    "deliveries.attempted": (summary, "INFO", {"delivered": 1, "slowest_ms": 5}),
}


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    handler = telemetry.log().registered_handler
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    before = handler.setStream(written)
    yield written
    handler.setStream(before)


def test_every_event_is_listed() -> None:
    """An event that is added to telemetry is added here, too."""
    calls = (node for node in ast.walk(modules()["posthorn.telemetry"].tree) if isinstance(node, ast.Call))
    names = {
        text
        for call in calls
        for argument in call.args
        if isinstance(argument, ast.Constant) and re.fullmatch(r"\w+\.\w+", text := str(argument.value))
    }
    assert names == {*EVENTS, "request.failed"}


@pytest.mark.parametrize("name", EVENTS)
def test_each_event_has_its_name_and_its_fields(name: str, lines: io.StringIO) -> None:
    """A line is what its function says, no more and no less, so that queries over the log stay right."""
    report, level, fields = EVENTS[name]

    report()

    (line,) = map(json.loads, lines.getvalue().splitlines())
    assert (line.pop("message"), line.pop("level")) == (name, level)
    assert {key: value for key, value in line.items() if key not in {"timestamp", "service"}} == fields


def test_an_unexpected_error_shows_its_type_and_place(lines: io.StringIO) -> None:
    """Its text may hold what a customer sent, so it is not logged."""
    telemetry.request_failed("GET /v1/webhooks", unexpected())

    (line,) = map(json.loads, lines.getvalue().splitlines())
    assert (line["message"], line["operation"]) == ("request.failed", "GET /v1/webhooks")
    assert line["exception_name"] == "ValueError"
    assert [place.rpartition("/")[2].partition(":")[0] for place in line["places"]] == ["test_telemetry.py"]
    assert "canary" not in lines.getvalue()
