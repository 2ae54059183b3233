"""What operators read in the functions' logs about attempts."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from posthorn.domain.models import Outcome
from posthorn.telemetry import log
from tests.network import INSTANT, answers, in_turn

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

    from tests.installation import Installation


@pytest.fixture
def at_debug() -> Iterator[None]:
    """Let every line through."""
    before = log().log_level
    log().setLevel(logging.DEBUG)
    yield
    log().setLevel(before)


def read(lines: io.StringIO) -> list[dict[str, Any]]:
    """Return what was logged since it was last read, in order."""
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    lines.seek(0)
    lines.truncate()
    return found


def test_an_attempt_that_failed_has_a_line_and_all_are_counted(
    posthorn: Installation, log_lines: io.StringIO
) -> None:
    """A thousand deliveries that went well are one line; each that did not says where, what and when it goes on."""
    webhook = posthorn.register("broken.example.com")
    posthorn.register("well.example.com")
    posthorn.register("gone.example.com")
    posthorn.network.receivers = {
        "broken.example.com": answers(500),
        "well.example.com": answers(200),
        "gone.example.com": answers(404),
    }
    event_id = posthorn.publish()
    read(log_lines)

    posthorn.dispatch()

    *attempts, total = read(log_lines)
    broken = next(line for line in attempts if line["host"] == "broken.example.com")
    assert {line["host"] for line in attempts} == {"broken.example.com", "gone.example.com"}
    assert {line["message"] for line in attempts} == {"delivery.attempted"}
    assert (broken["endpoint"], broken["event"]) == (webhook["id"], event_id)
    assert (broken["http_status"], broken["delivery"], broken["attempt"]) == (500, "retrying", 1)
    assert broken["next_attempt_at"] == posthorn.clock.now_ms + 60_000
    assert total["message"] == "deliveries.attempted"
    assert {name: total[name] for name in ("delivered", "retrying", "failed")} == {
        "delivered": 1,
        "retrying": 1,
        "failed": 1,
    }


def test_retries_are_counted_alike(posthorn: Installation, log_lines: io.StringIO) -> None:
    """DeliverFunction writes the same lines: none for a retry that went well, but the count."""
    posthorn.register("hooks.example.com")
    posthorn.network.receivers["hooks.example.com"] = in_turn(answers(500), answers(200))
    posthorn.publish()
    posthorn.dispatch()
    waiting = posthorn.take("Retry1MinQueue")
    posthorn.clock.pass_seconds(60)
    read(log_lines)

    posthorn.deliver(waiting)

    (line,) = read(log_lines)
    assert (line["message"], line["delivered"]) == ("deliveries.attempted", 1)


def test_failures_alone_are_not_counted_again(posthorn: Installation, log_lines: io.StringIO) -> None:
    """Where every attempt has its line, one more would say nothing."""
    posthorn.register("hooks.example.com")
    posthorn.network.receivers["hooks.example.com"] = answers(500)
    posthorn.publish()
    read(log_lines)

    posthorn.dispatch()

    assert [line["message"] for line in read(log_lines)] == ["delivery.attempted"]


def test_a_delivery_that_took_long_has_its_line(posthorn: Installation, log_lines: io.StringIO) -> None:
    """Who looks for what holds up the others finds it by name, though nothing failed."""
    for host, milliseconds in (("slow.example.com", 5_000), ("quick.example.com", 4_999)):
        posthorn.register(host)
        took = replace(INSTANT, total=milliseconds)
        posthorn.network.receivers[host] = lambda _, took=took: Outcome(took, status=200)  # type: ignore[misc]
    posthorn.publish()
    read(log_lines)

    posthorn.dispatch()

    (slow, total) = read(log_lines)
    assert (slow["host"], slow["latency_ms"]) == ("slow.example.com", 5_000)
    assert (total["delivered"], total["slowest_ms"]) == (2, 5_000)


def test_an_invocation_that_sent_nothing_writes_nothing(
    posthorn: Installation, log_lines: io.StringIO
) -> None:
    """An event that nobody listens to is no news."""
    posthorn.publish()
    read(log_lines)

    posthorn.dispatch()

    assert read(log_lines) == []


@pytest.mark.usefixtures("at_debug")
def test_at_debug_each_attempt_has_its_line(posthorn: Installation, log_lines: io.StringIO) -> None:
    """Who wants to follow each delivery in CloudWatch sets the level."""
    posthorn.register("hooks.example.com")
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    event_id = posthorn.publish()
    read(log_lines)

    posthorn.dispatch()

    (line, _) = read(log_lines)
    assert (line["level"], line["message"], line["event"]) == ("DEBUG", "delivery.attempted", event_id)
    assert (line["host"], line["delivery"]) == ("hooks.example.com", "delivered")


def test_at_debug_nobody_else_tells_what_was_sent(
    posthorn: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    """Lambda sets the root logger's level, and botocore's own lines at DEBUG hold requests and answers as a whole."""
    caplog.set_level(logging.DEBUG)
    posthorn.register("hooks.example.com", url="https://hooks.example.com/canary-path")
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    posthorn.publish(data={"canary": "canary-data"})

    posthorn.dispatch()

    told = [record.name for record in caplog.records if "canary" in repr(record.__dict__)]
    assert told == []
    assert {record.name.partition(".")[0] for record in caplog.records} & {
        "boto3",
        "botocore",
        "urllib3",
    } == set()
