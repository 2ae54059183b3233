"""The environment of the functions under test: the stand-ins, the variables, and the rows."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import certifi

from posthorn.aws import clients
from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.ids import EVENT, new_id
from posthorn.domain.models import Delivery, DeliveryKey, Endpoint, Event, SealedSecret, Status
from posthorn.settings import api_settings, delivery_settings
from posthorn.stores import deliveries, endpoint_rows, events
from posthorn.transport.http import Client
from posthorn.transport.targets import Policy
from posthorn.wire.ecmascript import stringify
from posthorn.wiring import delivery as wiring
from posthorn_cli.cost.samples import payload
from tests.aws import NO_LIMITS, environment
from tests.template import QUEUE, REGION, TABLE, TOPIC, load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

WORKSPACE: Final = "wksp_01M5HQPZG046HJ63G3EWN5HBZH"
DOMAIN: Final = "receivers.bench"
EXPIRES: Final = 1_900_000_000


class Context:
    """The Lambda context of an invocation that begins now."""

    def __init__(self, seconds: float = 60.0) -> None:
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return max(0, round((self._end - time.monotonic()) * 1000))


class Stage:
    """The running stand-ins, and how the benchmark controls them."""

    def __init__(self, ports: Mapping[str, Any], ca_file: str) -> None:
        self.https: int = ports["https"]
        self.http: int = ports["http"]
        self.ca_file = ca_file
        self._aws: int = ports["aws"]
        self._made = 0

    # ---- the stand-ins

    def control(self, do: str, **order: Any) -> Any:
        line = http.client.HTTPConnection("127.0.0.1", self._aws)
        body = json.dumps({"do": do, **order}, default=lambda raw: base64.b64encode(raw).decode())
        line.request("POST", "/control", body)
        answer = json.loads(line.getresponse().read())
        line.close()
        return answer

    def calls(self) -> dict[str, int]:
        """Return the number of calls of each AWS operation since the last call of this method."""
        calls: dict[str, int] = self.control("calls")
        return calls

    def environment(self) -> dict[str, str]:
        """Return the variables of all functions, from the template, pointed at the stand-ins."""
        template = load()
        names = {name: name for kind in (TABLE, TOPIC) for name in template.of_type(kind)}
        queues = {
            name: f"http://127.0.0.1:{self._aws}/123456789012/{name}" for name in template.of_type(QUEUE)
        }
        physical = {
            **names,
            **queues,
            "SecretsKey.Arn": f"arn:aws:kms:{REGION}:123456789012:key/1",
            "EmailBackend": "simulator",
            "Stage": "local",
            "AllowPrivateTargets": "true",
            **NO_LIMITS,
        }
        variables = {
            name: value
            for function in ("ApiFunction", "DispatchFunction", "DeliverFunction")
            for name, value in environment(function, physical).items()
        }
        return {
            **variables,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._aws}",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    # ---- rows and records

    def listen(self, hosts: Sequence[str], *, channel: str = WORKSPACE, path: str = "/0/hook") -> None:
        """Subscribe exactly these hosts to a channel, the n-th to events of the type BENCH_<n>."""
        self.control("put", table="ConfigTable", items=self.endpoint_rows(hosts, channel=channel, path=path))

    def endpoint_rows(
        self, hosts: Sequence[str], *, channel: str = WORKSPACE, path: str = "/0/hook"
    ) -> list[dict[str, Any]]:
        return [
            endpoint_rows.to_item(self.endpoint(number, host, channel=channel, path=path))
            for number, host in enumerate(hosts)
        ]

    def endpoint(self, number: int, host: str, *, channel: str, path: str) -> Endpoint:
        return Endpoint(
            id=f"wh_{number:026d}",
            channel=channel,
            workspace=WORKSPACE,
            kind=EndpointKind.WEBHOOK,
            format=PayloadFormat.EVENT_JSON,
            url=f"https://{host}:{self.https}{path}",
            events=(f"BENCH_{number}", "BENCH_ALL"),
            secret=SealedSecret(b"sealed:wht_0123456789abcdefghijklmnopqrstuvwxyz", version=1),
            created_at=1_795_262_400_000,
        )

    def events(
        self, count: int, *, size: int, channel: str = WORKSPACE, types: Sequence[str] = ("BENCH_ALL",)
    ) -> list[Event]:
        """Return new events with payloads of `size` bytes."""
        found: list[Event] = []
        for number in range(count):
            self._made += 1
            found.append(
                Event(
                    id=new_id(EVENT, now_ms=1_795_262_400_000 + self._made, entropy=os.urandom(10)),
                    channel=channel,
                    workspace=WORKSPACE,
                    type=types[number % len(types)],
                    data=stringify(payload(size, seed=self._made % 16)),
                    created_at="2026-11-21T12:00:00Z",
                )
            )
        return found

    def records(self, made: Sequence[Event]) -> dict[str, Any]:
        """Return the records that the stream's mapping passes to DispatchFunction."""
        rows = [events.to_item(event, expires_at=EXPIRES) for event in made]
        images = json.loads(json.dumps(rows, default=lambda raw: base64.b64encode(raw).decode()))
        return {
            "Records": [
                {
                    "eventName": "INSERT",
                    "eventSource": "aws:dynamodb",
                    "dynamodb": {"NewImage": image, "SequenceNumber": f"{number:021d}"},
                }
                for number, image in enumerate(images)
            ]
        }

    def retries(self, made: Sequence[Event]) -> dict[str, Any]:
        """Write rows of events whose first attempt failed; return the records of the queue's mapping."""
        writer = deliveries.Deliveries(clients.client("dynamodb"), "DeliveriesTable", retention_days=30)
        endpoint_id = f"wh_{0:026d}"
        waiting = [
            Delivery(
                key=DeliveryKey(endpoint_id, event.id),
                channel=event.channel,
                event_type=event.type,
                status=Status.RETRYING,
                attempt=1,
                next_attempt_at=1_795_262_400_000,
            )
            for event in made
        ]
        rows = [writer._item(one, 1_795_262_400_000) for one in waiting]
        self.control("put", table="DeliveriesTable", items=rows)
        items = [events.to_item(event, expires_at=EXPIRES) for event in made]
        self.control("put", table="EventsTable", items=items)
        bodies = [
            {"v": 1, "endpoint": endpoint_id, "event": event.id, "channel": event.channel}
            | {"generation": 1, "attempt": 2}
            for event in made
        ]
        return {
            "Records": [
                {"messageId": str(number), "body": json.dumps(body), "eventSource": "aws:sqs"}
                for number, body in enumerate(bodies)
            ]
        }


