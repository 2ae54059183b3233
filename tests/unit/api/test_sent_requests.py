"""Requests rebuilt for the log equal what the HTTP client sent, and the curl command really sends them."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthorn.api.routes.sent_requests import (
    NEVER_LEFT,
    OTHER_FORMAT,
    PLACEHOLDER,
    SECRET_REPLACED,
    curl_line,
    rebuild,
    unsigned,
)
from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.ids import EVENT, new_id
from posthorn.domain.models import Attempt, Endpoint, Event, Failure, Outcome, SealedSecret, Timings
from posthorn.settings import Brand
from posthorn.transport.http import Client, Post
from posthorn.transport.targets import Policy, parse_target
from posthorn.wire.ecmascript import stringify
from posthorn.wire.envelope import Envelope
from posthorn.wire.formats import body_of, formats_of, headers_of
from tests.unit.transport.receivers import GIVE_UP, OK, Receiver, answering

BRAND: Final = Brand(
    header_prefix="X-SMASHSEND",
    alias_header="X-Zootools-Signature",
    user_agent="SMASHSEND-Webhook/1.0",
    email_header_prefix="X-Splashify",
    email_user_agent="Splashify-Pro-Webhook/1.0",
)
PRIVATE: Final = Policy(allow_private=True)
SECRETS: Final = (b"the-newer-secret", b"the-older-secret")
AT: Final = 1_681_659_900_000
NO_CURL_SETTINGS: Final = {"PATH": os.environ["PATH"], "CURL_HOME": os.devnull, "HOME": os.devnull}

AWKWARD: Final = [
    {"name": 'it\'s "quoted" and $HOME and `id` and \\n'},
    {"lines": "one\ntwo\r\nthree\u2028\u0000"},
    {"text": "Ünal 😀", "percent": "%s %n %%", "star": "*", "bang": "!!"},
    {"@": "@/etc/hostname"},
    {"large": "x" * 140_000 + "'"},
]
WEBHOOK: Final = EndpointKind.WEBHOOK
EVENT_JSON: Final = PayloadFormat.EVENT_JSON
FORMATS: Final = pytest.mark.parametrize(
    ("kind", "payload_format"), [(kind, one) for kind in EndpointKind for one in formats_of(kind)]
)


def _event(data: str) -> Event:
    return Event(
        id=new_id(EVENT, now_ms=AT, entropy=bytes(10)),
        channel="wksp_1",
        workspace="wksp_1",
        type="CONTACT_CREATED",
        data=data,
        created_at="2023-04-16T15:45:00Z",
    )


def _endpoint(kind: EndpointKind, payload_format: PayloadFormat, url: str) -> Endpoint:
    return Endpoint(
        id="wh_1",
        channel="wksp_1",
        workspace="wksp_1",
        kind=kind,
        format=payload_format,
        url=url,
        events=("*",),
        secret=SealedSecret(b"sealed", 2),
        created_at=0,
    )


def _data(kind: EndpointKind, value: object) -> str:
    return stringify(value if kind is WEBHOOK else {"eventType": "Send", "mail": value})


def _attempt(
    failure: Failure | None = None,
    signed_by: tuple[int, ...] = (2, 1),
    payload_format: PayloadFormat | None = None,
) -> Attempt:
    outcome = Outcome(Timings(1, 2, 3, 4, 5), status=None if failure else 200, failure=failure)
    return Attempt(3, AT, outcome, generation=2, signed_by=signed_by, format=payload_format)


def _envelope(event: Event, body: bytes, secrets: tuple[bytes, ...]) -> Envelope:
    return Envelope(event, body, secrets, sent_at=AT, endpoint_id="wh_1", generation=2, attempt=3)


@FORMATS
def test_a_rebuilt_request_equals_the_sent_one(kind: EndpointKind, payload_format: PayloadFormat) -> None:
    """The rebuilt request shows every header that was sent, in the order it was sent, and no other."""
    event = _event(_data(kind, AWKWARD[0]))
    body = body_of(payload_format, event)
    with Receiver(answering(OK)) as receiver:
        endpoint = _endpoint(kind, payload_format, receiver.url(path="/hook?a=[1]"))
        own = headers_of(kind, payload_format, _envelope(event, body, SECRETS), BRAND)
        client = Client(policy=PRIVATE)
        list(client.send([(None, Post(parse_target(endpoint.url, PRIVATE), own, body))], deadline=GIVE_UP))
        client.close()
        [received] = receiver.requests

    attempt = _attempt(payload_format=payload_format)
    sent = rebuild(endpoint, event, attempt, shown=payload_format, secrets=SECRETS, brand=BRAND)

    assert sent.headers == received.headers
    assert (sent.url, sent.notes) == (endpoint.url, ())


@FORMATS
@pytest.mark.parametrize("value", AWKWARD, ids=lambda value: next(iter(value)))
def test_the_command_sends_the_same_request(
    kind: EndpointKind, payload_format: PayloadFormat, value: object
) -> None:
    """Run in a shell with the real curl, the command sends the same bytes, except for the signatures."""
    event = _event(_data(kind, value))
    body = body_of(payload_format, event)
    with Receiver(answering(OK)) as receiver:
        endpoint = _endpoint(kind, payload_format, receiver.url(path="/a/../b//c?d=%2F&e='(;[f]{2}"))
        headers = unsigned(endpoint, payload_format, _envelope(event, body, ()), BRAND)
        _run(curl_line(endpoint.url, headers, body.decode()))
        [received] = receiver.requests

    attempt = _attempt(payload_format=payload_format)
    sent = rebuild(endpoint, event, attempt, shown=payload_format, secrets=None, brand=BRAND)
    assert received.line == "POST /a/../b//c?d=%2F&e='(;[f]{2} HTTP/1.1"
    assert received.body == body
    assert received.headers == sent.headers
    assert PLACEHOLDER in dict(received.headers).values()


def test_a_body_may_begin_with_anything() -> None:
    """The command does not take a leading `@` for a file name, and keeps a newline at the end."""
    with Receiver(answering(OK)) as receiver:
        for body in ("@/etc/hostname", "-X GET\n", "<>&|;", "'"):
            _run(curl_line(receiver.url(), (("Content-Type", "text/plain"), ("User-Agent", "a")), body))
            assert receiver.requests[-1].body == body.encode()


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=50),
)
def test_the_command_is_one_line_of_words_for_a_shell(body: str, value: str) -> None:
    """Whatever body and headers contain, the shell passes them on unchanged."""
    words = shlex.split(curl_line("https://hooks.example.com/", (("X-Test", value),), body))

    assert words[0] == "curl"
    assert words[words.index("--data-raw") + 1] == body
    assert f"X-Test: {value}" in words


@FORMATS
def test_without_the_secrets_only_the_signatures_are_missing(
    kind: EndpointKind, payload_format: PayloadFormat
) -> None:
    """Only the headers that depend on a secret are placeholders, and the note says why."""
    event = _event(_data(kind, {}))
    endpoint = _endpoint(kind, payload_format, "https://hooks.example.com/")
    attempt = _attempt(payload_format=payload_format)

    signed = rebuild(endpoint, event, attempt, shown=payload_format, secrets=SECRETS, brand=BRAND)
    without = rebuild(endpoint, event, attempt, shown=payload_format, secrets=None, brand=BRAND)

    assert without.notes == (SECRET_REPLACED,)
    differing = {
        name: value
        for (name, value), (_, real) in zip(without.headers, signed.headers, strict=True)
        if value != real
    }
    expected = {
        EndpointKind.WEBHOOK: {"X-SMASHSEND-Signature", "X-Zootools-Signature", "webhook-signature"},
        EndpointKind.EVENT_DESTINATION: {"X-Splashify-Signature", "webhook-signature"},
    }
    assert differing.keys() == expected[kind]
    assert set(differing.values()) == {PLACEHOLDER}


def test_a_blocked_attempt_needs_no_secrets() -> None:
    """If the guard blocked the attempt, nothing was signed or sent, and the note says so."""
    event = _event("{}")
    endpoint = _endpoint(WEBHOOK, EVENT_JSON, "https://hooks.example.com/")
    attempt = _attempt(Failure.BLOCKED_ADDRESS, signed_by=())

    sent = rebuild(endpoint, event, attempt, shown=EVENT_JSON, secrets=None, brand=BRAND)

    assert sent.notes == (NEVER_LEFT,)


@pytest.mark.parametrize(("since", "url"), [(None, True), (AT - 1, True), (AT, True), (AT + 1, False)])
def test_the_url_is_that_of_the_attempt_or_none(since: int | None, url: object) -> None:
    """If the endpoint's URL changed after the attempt, the new URL is not shown for it."""
    endpoint = replace(_endpoint(WEBHOOK, EVENT_JSON, "https://hooks.example.com:8443/"), url_since=since)

    sent = rebuild(endpoint, _event("{}"), _attempt(), shown=EVENT_JSON, secrets=SECRETS, brand=BRAND)

    assert (sent.url is not None) is url
    assert dict(sent.headers).get("Host") == ("hooks.example.com:8443" if url else None)


