"""`posthorn check` and the deployed stack that it looks at, for tests."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import boto3
import pytest
from moto.sns.models import sns_backends

from posthorn_cli.check import command
from posthorn_cli.check.command import CHECKS
from tests.commands import run
from tests.deployed_stack import DeployedStack, deployed
from tests.template import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.commands import Done

TOPIC: Final = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
PRODUCTION: Final = {
    "AlarmTopicArn": TOPIC,
    "BrandHeaderPrefix": "X-Acme",
    "BrandAliasHeader": "",
    "BrandUserAgent": "Acme-Webhooks/1.0",
    "EmailBrandHeaderPrefix": "X-Acme-Mail",
    "EmailBrandUserAgent": "Acme-Mail-Webhooks/1.0",
}


@contextmanager
def answering_api() -> Iterator[list[tuple[int, bytes]]]:
    """Serve what an API answers, the last entry to every request, on loopback; the first entry is its URL."""
    answers: list[tuple[int, bytes]] = [(200, b'{"status":"ok"}')]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers[-1]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", "https://elsewhere.example.com/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("POSTHORN_API_URL", f"http://127.0.0.1:{server.server_address[1]}")
        patched.setenv("NO_PROXY", "127.0.0.1")
        yield answers
    server.shutdown()
    server.server_close()


@contextmanager
def production(monkeypatch: pytest.MonkeyPatch) -> Iterator[DeployedStack]:
    """Deploy everything as it should be in production, and let commands look at it."""
    with deployed(**PRODUCTION) as found:
        commands_look_at(found, monkeypatch)
        yield found


def commands_look_at(found: DeployedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    found.client("sns").create_topic(Name="alarms")
    sns_backends[ACCOUNT][REGION].topics[TOPIC].subscriptions_confimed = 1  # moto never counts them
    monkeypatch.setattr(boto3, "Session", found.session)


def run_check(capsys: pytest.CaptureFixture[str], only: str | None = None, *options: str) -> Done:
    """Run one check of the command, or all of them."""
    chosen = {name: check for name, check in CHECKS.items() if only in {None, name}}
    with mock.patch.object(command, "CHECKS", chosen):
        return run(capsys, "check", "--json", *options)


def only_problem(done: Done) -> tuple[str, str]:
    """Return status and text of the one finding that is not ok, advice included."""
    (found,) = done.document["findings"]
    assert done.status == (found["status"] == "fail")
    assert done.document["status"] == found["status"]
    assert found["advice"]
    return found["status"], f"{found['text']} {found['advice']}"
