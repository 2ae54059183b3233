"""Counts the handlers' AWS calls in moto and writes infra/posthorn_cli/cost/counts.json: `make counts`.

Time stands still, randomness is seeded and receivers answer alike, so every run gives the same counts.
"""

from __future__ import annotations

import io
import json
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from botocore.client import BaseClient

from posthorn import telemetry
from posthorn.aws import clients
from posthorn.domain.models import Outcome
from posthorn_cli.cost import capacity
from posthorn_cli.cost.counts import COUNTS, Counts, Run
from posthorn_cli.cost.samples import payload
from tests.installation import running
from tests.network import INSTANT, Received, in_turn
from tests.template import TABLE, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.installation import Installation
    from tests.network import Receiver

PAYLOADS: Final = (256, 1024, 2048, 3072, 4096, 8192, 20_480, 65_536)
LOG_EVENT_BYTES: Final = 26
"""Bytes that CloudWatch Logs counts for an event beside its text."""

_ANSWER_HEADERS: Final = (
    ("content-type", "text/plain"),
    ("content-length", "2"),
    ("date", "Sat, 21 Nov 2026 12:00:00 GMT"),
    ("server", "nginx"),
)
_REQUEST_BYTES: Final = len("POST /hook HTTP/1.1\r\nHost: h000.example.com\r\nContent-Length: 2048\r\n\r\n")


@dataclass
class Ledger:
    """All AWS calls since the ledger was last closed."""

    indexes: dict[str, list[capacity.Index]]
    rows: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    wru: float = 0
    rru: float = 0
    sqs: int = 0
    kms: int = 0
    calls: int = 0
    stored: int = 0

    def write(self, table: str, key: tuple[str, str], after: Any) -> None:
        before = self.rows.get((table, *key))
        self.wru += capacity.write_units(before, after)
        self.wru += sum(capacity.index_units(before, after, index) for index in self.indexes[table])
        self.stored += capacity.item_size(after or {}) - capacity.item_size(before or {})
        self.rows[(table, *key)] = after

    def read(self, items: list[Any], asked: int, *, consistent: bool) -> None:
        sizes = [capacity.item_size(item) for item in items] + [0] * (asked - len(items))
        self.rru += capacity.read_units(sizes, consistent=consistent)


def count(payloads: tuple[int, ...] = PAYLOADS) -> list[Run]:
    """Count every piece of work once for each payload size."""
    return [Run(size, _pieces(size)) for size in payloads]


def _pieces(size: int) -> dict[str, Counts]:
    pieces: dict[str, Counts] = {}
    data = payload(size)
    with running() as posthorn, _counted() as ledger, _logged() as lines:

        def piece(name: str, work: Callable[[], object]) -> None:
            _close(ledger, lines)
            sent = len(posthorn.network.received)
            work()
            egress = sum(map(_bytes, posthorn.network.received[sent:]))
            pieces[name] = Counts(egress_bytes=egress, **_close(ledger, lines))

        one = {"event": "CONTACT_CREATED", "data": data}
        posthorn.publish(data=data)  # from here on, the key and its workspace are cached
        posthorn.stream()
        piece("publish 1", lambda: posthorn.publish(data=data))
        piece("publish 10", lambda: posthorn.call("POST", "/v1/events", {"events": [one] * 10}))
        piece(
            "publish 1, idempotent",
            lambda: posthorn.call("POST", "/v1/events", one, headers={"idempotency-key": "x"}),
        )
        posthorn.stream()
        _listen(posthorn, 1, lambda: _succeeds)
        _dispatch(posthorn, data, 1)  # from here on, the secret is cached
        for events in (1, 10, 5):
            work = _prepared(posthorn, data, events)
            piece(f"dispatch {events} x 1", work)
        posthorn.network.receivers["h000.example.com"] = in_turn(_fails, _succeeds)
        piece("dispatch 10 x 1, one fails", _prepared(posthorn, data, 10))
        posthorn.network.receivers["h000.example.com"] = _fails
        posthorn.clock.pass_seconds(60)
        piece("retry failure", lambda: posthorn.deliver(posthorn.take("Retry1MinQueue")))
        posthorn.clock.pass_seconds(300)
        posthorn.network.receivers["h000.example.com"] = _succeeds
        piece("retry success", lambda: posthorn.deliver(posthorn.take("Retry5MinQueue")))
        for endpoints in (4, 10):
            _listen(posthorn, endpoints, lambda: _succeeds)
            _dispatch(posthorn, data, 1)
            piece(f"dispatch 1 x {endpoints}", _prepared(posthorn, data, 1))
            if endpoints == 4:
                piece("dispatch 5 x 4", _prepared(posthorn, data, 5))
    return pieces


def _succeeds(_: Received) -> Outcome:
    return Outcome(INSTANT, status=200, address="93.184.215.14", headers=_ANSWER_HEADERS, snippet="ok")


def _fails(_: Received) -> Outcome:
    snippet = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
    return Outcome(INSTANT, status=502, address="93.184.215.14", headers=_ANSWER_HEADERS, snippet=snippet)


def _listen(posthorn: Installation, count: int, make: Callable[[], Receiver]) -> None:
    for number in range(count):
        host = f"h{number:03d}.example.com"
        if host not in posthorn.network.receivers:
            posthorn.names[host] = ("93.184.215.14",)
            posthorn.register(host)
        posthorn.network.receivers[host] = make()


