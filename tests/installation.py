"""A whole installation in moto: what the template has, and the real API, dispatcher, deliverer, feedback and replayer.

Time stands still until a test moves it, and the network is a table of receivers.
"""

from __future__ import annotations

import base64
import json
import random
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from moto.sqs.models import sqs_backends

from posthorn.api.app import build
from posthorn.api.routes.table import ROUTES
from posthorn.aws import clients
from posthorn.domain.api_key import Scope, secret_of
from posthorn.domain.errors import NameNotResolved
from posthorn.settings import (
    ApiSettings,
    DeliverySettings,
    FeedbackSettings,
    PurgeSettings,
    ReplaySettings,
    SweepSettings,
)
from posthorn.stores.deliveries import Deliveries
from posthorn.wiring import delivery as wiring
from posthorn.wiring.api import open_services
from posthorn.wiring.jobs import open_feedback, open_purger, open_replayer, open_sweeper
from posthorn_cli.access import create_key, create_workspace_key
from tests.aws import NO_LIMITS, environment
from tests.error_texts import banned_details
from tests.gateway import event_of, raw_path_of
from tests.moto_account import empty_account, stored_rows
from tests.network import Network
from tests.template import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from posthorn.api.services import Services
    from posthorn.delivery.bulk_replay import Replayer
    from posthorn.delivery.purger import Purger
    from posthorn.delivery.sweeper import Sweeper, Swept
    from posthorn.domain.models import Delivery, DeliveryKey
    from posthorn.email.feedback import Feedback

START_MS: Final = 1_681_659_900_000  # 2023-04-16T15:45:00Z, the moment of the seed's examples
ALL_SCOPES: Final = tuple(Scope)
FOREVER_MS: Final = 900_000


@dataclass
class Clock:
    """A clock that only a test moves."""

    now_ms: int = START_MS

    def __call__(self) -> int:
        return self.now_ms

    def pass_seconds(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)


@dataclass(frozen=True)
class Reply:
    """An answer of the API."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Waiting:
    """A message on a queue, with the delay that it was sent with."""

    body: str
    delay: int
    group: str | None
    id: str

    @property
    def task(self) -> dict[str, Any]:
        task: dict[str, Any] = json.loads(self.body)
        return task

    def record(self) -> dict[str, Any]:
        """Return the message as a queue's mapping passes it."""
        return {"messageId": self.id, "body": self.body, "attributes": {}, "eventSource": "aws:sqs"}


