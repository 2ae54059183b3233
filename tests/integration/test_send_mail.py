"""`/api/v1/partner/email/send`: which mails are accepted or refused; none is sent twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from posthorn.domain.errors import OperatorError, RejectedMail, Unavailable

if TYPE_CHECKING:
    from tests.installation import Installation

SEND: Final = "/api/v1/partner/email/send"
MAIL: Final[dict[str, Any]] = {
    "from": "Hello <hello@yourcompany.com>",
    "to": ["customer@example.com"],
    "subject": "Welcome",
    "text_body": "canary-body",
    "configuration_set_name": "production",
}


@pytest.fixture(autouse=True)
def production(posthorn: Installation) -> None:
    reply = posthorn.call("POST", "/api/v1/partner/email/configuration-sets", {"name": "production"})
    assert reply.status == 201


def _published(posthorn: Installation) -> list[dict[str, Any]]:
    return [json.loads(message.body) for message in posthorn.waiting("FeedbackQueue")]


def test_without_a_set_the_mail_is_sent_and_causes_no_event(posthorn: Installation) -> None:
    """A mail without a configuration set is accepted and causes no events."""
    mail = {name: value for name, value in MAIL.items() if name != "configuration_set_name"}

    assert posthorn.call("POST", SEND, mail).status == 202
    assert _published(posthorn) == []


def test_an_unknown_set_sends_nothing(posthorn: Installation) -> None:
    """An unknown set or one of another workspace is a 404, and nothing is sent."""
    _, other = posthorn.new_workspace()

    unknown = posthorn.call("POST", SEND, {**MAIL, "configuration_set_name": "nobodys"})
    foreign = posthorn.call("POST", SEND, MAIL, key=other)

    assert (unknown.status, unknown.body["code"]) == (404, "unknown_configuration_set")
    assert (foreign.status, foreign.body["code"]) == (404, "unknown_configuration_set")
    assert _published(posthorn) == []


def test_a_repeated_send_sends_once(posthorn: Installation) -> None:
    """The same Idempotency-Key gives the same message id and sends no second mail."""
    key = {"idempotency-key": "welcome-4711"}

    first = posthorn.call("POST", SEND, MAIL, headers=key)
    second = posthorn.call("POST", SEND, MAIL, headers=key)
    other = posthorn.call("POST", SEND, {**MAIL, "subject": "Bye"}, headers=key)

    assert first.status == 202
    assert second.body == first.body
    assert (other.status, other.body["code"]) == (409, "idempotency_key_reused")
    assert [one["eventType"] for one in _published(posthorn)] == ["Send", "Delivery"]


def test_a_send_with_an_unknown_outcome_is_not_repeated(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the backend gives no answer, the mail may have been sent, so the same key does not send it again."""
    key = {"idempotency-key": "welcome-4711"}
    with monkeypatch.context() as broken:
        _backend_raises(broken, posthorn, Unavailable("send_email", "ReadTimeoutError"))
        first = posthorn.call("POST", SEND, MAIL, headers=key)

    at_once = posthorn.call("POST", SEND, MAIL, headers=key)
    posthorn.clock.pass_seconds(31)
    later = posthorn.call("POST", SEND, MAIL, headers=key)

    assert first.status == 503
    assert (at_once.status, at_once.body["code"]) == (409, "in_progress")
    assert (later.status, later.body["code"]) == (409, "outcome_unknown")
    assert _published(posthorn) == []


