"""One delivery in the log: every attempt, the request as it was sent, and which parts are no longer known."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from posthorn.api.routes.deliveries import EVENT_EXPIRED
from posthorn.api.routes.sent_requests import NEVER_LEFT, PLACEHOLDER, SECRET_REPLACED, URL_CHANGED
from posthorn.aws import clients
from posthorn.domain.models import Failure, Outcome
from tests.delivery_log import OURS, deliver_to, detail_of
from tests.network import INSTANT, answers, fails, in_turn

if TYPE_CHECKING:
    from tests.installation import Installation


def test_a_delivery_shows_every_attempt(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """Each attempt has its time, phases and address, and a response or the reason for having none."""
    broken = answers(503, headers=(("retry-after", "90"), ("server", "nginx")), snippet="<h1>no</h1>")
    event_id = deliver_to(posthorn, in_turn(broken, fails(Failure.TIMEOUT)))
    posthorn.clock.pass_seconds(90)
    posthorn.deliver(posthorn.take("Retry1MinQueue"))

    shown = detail_of(posthorn, webhook, event_id)

    first, second = shown["attempts"]
    assert {**first, "request": None} == {
        "attempt": 1,
        "generation": 1,
        "startedAt": "2023-04-16T15:45:01.000Z",
        "latencyMs": 5,
        "timings": {"dns": 1, "connect": 2, "tls": 3, "firstByte": 4, "total": 5},
        "status": 503,
        "address": "203.0.113.7",
        "request": None,
        "response": {
            "status": 503,
            "headers": {"retry-after": "90", "server": "nginx"},
            "body": "<h1>no</h1>",
        },
    }
    assert (second["failure"], second["error"], second["response"]) == ("timeout", "no answer", None)
    assert (shown["status"], shown["nextAttemptAt"]) == ("retrying", "2023-04-16T15:51:31.000Z")


def _sent(posthorn: Installation, number: int) -> tuple[dict[str, str], bytes]:
    received = posthorn.network.received[number]
    return received.headers, received.body


def test_the_request_is_shown_as_it_was_sent(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """Method, URL, headers with their real signatures, and body are shown exactly, for each attempt."""
    data = {"name": 'Ünal\'s "quote"\n😀', "n": [1e21, {}]}
    event_id = deliver_to(posthorn, in_turn(answers(500), answers(200)), data=data)
    posthorn.clock.pass_seconds(60)
    posthorn.deliver(posthorn.take("Retry1MinQueue"))

    shown = detail_of(posthorn, webhook, event_id)

    for number, attempt in enumerate(shown["attempts"]):
        headers, body = _sent(posthorn, number)
        request = attempt["request"]
        rebuilt = {name.lower(): value for name, value in request["headers"].items()}
        assert (request["method"], request["url"]) == ("POST", webhook["url"])
        assert shown["requestBody"].encode() == body
        assert {name: value for name, value in rebuilt.items() if name not in OURS} == headers
        assert rebuilt["host"] == "hooks.example.com"
        assert rebuilt["content-length"] == str(len(body))
        assert request["notes"] == []
    one, other = (attempt["request"]["headers"] for attempt in shown["attempts"])
    assert one["webhook-signature"] != other["webhook-signature"]
    assert webhook["token"] not in json.dumps(shown)


def test_signatures_of_a_replaced_secret_are_not_shown(
    posthorn: Installation, webhook: dict[str, Any]
) -> None:
    """After the token changed, old signatures are placeholders, and a note says why."""
    event_id = deliver_to(posthorn, answers(500))
    posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", {"token": "a-new-token-of-the-owner"})

    request = detail_of(posthorn, webhook, event_id)["attempts"][0]["request"]

    names = ("X-SMASHSEND-Signature", "X-Zootools-Signature", "webhook-signature")
    assert [request["headers"][name] for name in names] == [PLACEHOLDER] * 3
    assert request["headers"]["webhook-id"] == event_id
    assert request["notes"] == [SECRET_REPLACED]


def test_the_url_of_an_attempt_is_not_guessed(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """After a change of URL, older attempts show none and newer ones the new one."""
    event_id = deliver_to(posthorn, in_turn(answers(500), answers(200)))
    posthorn.clock.pass_seconds(10)
    path = f"/v1/webhooks/{webhook['id']}"
    assert posthorn.call("PUT", path, {"url": "https://hooks.example.com/other"}).status == 200
    assert posthorn.call("PUT", path, {"description": "moved"}).status == 200
    posthorn.clock.pass_seconds(50)
    posthorn.deliver(posthorn.take("Retry1MinQueue"))

    first, second = (attempt["request"] for attempt in detail_of(posthorn, webhook, event_id)["attempts"])

    assert (first["url"], first["notes"]) == (None, [URL_CHANGED])
    assert "Host" not in first["headers"]
    assert (second["url"], second["notes"]) == ("https://hooks.example.com/other", [])


def test_setting_the_same_url_is_not_a_change(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """A PUT with the same URL leaves the log unchanged."""
    event_id = deliver_to(posthorn, answers(200))
    posthorn.clock.pass_seconds(10)
    posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", {"url": webhook["url"]})

    (attempt,) = detail_of(posthorn, webhook, event_id)["attempts"]

    assert attempt["request"]["url"] == webhook["url"]


def test_a_request_that_never_left_says_so(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """If the connection failed, the request says that nothing was sent."""
    event_id = deliver_to(posthorn, fails(Failure.CONNECT))

    (attempt,) = detail_of(posthorn, webhook, event_id)["attempts"]

    assert attempt["request"]["notes"] == [NEVER_LEFT]


def test_the_request_of_an_expired_event_is_gone(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """The attempts stay readable without the request."""
    event_id = deliver_to(posthorn, answers(500))
    _expire(posthorn, event_id)

    shown = detail_of(posthorn, webhook, event_id)

    assert (shown["requestBody"], shown["curl"], shown["notes"]) == (None, None, [EVENT_EXPIRED])
    assert (shown["attempts"][0]["request"], shown["attempts"][0]["status"]) == (None, 500)


def _expire(posthorn: Installation, event_id: str) -> None:
    table = posthorn.tables["EventsTable"]
    dynamodb = clients.client("dynamodb")
    (row,) = (row for row in dynamodb.scan(TableName=table)["Items"] if row["sk"]["S"] == event_id)
    dynamodb.delete_item(TableName=table, Key={"pk": row["pk"], "sk": row["sk"]})


def test_a_delivery_that_was_never_sent_has_a_command_all_the_same(
    posthorn: Installation, webhook: dict[str, Any]
) -> None:
    """A delivery that waits for its first attempt has a curl command, too."""
    event_id = posthorn.publish()
    posthorn.dispatch(remaining_ms=15_000)

    shown = detail_of(posthorn, webhook, event_id)

    assert (shown["status"], shown["attempts"]) == ("queued", [])
    assert shown["curl"].startswith("curl ")
    assert re.findall(r"webhook-signature: (\S+?)'", shown["curl"]) == [PLACEHOLDER]


def test_answers_of_receivers_are_shown_as_data(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """Header names of a response keep the receiver's spelling."""
    event_id = deliver_to(
        posthorn, lambda _: Outcome(INSTANT, status=200, headers=(("x_request_id", "a_b"),))
    )

    (attempt,) = detail_of(posthorn, webhook, event_id)["attempts"]

    assert attempt["response"]["headers"] == {"x_request_id": "a_b"}
