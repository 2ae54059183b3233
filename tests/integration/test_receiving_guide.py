"""The receivers printed in docs/receiving.md, run as they are."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from posthorn.api.routes.secret_rotation import Rotation
from posthorn.domain.email_types import EMAIL_TYPES
from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.ids import new_id
from posthorn.domain.limits import MAX_DATA
from posthorn.domain.matching import MAX_TYPE_LENGTH
from posthorn.domain.models import Event
from posthorn.settings import Brand
from posthorn.transport.http import BODY_SECONDS
from posthorn.transport.response import MAX_BODY_BYTES, SNIPPET_BYTES
from posthorn.wire.envelope import Envelope
from posthorn.wire.formats import body_of, content_type_of, default_of, formats_of, headers_of
from posthorn.wire.signing import (
    MAX_KEY_BYTES,
    MAX_SECRET_LENGTH,
    MIN_KEY_BYTES,
    MIN_SECRET_LENGTH,
    encoded_key,
)
from tests.receivers.node import HERE, node_path

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
GUIDE: Final = (ROOT / "docs/receiving.md").read_text("utf-8")
README: Final = (ROOT / "README.md").read_text("utf-8")
DATA: Final = {
    EndpointKind.WEBHOOK: '{"name":"Zoë 田中 😀","n":1.5,"was":"CREATED"}',
    EndpointKind.EVENT_DESTINATION: '{"eventType":"Bounce","mail":{"messageId":"m-1"},"bounce":{}}',
}
TOKEN: Final = "wht_of-the-guide-pässwort"
STANDARD_TOKEN: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATIENCE: Final = 30.0

# Make the queue of a receiver, which prints events, fail the first time.
FAILS_ONCE: Final = {
    "python": """
def print(*values, **options):
    global print
    del print  # the next call finds the built-in function
    raise OSError("the queue is down")


""",
    "js": """
const { log } = console;
console.log = () => {
  console.log = log;
  throw new Error('the queue is down');
};
""",
}


def _snippet(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    text: str = code
    return text


@pytest.fixture(params=["python", "js"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def receiver(language: str, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Run a receiver of the guide; yield its port and the file that it prints to."""
    with _running(language, _snippet(language), tmp_path) as running:
        yield running