@dataclass
class Installation:
    """One Posthorn and everything around it."""

    tables: Mapping[str, str]
    queues: Mapping[str, str]
    topics: Mapping[str, str]
    clock: Clock
    network: Network
    services: Services
    settings: DeliverySettings
    feedback_settings: FeedbackSettings
    feedback: Feedback
    replayer: Replayer
    purger: Purger
    randomness: random.Random
    sweeper: Sweeper
    names: dict[str, tuple[str, ...]]
    workspace: str
    key: str
    sequence: int = 0
    seen: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)
    answers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._app = build(ROUTES, lambda: self.services)
        self.dispatcher = wiring.dispatcher(self.settings, network=self.network, clock=self.clock)
        self.deliverer = wiring.deliverer(self.settings, network=self.network, clock=self.clock)
        self.deliveries = Deliveries(
            clients.client("dynamodb"), self.tables["DeliveriesTable"], retention_days=30
        )

    # ---- the API

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Call the API as API Gateway would; a body that is not bytes is sent as JSON."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        path, _, query = path.partition("?")
        key = self.key if key is None else key
        sent = {"authorization": f"Bearer {key}"} if key else {}
        event = event_of(method, raw_path_of(path), query, {**sent, **(headers or {})}, raw)
        answer = self.resolve(event)
        self._remember_secrets(path, body, answer["body"])
        names = {name.lower(): value for name, value in answer["headers"].items()}
        is_page = names["content-type"].startswith("text/html")
        return Reply(
            status=answer["statusCode"],
            headers=names,
            body=answer["body"] if is_page else json.loads(answer["body"]),
        )

    def resolve(self, event: dict[str, Any]) -> dict[str, Any]:
        """Pass an event of API Gateway to the API, and return what Lambda would give back."""
        answer = self._app.resolve(event, mock.sentinel.context)
        if answer["statusCode"] >= 400 and answer["body"]:  # HEAD has none
            assert banned_details(json.loads(answer["body"])) == []
        return answer

    def _remember_secrets(self, path: str, body: Any, answer: str) -> None:
        """Note what was given or made in confidence, and every answer that may not repeat it."""
        given = body if isinstance(body, dict) else {}
        told = json.loads(answer) if answer.startswith("{") else {}
        key = told.get("apiKey", {}).get("key")
        found = (
            given.get("webhook_secret"),
            given.get("token"),
            told.get("webhook", {}).get("token"),
            key and secret_of(key),
        )
        self.secrets |= {secret for secret in found if isinstance(secret, str) and len(secret) >= 16}
        # tokens are shown to their owner, with the webhook itself and nowhere below it; a key to whoever makes it
        if not re.fullmatch(r"/v1/webhooks(/[^/]+(/rotate-token)?)?", path) and key is None:
            self.answers.append(answer)

    def everything_stored(self) -> str:
        """Return all rows and all messages as text."""
        rows = stored_rows(self.tables.values())
        there = sqs_backends[ACCOUNT][REGION].queues  # a test may have deleted one
        queues = [name for name, url in self.queues.items() if url.rsplit("/", 1)[1] in there]
        return repr(_with_bytes(rows)) + repr([self.waiting(queue) for queue in queues])

    def new_id(self) -> str:
        """Return text that nothing else is called."""
        return self.services.new_id("test")

    def new_key(self, *scopes: str, workspace: str | None = None) -> str:
        table = self.tables["ConfigTable"]
        return create_key(
            clients.client("dynamodb"),
            table,
            workspace=workspace or self.workspace,
            name="test",
            scopes=scopes,
        )

    def new_platform_key(self) -> str:
        table = self.tables["ConfigTable"]
        return create_key(clients.client("dynamodb"), table, workspace=None, name="test")

    def new_workspace(self) -> tuple[str, str]:
        table = self.tables["ConfigTable"]
        return create_workspace_key(
            clients.client("dynamodb"), table, workspace_name="other", scopes=ALL_SCOPES
        )

    def register(self, host: str = "hooks.example.com", **fields: Any) -> dict[str, Any]:
        """Register a webhook and return it, token included."""
        wanted = {"url": f"https://{host}/hook", "events": ["CONTACT_CREATED"], **fields}
        reply = self.call("POST", "/v1/webhooks", wanted)
        assert reply.status == 201, reply
        webhook: dict[str, Any] = reply.body["webhook"]
        return webhook

    def publish(self, event: str = "CONTACT_CREATED", data: Any = None, **fields: Any) -> str:
        """Publish an event and return its id."""
        wanted = {"event": event, "data": {"n": 1} if data is None else data, **fields}
        reply = self.call("POST", "/v1/events", wanted)
        assert reply.status == 202, reply
        event_id: str = reply.body["event"]["id"]
        return event_id

    # ---- the stream

    def stream(self) -> list[dict[str, Any]]:
        """Return a stream record for every event that has not been on the stream yet, as Lambda gets them."""
        rows = clients.client("dynamodb").scan(TableName=self.tables["EventsTable"])["Items"]
        fresh = sorted(
            (row for row in rows if row["sk"]["S"] not in self.seen), key=lambda row: row["sk"]["S"]
        )
        self.seen |= {row["sk"]["S"] for row in fresh}
        return [self.record(row) for row in fresh]

    def record(self, row: Any) -> dict[str, Any]:
        self.sequence += 1
        image = json.loads(json.dumps(row, default=lambda raw: base64.b64encode(bytes(raw)).decode()))
        keys = {name: image[name] for name in ("pk", "sk") if name in image}
        return {
            "eventID": str(self.sequence),
            "eventName": "INSERT",
            "eventSource": "aws:dynamodb",
            "dynamodb": {"Keys": keys, "NewImage": image, "SequenceNumber": f"{self.sequence:021d}"},
        }

    def dispatch(self, records: list[dict[str, Any]] | None = None, remaining_ms: int = 60_000) -> set[str]:
        """Pass stream records to the dispatcher; returns what it reports as failed."""
        records = self.stream() if records is None else records
        return self.dispatcher.dispatch(records, remaining_ms=lambda: remaining_ms)

    # ---- the queues

    def waiting(self, queue: str) -> list[Waiting]:
        """Return the messages on a queue, delayed ones included, and leave them there."""
        return [
            Waiting(
                body=message.body,
                delay=int(message.delayed_until - message.sent_timestamp) // 1000  # the second is read later
                if message.delayed_until
                else 0,
                group=message.group_id,
                id=message.id,
            )
            for message in self._messages(queue)
        ]

    def take(self, queue: str) -> list[Waiting]:
        """Remove and return the messages on a queue."""
        taken = self.waiting(queue)
        self._messages(queue).clear()
        return taken

    def deliver(self, messages: list[Waiting]) -> set[str]:
        """Pass messages to the deliverer; returns what it reports as failed."""
        return self.deliverer.deliver([message.record() for message in messages])

    def notify(self, messages: list[Waiting]) -> set[str]:
        """Pass messages to the feedback; returns what it reports as failed."""
        return self.feedback.take([message.record() for message in messages])

    def replay(self, messages: list[Waiting]) -> set[str]:
        """Pass messages to the replayer; returns what it reports as failed."""
        return self.replayer.replay([message.record() for message in messages])

    def purge(self, messages: list[Waiting], remaining_ms: int = 30_000) -> set[str]:
        """Pass messages to the purger; returns what it reports as failed."""
        return self.purger.purge(
            [message.record() for message in messages], remaining_ms=lambda: remaining_ms
        )

    def sweep(self, remaining_ms: int = 120_000) -> Swept:
        """Let the sweeper look for what is overdue; returns what it did."""
        return self.sweeper.sweep(remaining_ms=lambda: remaining_ms)

    def _messages(self, queue: str) -> list[Any]:
        name = self.queues[queue].rsplit("/", 1)[1]
        messages: list[Any] = sqs_backends[ACCOUNT][REGION].queues[name]._messages
        return messages

    # ---- what became of it

    def row(self, key: DeliveryKey) -> Delivery | None:
        found, unknown = self.deliveries.get_many([key])
        assert not unknown
        return found.get(key)