@pytest.mark.parametrize("now", formats_of(WEBHOOK))
@pytest.mark.parametrize("sent_as", formats_of(WEBHOOK))
def test_a_request_is_rebuilt_in_the_format_it_was_sent_in(
    now: PayloadFormat, sent_as: PayloadFormat
) -> None:
    """A later change of the format changes nothing about an attempt; a note says that its body is another one."""
    event = _event('{"name":"Zoë"}')
    before = _endpoint(WEBHOOK, sent_as, "https://hooks.example.com/")
    attempt = _attempt(payload_format=None if sent_as is EVENT_JSON else sent_as)

    then = rebuild(before, event, attempt, shown=sent_as, secrets=SECRETS, brand=BRAND)
    later = rebuild(replace(before, format=now), event, attempt, shown=now, secrets=SECRETS, brand=BRAND)

    assert later.headers == then.headers
    assert dict(then.headers)["Content-Length"] == str(len(body_of(sent_as, event)))
    assert later.notes == (() if now is sent_as else (OTHER_FORMAT.format(sent=sent_as, shown=now),))


def _run(line: str) -> None:
    done = subprocess.run(
        ["/bin/sh"],
        input=line + " --silent --show-error --max-time 20\n",
        check=False,
        capture_output=True,
        text=True,
        env=NO_CURL_SETTINGS,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok", "")