def _prepared(posthorn: Installation, data: Any, events: int) -> Callable[[], object]:
    for _ in range(events):
        posthorn.publish(data=data)
    records = posthorn.stream()
    return lambda: posthorn.dispatch(records)


def _dispatch(posthorn: Installation, data: Any, events: int) -> None:
    _prepared(posthorn, data, events)()


def _bytes(received: Received) -> int:
    headers = sum(len(name) + len(value) + 4 for name, value in received.headers.items())
    return _REQUEST_BYTES + headers + len(received.body)


def _close(ledger: Ledger, lines: io.StringIO) -> dict[str, float]:
    text = lines.getvalue()
    found = {
        "wru": ledger.wru,
        "rru": ledger.rru,
        "sqs": ledger.sqs,
        "kms": ledger.kms,
        "log_bytes": len(text.encode()) + LOG_EVENT_BYTES * text.count("\n"),
        "stored_bytes": ledger.stored,
        "calls": ledger.calls,
    }
    ledger.wru = ledger.rru = ledger.sqs = ledger.kms = ledger.calls = ledger.stored = 0
    lines.seek(0)
    lines.truncate()
    return found


@contextmanager
def _logged() -> Iterator[io.StringIO]:
    """Collect the lines that a function would log."""
    lines = io.StringIO()
    telemetry.log.cache_clear()
    with (
        mock.patch.object(sys, "stdout", lines),
        mock.patch.dict("os.environ", POWERTOOLS_SERVICE_NAME="posthorn"),
    ):
        for handler in telemetry.log().handlers:
            handler.setStream(lines)  # type: ignore[attr-defined]  # Powertools' is a stream handler
        yield lines
    telemetry.log.cache_clear()


@contextmanager
def _counted() -> Iterator[Ledger]:
    ledger = Ledger(_indexes())
    plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def call(self: BaseClient, name: str, parameters: Any) -> Any:
        answer = plain(self, name, parameters)
        ledger.calls += 1
        _note(ledger, name, parameters, answer, lambda table, key: _look(plain, table, key))
        return answer

    with mock.patch.object(BaseClient, "_make_api_call", call):
        yield ledger


def _look(plain: Any, table: str, key: Any) -> Any:
    """Read a row without counting it."""
    wanted = {"TableName": table, "Key": {name: key[name] for name in ("pk", "sk")}, "ConsistentRead": True}
    return plain(clients.client("dynamodb"), "GetItem", wanted).get("Item")


def _note(  # noqa: C901, PLR0912 - a table of operations
    ledger: Ledger, name: str, asked: Any, answer: Any, look: Callable[[str, Any], Any]
) -> None:
    def write(table: str, key: Any, after: Any) -> None:
        ledger.write(table, (key["pk"]["S"], key["sk"]["S"]), after)

    match name:
        case "PutItem":
            write(asked["TableName"], asked["Item"], asked["Item"])
        case "UpdateItem":
            write(asked["TableName"], asked["Key"], look(asked["TableName"], asked["Key"]))
        case "DeleteItem":
            write(asked["TableName"], asked["Key"], None)
        case "BatchWriteItem":
            for table, writes in asked["RequestItems"].items():
                for one in writes:
                    write(table, one["PutRequest"]["Item"], one["PutRequest"]["Item"])
        case "TransactWriteItems":
            before = ledger.wru
            for one in asked["TransactItems"]:
                ((kind, part),) = one.items()
                _note(ledger, f"{kind}Item", part, {}, look)
            ledger.wru += ledger.wru - before  # in a transaction, each write costs two
        case "GetItem":
            found = [answer["Item"]] if "Item" in answer else []
            ledger.read(found, 1, consistent=asked.get("ConsistentRead", False))
        case "BatchGetItem":
            for table, wanted in asked["RequestItems"].items():
                ledger.read(
                    answer["Responses"].get(table, []),
                    len(wanted["Keys"]),
                    consistent=wanted.get("ConsistentRead", False),
                )
        case "Query":
            sizes = [capacity.item_size(item) for item in answer["Items"]]
            ledger.rru += capacity.query_units(sizes, consistent=asked.get("ConsistentRead", False))
        case "SendMessage" | "SendMessageBatch":
            ledger.sqs += 1
        case "Encrypt" | "Decrypt":
            ledger.kms += 1
        case "Scan":
            ledger.calls -= 1  # the test's own read of the stream
        case _:
            raise ValueError(f"no rule for the cost of {name}")


def _indexes() -> dict[str, list[capacity.Index]]:
    """Return the attributes that each table's indexes project, from the template."""
    return {
        f"posthorn-{name}-1A2B3C": [
            capacity.Index(
                keys=tuple(
                    dict.fromkeys(key["AttributeName"] for key in (*index["KeySchema"], *table["KeySchema"]))
                ),
                projected=None
                if index["Projection"]["ProjectionType"] == "ALL"
                else tuple(index["Projection"].get("NonKeyAttributes", ())),
            )
            for index in table.get("GlobalSecondaryIndexes", ())
        ]
        for name, table in load().of_type(TABLE).items()
    }


def text(runs: list[Run]) -> str:
    """Return the text of counts.json."""
    found = [
        {
            "payload": run.payload,
            "pieces": {
                name: {key: value for key, value in asdict(counts).items() if value}
                for name, counts in run.pieces.items()
            },
        }
        for run in runs
    ]
    return json.dumps({"written by": "make counts", "runs": found}, indent=1) + "\n"


if __name__ == "__main__":
    COUNTS.write_text(text(count()), "utf-8")
    sys.stderr.write(f"wrote {COUNTS.name}\n")