def test_a_mail_that_was_sent_is_not_called_an_outage(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If only recording the success fails, the caller learns that the mail may have been sent."""

    def fail(*_: object) -> None:
        raise Unavailable("update_item", "InternalServerError")

    with monkeypatch.context() as broken:
        broken.setattr(type(posthorn.services.idempotency), "finish", fail)
        reply = posthorn.call("POST", SEND, MAIL, headers={"idempotency-key": "welcome-4711"})

    assert reply.status == 202
    assert len(_published(posthorn)) == 2


def test_an_outage_before_the_send_leaves_the_key_free(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If even the set's lookup failed, nothing was sent, and the same key may be used again."""
    key = {"idempotency-key": "welcome-4711"}

    def fail(*_: object) -> None:
        raise Unavailable("get_item", "InternalServerError")

    with monkeypatch.context() as broken:
        broken.setattr(type(posthorn.services.configuration_sets), "by_name", fail)
        first = posthorn.call("POST", SEND, MAIL, headers=key)

    second = posthorn.call("POST", SEND, MAIL, headers=key)

    assert (first.status, second.status) == (503, 202)
    assert len(_published(posthorn)) == 2


def test_a_repeated_send_answers_the_same_after_its_set_is_gone(posthorn: Installation) -> None:
    """The result of a sent mail does not change when its configuration set is deleted."""
    key = {"idempotency-key": "welcome-4711"}
    first = posthorn.call("POST", SEND, MAIL, headers=key)
    sets = "/api/v1/partner/email/configuration-sets"
    (one,) = posthorn.call("GET", sets).body["configuration_sets"]
    posthorn.call("DELETE", f"{sets}/{one['config_set_id']}")

    assert posthorn.call("POST", SEND, MAIL, headers=key).body == first.body


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RejectedMail("The sender is not verified.", code="sender_not_verified"), 422),
        (Unavailable("send_email", "TooManyRequestsException", refused=True), 503),
        (OperatorError("send_email", "AccessDeniedException", permission="ses:SendEmail"), 500),
    ],
)
def test_a_send_that_was_refused_can_be_repeated(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    """If the backend reports that nothing was sent, the same key may be used again."""
    key = {"idempotency-key": "welcome-4711"}
    with monkeypatch.context() as broken:
        _backend_raises(broken, posthorn, error)
        first = posthorn.call("POST", SEND, MAIL, headers=key)

    second = posthorn.call("POST", SEND, MAIL, headers=key)

    assert first.status == status
    assert second.status == 202
    assert len(_published(posthorn)) == 2


def _backend_raises(broken: pytest.MonkeyPatch, posthorn: Installation, error: Exception) -> None:
    def fail(*_: object) -> None:
        raise error

    broken.setattr(type(posthorn.services.email), "send", fail)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"from": "nobody"}, "/from"),
        ({"from": "a@b.c\r\nBcc: x@y.z"}, "/from"),
        ({"from": None}, "/from"),
        ({"to": []}, "/to"),
        ({"to": ["customer@example.com"] * 51}, "/to"),
        ({"to": ["a@example.com"] * 30, "cc": ["b@example.com"] * 21}, "/to"),
        ({"to": ["customer@example.com", "nobody"]}, "/to/1"),
        ({"to": "customer@example.com"}, "/to"),
        ({"cc": ["nobody"]}, "/cc/0"),
        ({"bcc": [1]}, "/bcc/0"),
        ({"reply_to": ["no one"]}, "/reply_to/0"),
        *(({"from": f"A{end}B <a@b.example>"}, "/from") for end in "\x85\u2028\u2029"),
        *(({"to": [f"a@b{end}.example"]}, "/to/0") for end in "\x85\u2028\u2029"),
        *(({"subject": f"a{end}b"}, "/subject") for end in "\x85\u2028\u2029"),
        ({"from": "a@b.example>,<c"}, "/from"),
        ({"to": ["a@b.example", "a@b.example>,<c"]}, "/to/1"),
        ({"cc": ["A <a@b.example>,c"]}, "/cc/0"),
        ({"bcc": ["a,b@c.example"]}, "/bcc/0"),
        ({"reply_to": ["a@b.example;c"]}, "/reply_to/0"),
        ({"subject": "a\r\nBcc: x@y.z"}, "/subject"),
        ({"subject": None}, "/subject"),
        ({"text_body": None}, "/html_body"),
        ({"html_body": 1}, "/html_body"),
        ({"headers": {"X-Ok": "a\nb"}}, "/headers/X-Ok"),
        ({"headers": {f"X-{n}": "x" for n in range(16)}}, "/headers"),
        ({"headers": []}, "/headers"),
        ({"tags": {"campaign": "with space"}}, "/tags/campaign"),
        ({"tags": {"posthorn-message": "x"}}, "/tags/posthorn-message"),
        ({"configuration_set_name": "with space"}, "/configuration_set_name"),
        ({"sender": "a@b.c"}, "/sender"),
        ({"template": "x"}, "/template"),
    ],
)
def test_an_invalid_mail(posthorn: Installation, change: dict[str, Any], pointer: str) -> None:
    """Bad input gets a pointer to its cause, repeats nothing of the mail, and sends nothing."""
    reply = posthorn.call("POST", SEND, {**MAIL, **change})

    assert reply.status == 422, reply
    assert [error["pointer"] for error in reply.body["errors"]] == [pointer]
    assert "canary" not in json.dumps(reply.body)
    assert _published(posthorn) == []


