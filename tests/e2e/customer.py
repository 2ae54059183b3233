"""A customer of a running stack, for the end-to-end tests."""

from __future__ import annotations

import http.client
import json
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TOKEN: Final = "wht_canary-token-that-must-not-be-logged"
"""The token of every webhook here, so that verifiers need only one."""
PATIENCE: Final = 90.0
"""Seconds to wait for an expected result, even on a busy machine."""


@dataclass(frozen=True)
class Customer:
    """A workspace with its own key."""

    api_url: str
    key: str = field(repr=False)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Call the API over HTTP; a body other than bytes is sent as JSON."""
        address = urlsplit(self.api_url)
        raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        sent = {
            "content-type": "application/json",
            "authorization": f"Bearer {key or self.key}",
            **(headers or {}),
        }
        with closing(http.client.HTTPConnection(address.netloc, timeout=PATIENCE)) as connection:
            connection.request(method, address.path + path, raw, sent)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def register(self, url: str, events: list[str] | None = None, **fields: Any) -> dict[str, Any]:
        wanted = {"url": url, "events": events or ["*"], "token": TOKEN, **fields}
        status, body = self.call("POST", "/v1/webhooks", wanted)
        assert status == 201, body
        webhook: dict[str, Any] = body["webhook"]
        return webhook

    def publish(self, data: Any = None, event: str = "CONTACT_CREATED") -> str:
        status, body = self.call("POST", "/v1/events", {"event": event, "data": data or {"n": 1}})
        assert status == 202, body
        event_id: str = body["event"]["id"]
        return event_id

    def settled(self, event_id: str, deliveries: int = 1) -> list[dict[str, Any]]:
        """Return an event's deliveries as soon as there are that many and all have settled."""

        def ask() -> list[dict[str, Any]] | None:
            _, body = self.call("GET", f"/v1/events/{event_id}")
            found: list[dict[str, Any]] = body["event"]["deliveries"]
            done = [delivery for delivery in found if delivery["status"] in {"delivered", "failed"}]
            return done if len(done) >= deliveries else None

        return awaited(ask)


def awaited[T](ask: Callable[[], T | None]) -> T:
    """Poll until there is an answer."""
    deadline = time.monotonic() + PATIENCE
    while (answer := ask()) is None:
        assert time.monotonic() < deadline, f"nothing after {PATIENCE:.0f} s"
        time.sleep(0.2)  # between two polls
    return answer
