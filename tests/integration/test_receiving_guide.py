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
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.ids import new_id
from posthorn.domain.models import Event
from posthorn.settings import Brand
from posthorn.wire.envelope import Envelope
from posthorn.wire.formats import body_of, content_type_of, formats_of, headers_of
from tests.receivers.node import HERE, node_path

if TYPE_CHECKING:
    from collections.abc import Iterator

GUIDE: Final = Path(__file__).parents[2].joinpath("docs/receiving.md").read_text("utf-8")
TOKEN: Final = "wht_of-the-guide-pässwort"
PATIENCE: Final = 30.0


def _snippet(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    text: str = code
    return text


@pytest.fixture(params=["python", "js"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Run a receiver of the guide; yield its port and the file that it prints to."""
    language: str = request.param
    script = tmp_path / f"receiver.{language}"
    script.write_text(_snippet(language), "utf-8")
    program = [sys.executable] if language == "python" else [node_path()]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "NODE_PATH": str(HERE / "node_modules"),
        "PORT": str(port),
        "WEBHOOK_TOKEN": TOKEN,
    }
    printed = tmp_path / "printed"
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


def test_a_receiver_of_the_guide_accepts_signed_events_once(receiver: tuple[int, Path]) -> None:
    """A delivery is accepted, its duplicate is accepted but not handled, a tampered one is refused."""
    port, printed = receiver
    body, headers = _delivery()
    assert _post(port, body, headers) == 204
    assert _post(port, body, headers) == 204
    assert _post(port, body.replace(b"CREATED", b"DELETED"), headers) == 401
    assert _post(port, body, {**headers, "webhook-timestamp": "1"}) == 401
    assert printed.read_text("utf-8").split() == ["CONTACT_CREATED"]


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


def _delivery() -> tuple[bytes, dict[str, str]]:
    now = time.time_ns() // 1_000_000
    workspace = new_id("wksp", now_ms=now, entropy=bytes(10))
    event = Event(
        id=new_id("evt", now_ms=now, entropy=bytes(10)),
        channel=workspace,
        workspace=workspace,
        type="CONTACT_CREATED",
        data='{"name":"Zoë 田中 😀","n":1.5}',
        created_at="2023-04-16T15:45:00Z",
    )
    body = body_of(PayloadFormat.EVENT_JSON, event)
    envelope = Envelope(
        event=event,
        body=body,
        secrets=(TOKEN.encode(),),
        sent_at=now,
        endpoint_id=new_id("wh", now_ms=now, entropy=bytes(10)),
        generation=1,
        attempt=1,
    )
    return body, dict(headers_of(EndpointKind.WEBHOOK, PayloadFormat.EVENT_JSON, envelope, Brand()))


def _post(port: int, body: bytes, headers: dict[str, str]) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request("POST", "/", body, headers)
        return connection.getresponse().status


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
