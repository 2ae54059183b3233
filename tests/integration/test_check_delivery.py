"""`posthorn check --publish`: a test event reaches the operator's receiver, and nothing is left behind."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from posthorn.aws import clients
from posthorn.domain.models import Failure
from posthorn.stores import endpoint_rows
from posthorn_cli.check import command
from posthorn_cli.check.deployed import Deployed
from posthorn_cli.check.findings import Finding, Status
from posthorn_cli.check.publish import WAIT_SECONDS, check_delivery
from tests import operator
from tests.commands import run
from tests.gateway import application
from tests.network import answers, fails

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.installation import Installation
    from tests.network import Receiver

URL: Final = "https://receiver.example.com/hook"
HOST: Final = "receiver.example.com"


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def deployed(posthorn: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """Serve the API of the installation on loopback, as its operator reaches it."""
    place = operator.installed(posthorn)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = make_server("127.0.0.1", 0, application(posthorn), handler_class=_Silent)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield Deployed(place, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


def _run(
    deployed: Deployed, posthorn: Installation, meanwhile: Callable[[], object] | None = None
) -> list[Finding]:
    """Run the check; the dispatcher, or what a test gives, works while it waits."""
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        (meanwhile or posthorn.dispatch)()

    return list(check_delivery(deployed, URL, clock=lambda: now, sleep=sleep))


def _rows(posthorn: Installation, prefix: str) -> list[dict[str, Any]]:
    """Return the rows of the ConfigTable whose keys begin like this, but for those of the installation."""
    rows = clients.client("dynamodb").scan(TableName=posthorn.tables["ConfigTable"])["Items"]
    return [
        dict(row)
        for row in rows
        if (row["pk"]["S"].startswith(prefix) or row["sk"]["S"].startswith(prefix))
        and posthorn.workspace not in repr(row)
    ]


def _nothing_is_left(posthorn: Installation) -> bool:
    """Tell whether webhook and workspace are gone and the key, which expires soon in any case, revoked."""
    (key,) = _rows(posthorn, "key#")
    lifetime = int(key["valid_until"]["N"]) - posthorn.clock()
    gone = not _rows(posthorn, endpoint_rows.PREFIX) and not _rows(posthorn, "workspace")
    return gone and "revoked_at" in key and lifetime <= 900_000


def test_an_event_that_arrives_is_ok(posthorn: Installation, deployed: Deployed) -> None:
    """2xx is the proof; only the given receiver got a POST, although a customer subscribes to everything."""
    posthorn.register(events=["*"])
    posthorn.network.receivers[HOST] = answers(204)

    found = _run(deployed, posthorn)

    assert found == [Finding(Status.OK, "A test event arrived: the receiver answered 204 after 5 ms.")]
    assert [received.host for received in posthorn.network.received] == [HOST]
    assert _nothing_is_left(posthorn)


@pytest.mark.parametrize(
    ("receiver", "says"),
    [
        (answers(401), "A test event arrived, but the receiver answered 401 after 5 ms."),
        (answers(503), "A test event arrived, but the receiver answered 503 after 5 ms."),
        (answers(302), "A test event arrived, but the receiver answered 302 after 5 ms."),
        (fails(Failure.TIMEOUT), "The receiver did not answer: no answer"),
    ],
)
def test_what_came_back_is_said(
    posthorn: Installation, deployed: Deployed, receiver: Receiver, says: str
) -> None:
    """Anything else than 2xx is a failure, after the first attempt."""
    posthorn.network.receivers[HOST] = receiver

    (found,) = _run(deployed, posthorn)

    assert (found.status, found.text) == (Status.FAIL, says)
    assert found.advice
    assert _nothing_is_left(posthorn)


def test_an_event_that_nobody_dispatches_fails(posthorn: Installation, deployed: Deployed) -> None:
    """The check gives up, says where to look, and removes what it made."""
    (found,) = _run(deployed, posthorn, lambda: None)

    assert found.status is Status.FAIL
    assert f"there is no attempt after {WAIT_SECONDS} seconds" in found.text
    assert _nothing_is_left(posthorn)


def test_a_receiver_that_is_refused_is_explained(posthorn: Installation, deployed: Deployed) -> None:
    """The API's own words: here, the address is not public."""
    posthorn.names[HOST] = ("127.0.0.1",)

    (found,) = _run(deployed, posthorn)

    assert found.status is Status.FAIL
    assert found.text == (
        "The API does not accept the receiver (422):"
        " receiver.example.com must not resolve to a non-public address (loopback)."
    )
    assert _nothing_is_left(posthorn)


def test_an_interrupted_check_leaves_nothing_behind(posthorn: Installation, deployed: Deployed) -> None:
    """Ctrl-C while it waits."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _run(deployed, posthorn, interrupt)

    assert _nothing_is_left(posthorn)


def test_the_key_is_never_printed(
    posthorn: Installation,
    deployed: Deployed,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command with all its options, once with the receiver and once without an API."""
    posthorn.network.receivers[HOST] = answers(200)
    monkeypatch.setattr("posthorn_cli.installed.find", lambda *_, **__: deployed.place)
    monkeypatch.setattr(command, "CHECKS", {})
    defaults: Any = check_delivery.__kwdefaults__
    monkeypatch.setitem(defaults, "sleep", lambda _: posthorn.dispatch())
    options = ("check", "--publish", "--url", URL, "--json", "--api-url")

    good = run(capsys, *options, deployed.api_url)
    bad = run(capsys, *options, "http://127.0.0.1:9")

    assert (good.status, bad.status) == (0, 1)
    assert [one["check"] for one in good.document["findings"]] == ["delivery"]
    assert "phk_" not in good.out + good.err + bad.out + bad.err


def test_without_the_right_to_make_a_key_it_could_not_look(
    posthorn: Installation,
    deployed: Deployed,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The permission is named, and nothing was sent."""
    error = {"Code": "AccessDeniedException", "Message": "not authorized to perform: dynamodb:PutItem"}
    answer = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}

    def refuse(**_: Any) -> Any:
        return type("Http", (), {"status_code": 400})(), answer

    deployed.place.dynamodb.meta.events.register_first("before-call.dynamodb.PutItem", refuse)
    monkeypatch.setattr("posthorn_cli.installed.find", lambda *_, **__: deployed.place)
    monkeypatch.setattr(command, "CHECKS", {})

    done = run(capsys, "check", "--publish", "--url", URL, "--api-url", deployed.api_url, "--json")

    (found,) = done.document["findings"]
    assert (done.status, found["status"]) == (0, "warn")
    assert found["text"] == "Could not look: Your AWS identity may not perform dynamodb:PutItem."
    assert "Allow dynamodb:PutItem" in found["advice"]
    assert posthorn.network.received == []
