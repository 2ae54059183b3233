"""Verifies every delivery of the end-to-end run with the four published Standard Webhooks libraries."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest
import standardwebhooks
import svix.webhooks

from tests.e2e.customer import TOKEN
from tests.receivers.recorder import Answer, Recorder

if TYPE_CHECKING:
    from tests.receivers.node import NodeReceiver
    from tests.receivers.recorder import Recorded

SECRET: Final = "whsec_" + base64.b64encode(TOKEN.encode()).decode()

type Receiving = Callable[[Answer], AbstractContextManager[Recorder]]
"""Opens a receiver with these answers, and verifies its deliveries when it closes."""


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """POST and return the status."""
    address = urlsplit(url)
    with closing(http.client.HTTPConnection(address.netloc, timeout=30)) as connection:
        connection.request("POST", address.path or "/", body, headers)
        return connection.getresponse().status


def verify(delivery: Recorded, npm_libraries: NodeReceiver) -> None:
    """Check that all four libraries accept a delivery, and refuse it with one byte changed."""
    tampered = delivery.body[:-2] + b"\n" + delivery.body[-2:]
    for library in (standardwebhooks.Webhook(SECRET), svix.webhooks.Webhook(SECRET)):
        library.verify(delivery.body, delivery.headers)
        with pytest.raises(
            (standardwebhooks.WebhookVerificationError, svix.webhooks.WebhookVerificationError)
        ):
            library.verify(tampered, delivery.headers)
    kept = {
        name: value
        for name, value in delivery.headers.items()
        if name.startswith(("webhook-", "content-type"))
    }
    assert post(npm_libraries.url, delivery.body, kept) == 200
    assert post(npm_libraries.url, tampered, kept) == 401