@contextmanager
def running() -> Iterator[Stage]:
    """Start the stand-ins and point this process at them; stop them afterwards."""
    command = [sys.executable, "-m", "tests.bench.standin"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as standin,
        tempfile.NamedTemporaryFile("w", suffix=".pem") as bundle,
    ):
        if standin.stdin is None or standin.stdout is None:
            raise RuntimeError("the stand-ins have no pipes")
        ports = json.loads(standin.stdout.readline())
        # the size of a trust store affects the cost, so it has all of certifi's roots and the stand-ins' own
        bundle.write(Path(certifi.where()).read_text("utf-8") + Path(ports["ca_file"]).read_text("utf-8"))
        bundle.flush()
        stage = Stage(ports, bundle.name)
        with mock.patch.dict(os.environ, stage.environment()), _names_on_loopback(), _trusting(bundle.name):
            for cached in (clients._client, api_settings, delivery_settings):
                cached.cache_clear()
            try:
                yield stage
            finally:
                standin.stdin.close()
                for cached in (clients._client, api_settings, delivery_settings):
                    cached.cache_clear()


@contextmanager
def _names_on_loopback() -> Iterator[None]:
    """Resolve every receiver's name to this machine, without DNS."""
    look_up = socket.getaddrinfo

    def local(host: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(host, str) and host.rstrip(".").endswith(DOMAIN):
            host = "127.0.0.1"
        return look_up(host, *args, **kwargs)

    with mock.patch.object(socket, "getaddrinfo", local):
        yield


@contextmanager
def _trusting(ca_file: str) -> Iterator[None]:
    def client(_: object) -> Client:
        return Client(policy=Policy(allow_private=True), ca_file=ca_file)

    with mock.patch.object(wiring, "http_client", client):
        yield
