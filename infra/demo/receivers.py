"""The receivers of the demo: small web servers on this machine that verify every signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from standardwebhooks import Webhook, WebhookVerificationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PATH: Final = "/webhooks"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One POST as its receiver saw it."""

    receiver: str
    at: float  # on the monotonic clock
    event_id: str
    event: str
    attempt: int  # counted by the receiver
    payload: dict[str, Any] = field(repr=False)
    published_check: bool  # by the published API's example code
    library_check: bool  # by the `standardwebhooks` package
    answer: int


@dataclass(frozen=True, slots=True)
class ReceiverKind:
    """The differences between a receiver of webhooks and one of email events."""

    event_of: Callable[[dict[str, Any]], str]
    published_check: Callable[[bytes, Any, str], bool]  # body, headers, secret


class Receiver:
    """A web server that gives these answers in turn, then the last one."""

    def __init__(
        self, name: str, kind: ReceiverKind, answers: Sequence[int], report: Callable[[Arrival], object]
    ) -> None:
        self.name = name
        self.secret = ""  # known once the endpoint is registered
        self._kind = kind
        self._answers = answers
        self._report = report
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}{PATH}"

    def receive(self, headers: Any, body: bytes) -> int:
        """Verify and report a POST, and return the status to answer."""
        event_id = headers.get("webhook-id", "")
        with self._lock:
            self._seen[event_id] += 1
            attempt = self._seen[event_id]
        payload = json.loads(body)
        arrival = Arrival(
            receiver=self.name,
            at=time.monotonic(),
            event_id=event_id,
            event=self._kind.event_of(payload),
            attempt=attempt,
            payload=payload,
            published_check=self._kind.published_check(body, headers, self.secret),
            library_check=_library_check(body, headers, self.secret),
            answer=self._answers[min(attempt, len(self._answers)) - 1],
        )
        self._report(arrival)
        return arrival.answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(receiver.receive(self.headers, body))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass  # the timeline shows it instead

        return Handler


@contextmanager
def listening(*receivers: Receiver) -> Iterator[None]:
    """Run receivers for the duration of the block."""
    threads = [threading.Thread(target=receiver.server.serve_forever) for receiver in receivers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for receiver in receivers:
            receiver.server.shutdown()
            receiver.server.server_close()
        for thread in threads:
            thread.join()


def _webhook_check(body: bytes, headers: Any, secret: str) -> bool:
    """Verify like the published webhook example: the body reserialized, and the older header."""
    text = json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False)  # like JSON.stringify
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    given = headers.get("x-zootools-signature", "")
    current = headers.get("x-smashsend-signature", "")
    return hmac.compare_digest(digest, given) and hmac.compare_digest(digest, current)


def _email_check(body: bytes, headers: Any, secret: str) -> bool:
    """Verify like the published email example: the raw body."""
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, headers.get("x-splashify-signature", ""))


WEBHOOK: Final = ReceiverKind(event_of=lambda payload: payload["event"], published_check=_webhook_check)
EMAIL: Final = ReceiverKind(event_of=lambda payload: payload["eventType"], published_check=_email_check)


def _library_check(body: bytes, headers: Any, secret: str) -> bool:
    library = Webhook("whsec_" + base64.b64encode(secret.encode()).decode())
    try:
        library.verify(body, {name.lower(): value for name, value in headers.items()})
    except WebhookVerificationError:
        return False
    return True