def _with_bytes(value: Any) -> Any:
    """Return moto's rows with bytes for the base64 that it keeps of some."""
    if isinstance(value, list):
        return [_with_bytes(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"B"} and isinstance(value["B"], str):
        return base64.b64decode(value["B"])
    return {name: _with_bytes(one) for name, one in value.items()}


@contextmanager
def running(**parameters: str) -> Iterator[Installation]:
    """Make an installation, forget it afterwards. `parameters` are those of the template."""
    with empty_account() as account:
        physical = {
            **account.tables,
            **account.queues,
            **account.topics,
            "SecretsKey.Arn": account.key,
            "EmailBackend": "simulator",
            **NO_LIMITS,
            "SenderIdentities": "open",
            **parameters,
        }
        clock = Clock()
        randomness = random.Random(7)  # noqa: S311 - tests need the same numbers every time
        names: dict[str, tuple[str, ...]] = {}

        def resolver(host: str) -> tuple[str, ...]:
            if host not in names:
                raise NameNotResolved(f"DNS has no IPv4 address for {host}")
            return names[host]

        services = open_services(
            ApiSettings.read(environment("ApiFunction", physical)),
            clock=clock,
            random_bytes=randomness.randbytes,
            resolver=resolver,
        )
        workspace, key = create_workspace_key(
            clients.client("dynamodb"),
            account.tables["ConfigTable"],
            workspace_name="test",
            scopes=ALL_SCOPES,
        )
        feedback_settings = FeedbackSettings.read(environment("FeedbackFunction", physical))
        yield Installation(
            tables=account.tables,
            queues=account.queues,
            topics=account.topics,
            clock=clock,
            network=Network(clock),
            services=services,
            settings=DeliverySettings.read(environment("DispatchFunction", physical)),
            feedback_settings=feedback_settings,
            feedback=open_feedback(feedback_settings, clock=clock),
            randomness=randomness,
            replayer=open_replayer(ReplaySettings.read(environment("ReplayFunction", physical)), clock=clock),
            purger=open_purger(PurgeSettings.read(environment("PurgeFunction", physical)), clock=clock),
            sweeper=open_sweeper(SweepSettings.read(environment("SweepFunction", physical)), clock=clock),
            names=names,
            workspace=workspace,
            key=key,
        )