@pytest.mark.parametrize(
    "name",
    [
        *("Bcc", "BCC", "Cc", "To", "to", "From", "Sender", "Return-Path", "Reply-To", "Subject", "Date"),
        *("Message-ID", "Message-Id", "Content-Type", "content-transfer-encoding", "Content-X"),
        *("MIME-Version", "DKIM-Signature", "DomainKey-Signature", "Received", "Received-SPF"),
        *("Resent-From", "Resent-Bcc", "Authentication-Results", "ARC-Seal", "ARC-Authentication-Results"),
        *("Delivered-To", "X-SES-CONFIGURATION-SET", "x-ses-source-arn"),
    ],
)
def test_a_reserved_header_is_refused(posthorn: Installation, name: str) -> None:
    """A header that the mail's own fields, SES or mail servers write is refused in any case, and nothing is sent."""
    reply = posthorn.call(
        "POST", SEND, {**MAIL, "headers": {"X-Campaign": "spring", name: "canary@example.com"}}
    )

    assert (reply.status, reply.body["code"]) == (422, "reserved_header")
    assert [error["pointer"] for error in reply.body["errors"]] == [f"/headers/{name}"]
    assert "canary" not in json.dumps(reply.body)
    assert _published(posthorn) == []


def test_a_header_counts_once_in_whatever_case(posthorn: Installation) -> None:
    """Two names that differ only in case are the same header, so both are refused, and nothing is sent."""
    headers = {"X-Campaign": "spring", "x-campaign": "summer", "X-Other": "1"}

    reply = posthorn.call("POST", SEND, {**MAIL, "headers": headers})

    assert (reply.status, reply.body["code"]) == (422, "invalid_input")
    assert [one["pointer"] for one in reply.body["errors"]] == ["/headers/X-Campaign", "/headers/x-campaign"]
    assert _published(posthorn) == []


def test_headers_that_only_sound_reserved_are_taken(posthorn: Installation) -> None:
    """Only whole names and the prefixes are reserved."""
    headers = {"X-To": "a", "References": "<1@example.com>", "In-Reply-To": "<1@example.com>", "Dates": "b"}

    assert posthorn.call("POST", SEND, {**MAIL, "headers": headers}).status == 202


def test_everything_a_mail_may_have_is_taken(posthorn: Installation) -> None:
    """All optional fields together are accepted, and the caller's tags are in the events."""
    reply = posthorn.call(
        "POST",
        SEND,
        {
            **MAIL,
            "cc": ["cc@example.com"],
            "bcc": ["bcc@example.com"],
            "reply_to": ["Support <support@yourcompany.com>"],
            "html_body": "<p>Ünal 😀</p>",
            "headers": {"X-Campaign": "spring", "List-Unsubscribe": "<https://example.com/u>"},
            "tags": {"campaign": "spring_2026"},
        },
    )

    assert reply.status == 202, reply
    assert all(one["mail"]["tags"]["campaign"] == ["spring_2026"] for one in _published(posthorn))
