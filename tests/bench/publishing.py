"""ApiFunction's handler: publishing, and the other operations on a webhook."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from posthorn.aws import clients
from posthorn.domain.api_key import ENTROPY_BYTES, ApiKey, Scope, hash_of, mint, split
from posthorn.domain.workspace import Workspace
from posthorn.handlers import api
from posthorn.stores import events
from posthorn.stores.api_keys import ApiKeys
from posthorn.stores.workspaces import Workspaces
from posthorn_cli.cost.samples import payload
from tests.bench.measure import ratio, take_turns
from tests.bench.report import Report, Table, number, say, spread
from tests.bench.stage import EXPIRES, WORKSPACE, Context

if TYPE_CHECKING:
    from tests.bench.measure import Contender, Turn
    from tests.bench.stage import Stage


def new_key() -> str:
    """Create a workspace and an API key that the stand-in accepts."""
    text = mint(os.urandom(ENTROPY_BYTES))
    parts = split(text)
    if parts is None:
        raise RuntimeError("a new key must have a key's format")
    dynamodb, table = clients.client("dynamodb"), os.environ["CONFIG_TABLE"]
    Workspaces(dynamodb, table).create(Workspace(WORKSPACE, uid="bench", name="bench", created_at=0))
    ApiKeys(dynamodb, table).create(
        ApiKey(
            id=parts[0],
            workspace=WORKSPACE,
            name="bench",
            scopes=frozenset(Scope),
            secret_hash=hash_of(parts[1]),
            created_at=0,
        )
    )
    return text


def request(
    method: str, path: str, key: str, body: Any = None, *, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return the event that API Gateway passes for a request."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"authorization": f"Bearer {key}", "content-type": "application/json", **(headers or {})},
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "198.51.100.1"},
            "stage": "$default",
            "apiId": "a1b2c3d4e5",
            "requestId": "bench",
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }


def publish_report(stage: Stage, *, rounds: int) -> Report:
    """Measure every kind of request against a bare PutItem, several times a turn."""
    say("publish: the API")
    key = new_key()
    stage.listen([f"w{number}.receivers.bench" for number in range(50)])
    webhook = f"/v1/webhooks/wh_{0:026d}"
    address = {"url": f"http://127.0.0.1:{stage.http}/0/hook"}

    def event(size: int) -> dict[str, Any]:
        return {"event": "CONTACT_CREATED", "data": payload(size)}

    asked: dict[str, tuple[int, dict[str, Any]]] = {
        "publish one event, 1 KB": (1, request("POST", "/v1/events", key, event(1024))),
        "publish one event, 20 KB": (1, request("POST", "/v1/events", key, event(20 * 1024))),
        "publish one event with an Idempotency-Key": (
            1,
            request("POST", "/v1/events", key, event(1024), headers={"idempotency-key": "bench"}),
        ),
        "publish 10 events of 1 KB": (
            10,
            request("POST", "/v1/events", key, {"events": [event(1024) for _ in range(10)]}),
        ),
        "publish 100 events of 1 KB": (
            100,
            request("POST", "/v1/events", key, {"events": [event(1024) for _ in range(100)]}),
        ),
        "create a webhook": (
            1,
            request("POST", "/v1/webhooks", key, {**address, "events": ["CONTACT_CREATED"]}),
        ),
        "retrieve a webhook": (1, request("GET", webhook, key)),
        "list 50 webhooks": (1, request("GET", "/v1/webhooks", key)),
        "delete a webhook": (1, request("DELETE", webhook, key)),
    }
    rows = [events.to_item(one, expires_at=EXPIRES) for one in stage.events(1, size=1024)]
    dynamodb = clients.client("dynamodb")
    often = 10

    def answered(event: dict[str, Any]) -> Contender:
        def run() -> int:
            for _ in range(often):
                answer = api.handler(event, Context())
                if answer["statusCode"] >= 300:
                    raise RuntimeError(answer)
            return often

        return lambda: run

    def bare() -> Turn:
        def run() -> int:
            for _ in range(often):
                dynamodb.put_item(TableName="bare", Item=rows[0])
            return often

        return run

    contenders: dict[str, Contender] = {name: answered(one) for name, (_, one) in asked.items()}
    series = take_turns({"a bare PutItem": bare, **contenders}, rounds=rounds)
    lines = [("a bare PutItem", "1", spread(series["a bare PutItem"].cpu), "")]
    lines += [
        (
            name,
            spread(ratio(series[name], series["a bare PutItem"])),
            spread(series[name].cpu),
            number(series[name].cpu.median / count) if count > 1 else "",
        )
        for name, (count, _) in asked.items()
    ]
    return Report(
        tables=[
            Table(
                "Publish, and the rest of the API",
                ("request", "× a bare PutItem", "CPU ms per request", "CPU ms per event"),
                tuple(lines),
                "Through ApiFunction's handler, with the API key cached. A bare PutItem is one boto3 call.",
            )
        ],
        figures={
            "publish_1_cpu_ms": series["publish one event, 1 KB"].cpu.median,
            "publish_10_cpu_ms": series["publish 10 events of 1 KB"].cpu.median,
        },
    )