@pytest.fixture
def unlucky_receiver(language: str, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Run a receiver of the guide whose queue fails once."""
    with _running(language, FAILS_ONCE[language] + _snippet(language), tmp_path) as running:
        yield running


@contextmanager
def _running(language: str, code: str, folder: Path, *, token: str = TOKEN) -> Iterator[tuple[int, Path]]:
    script = folder / f"receiver.{language}"
    script.write_text(code, "utf-8")
    program = [sys.executable] if language == "python" else [node_path()]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "NODE_PATH": str(HERE / "node_modules"),
        "PORT": str(port),
        "WEBHOOK_TOKEN": token,
    }
    printed = folder / "printed"
    with (
        printed.open("wb") as out,
        subprocess.Popen([*program, str(script)], env=environment, stdout=out) as running,
    ):
        try:
            deadline = time.monotonic() + PATIENCE
            while not _listens(port):
                assert running.poll() is None
                assert time.monotonic() < deadline
            yield port, printed
        finally:
            running.terminate()


@pytest.mark.parametrize("kind", EndpointKind)
def test_a_receiver_of_the_guide_accepts_signed_events_once(
    receiver: tuple[int, Path], kind: EndpointKind
) -> None:
    """A delivery is accepted, its duplicate is accepted but not handled, a tampered one is refused."""
    port, printed = receiver
    body, headers = _delivery(kind)
    assert _post(port, body, headers) == 204
    assert _post(port, body, headers) == 204
    assert _post(port, body.replace(b"CREATED", b"DELETED") + b" ", headers) == 401
    assert _post(port, body, {**headers, "webhook-timestamp": "1"}) == 401
    assert _handled(printed) == [json.loads(body)]


@pytest.mark.parametrize("kind", EndpointKind)
def test_a_receiver_of_the_guide_takes_a_token_of_the_standards_form(
    language: str, tmp_path: Path, kind: EndpointKind
) -> None:
    """A `whsec_` token is passed to the library as it is, and every other token is refused."""
    with _running(language, _snippet(language), tmp_path, token=STANDARD_TOKEN) as (port, printed):
        body, headers = _delivery(kind, token=STANDARD_TOKEN)
        assert _post(port, body, headers) == 204
        assert _handled(printed) == [json.loads(body)]
        assert _post(port, *_delivery(kind)) == 401


def test_the_command_of_the_guide_makes_a_token_of_the_standards_form() -> None:
    """The API accepts what it prints, and the libraries decode it to a key of 32 bytes."""
    token = subprocess.run(
        ["sh", "-c", _snippet("sh")], capture_output=True, check=True, text=True
    ).stdout.strip()
    Rotation.model_validate({"token": token})
    key = encoded_key(token.encode())
    assert key is not None
    assert len(key) == 32


def test_the_guide_says_what_a_token_may_be() -> None:
    """Its table has the bounds that the API checks."""
    assert f"text of {MIN_SECRET_LENGTH} to {MAX_SECRET_LENGTH} characters" in GUIDE
    assert f"base64 of {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes" in GUIDE


@pytest.mark.parametrize("kind", EndpointKind)
def test_a_receiver_of_the_guide_handles_an_event_that_its_queue_refused_once(
    unlucky_receiver: tuple[int, Path], kind: EndpointKind
) -> None:
    """The first POST is answered so that it is retried, and the retry is not taken for a duplicate."""
    port, printed = unlucky_receiver
    body, headers = _delivery(kind)
    assert _post(port, body, headers) == 503
    assert _post(port, body, headers) == 204
    assert _post(port, body, headers) == 204
    assert _handled(printed) == [json.loads(body)]


@pytest.mark.parametrize("kind", EndpointKind)
def test_a_receiver_of_the_guide_takes_the_largest_body(
    receiver: tuple[int, Path], kind: EndpointKind
) -> None:
    """No body parser refuses an event for its size."""
    port, printed = receiver
    body, headers = _delivery(kind, _largest_data(kind))
    assert _post(port, body, headers) == 204
    assert _handled(printed) == [json.loads(body)]


@pytest.mark.parametrize("payload_format", PayloadFormat)
def test_the_guide_gives_the_largest_body_of_each_format(payload_format: PayloadFormat) -> None:
    """The largest data with the longest type and time make the body that the guide names."""
    largest = max(
        len(body_of(payload_format, _largest(kind)))
        for kind in EndpointKind
        if payload_format in formats_of(kind)
    )
    (row,) = (line for line in GUIDE.splitlines() if line.startswith(f"| `{payload_format}` |"))
    assert f"| {largest:,} bytes |" in row


def test_readme_and_guide_say_how_long_a_body_is_read() -> None:
    """Both name the limits that the client has."""
    limits = f"at most {BODY_SECONDS:g} seconds or {MAX_BODY_BYTES // 1024} KB"
    assert limits in GUIDE
    assert limits in README
    assert f"the first {SNIPPET_BYTES // 1024} KB" in GUIDE
    assert f"the first {SNIPPET_BYTES // 1024} KB" in README


def test_the_guide_shows_each_format_as_it_is_sent() -> None:
    """The JSON texts of the guide are the bodies of one event, in the formats of a webhook."""
    event = Event(
        id="evt_01GY5BVC30BPC335BN0KCGXRQ8",
        channel="wksp_01GY5BVC309NNKZNNKZNNKZNNK",
        workspace="wksp_01GY5BVC309NNKZNNKZNNKZNNK",
        type="CONTACT_CREATED",
        data='{"contact":{"id":"cont_123456789"}}',
        created_at="2023-04-16T15:45:00Z",
    )
    shown = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)]
    sent = [json.loads(body_of(one, event)) for one in formats_of(EndpointKind.WEBHOOK)]
    assert [list(one.items()) for one in shown] == [list(one.items()) for one in sent]
    for one in PayloadFormat:
        assert f"| `{one}` |" in GUIDE
        assert f"| `{content_type_of(one)}` |" in GUIDE


def _delivery(
    kind: EndpointKind, data: str | None = None, *, token: str = TOKEN
) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of an attempt, signed now."""
    now = time.time_ns() // 1_000_000
    event = replace(_event(kind, data or DATA[kind]), id=new_id("evt", now_ms=now, entropy=bytes(10)))
    payload_format = default_of(kind)
    body = body_of(payload_format, event)
    envelope = Envelope(
        event=event,
        body=body,
        secrets=(token.encode(),),
        sent_at=now,
        endpoint_id=new_id("wh", now_ms=now, entropy=bytes(10)),
        generation=1,
        attempt=1,
    )
    return body, dict(headers_of(kind, payload_format, envelope, Brand()))


def _event(kind: EndpointKind, data: str) -> Event:
    workspace = "wksp_01GY5BVC309NNKZNNKZNNKZNNK"
    is_webhook = kind is EndpointKind.WEBHOOK
    return Event(
        id="evt_01GY5BVC30BPC335BN0KCGXRQ8",
        channel=workspace if is_webhook else "cs_01GY5BVC309NNKZNNKZNNKZNNK",
        workspace=workspace,
        type="CONTACT_CREATED" if is_webhook else "bounce",
        data=data,
        created_at="2023-04-16T15:45:00Z",
    )


def _largest(kind: EndpointKind) -> Event:
    longest = max((one.name for one in EMAIL_TYPES), key=len)
    return replace(
        _event(kind, _largest_data(kind)),
        type="A" * MAX_TYPE_LENGTH if kind is EndpointKind.WEBHOOK else longest,
        created_at="2023-04-16T15:45:00.123Z",
    )


def _largest_data(kind: EndpointKind) -> str:
    start = DATA[kind].removesuffix("}") + ',"filling":"'
    return start + "x" * (MAX_DATA - len((start + '"}').encode())) + '"}'


def _handled(printed: Path) -> list[Any]:
    return [json.loads(line) for line in printed.read_text("utf-8").splitlines()]


def _post(port: int, body: bytes, headers: dict[str, str]) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request("POST", "/", body, headers)
        return connection.getresponse().status


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
