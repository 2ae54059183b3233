"""An AWS account in moto that holds what the template has, empty for each test.

Clients and tables take longer to make than most tests, so a process makes them once. The tests share the clients;
each works on a copy of the rest, which moto forgets afterwards.

`POSTHORN_TEST_DYNAMODB=<url>` names a DynamoDB Local that holds the tables instead. Everything else stays in moto.
"""

from __future__ import annotations

import copy
import os
import threading
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal
from unittest import mock

from botocore.client import BaseClient
from moto import backend_index, mock_aws
from moto.dynamodb.models import dynamodb_backends
from moto.kms.models import kms_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from posthorn.aws import clients
from tests.aws import create_key, create_queues, create_tables, create_topics
from tests.strict_dynamodb import strict
from tests.template import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

type Service = Literal["dynamodb", "kms", "sns", "sqs"]

_SERVICES: Final = frozenset[Service]({"dynamodb", "kms", "sns", "sqs"})
_CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": REGION,
}
_URLS: Final = [(name, url) for name, url in backend_index.backend_url_patterns if name in _SERVICES]


@dataclass(frozen=True)
class Account:
    """The physical names of what is in the account, by their logical ids."""

    tables: Mapping[str, str]
    queues: Mapping[str, str]  # URLs
    topics: Mapping[str, str]  # ARNs
    key: str  # the ARN


def own_dynamodb() -> str | None:
    """Return the URL of the DynamoDB to use instead of moto's."""
    return os.environ.get("POSTHORN_TEST_DYNAMODB")


@contextmanager
def empty_account() -> Iterator[Account]:
    """Make the account and let `posthorn.aws.clients` reach it; forget it afterwards."""
    with (
        mock.patch.dict(os.environ, _environment()),
        # moto registers and searches the URLs of all its services, a hundred and more
        mock.patch.object(backend_index, "backend_url_patterns", _URLS),
        # moto makes an RSA key for each KMS key, though a symmetric one has no use for it
        mock.patch("moto.kms.models.generate_private_key", return_value=None),
        mock.patch.object(clients, "_client", _shared_client),
        _atomic_calls(),
        mock_aws(config={"core": {"mock_credentials": False}}),
        strict(),
    ):
        before = _listeners()
        account = _restored(_first_account(own_dynamodb()))
        with _own_tables() if own_dynamodb() else nullcontext(account.tables) as tables:
            yield replace(account, tables=tables)
        assert _listeners() == before, "a listener outlived its test: use `listening`"


def _environment() -> dict[str, str]:
    if (url := own_dynamodb()) is None:
        return _CREDENTIALS
    # DynamoDB Local has a database for each access key, so parallel workers do not share tables
    key = "testing" + os.environ.get("PYTEST_XDIST_WORKER", "")
    return {**_CREDENTIALS, "AWS_ACCESS_KEY_ID": key, "AWS_ENDPOINT_URL_DYNAMODB": url}


@contextmanager
def _own_tables() -> Iterator[Mapping[str, str]]:
    """Create the tables in the DynamoDB of one's own, and delete them afterwards."""
    dynamodb = clients.client("dynamodb")
    for left in dynamodb.list_tables()["TableNames"]:  # by a run that was killed
        if left.startswith("posthorn-"):
            dynamodb.delete_table(TableName=left)
    # the tests' clock stands in 2023, so a real clock would remove rows in the middle of a test
    tables = create_tables(dynamodb, rows_expire=False)
    try:
        yield tables
    finally:
        for name in tables.values():
            dynamodb.delete_table(TableName=name)


def stored_rows(tables: Iterable[str]) -> list[Any]:
    """Return all rows of tables as DynamoDB's JSON."""
    if own_dynamodb():
        pages = clients.client("dynamodb").get_paginator("scan")
        return [row for name in tables for page in pages.paginate(TableName=name) for row in page["Items"]]
    there = dynamodb_backends[ACCOUNT][REGION].tables  # a scan through a client takes ten times as long
    return [row.to_json()["Attributes"] for name in tables for row in there[name].all_items()]


@contextmanager
def listening(service: Service, event: str, listener: Callable[..., object]) -> Iterator[None]:
    """Call the listener for an event of the shared client, inside the block only."""
    events: Any = clients.client(service).meta.events
    events.register(event, listener)
    try:
        yield
    finally:
        events.unregister(event, listener)


def _shared_client(service: str) -> Any:
    return _client_for(service, own_dynamodb())


@cache
def _client_for(service: str, _url: str | None) -> Any:
    return _make_client(service)


_make_client: Final = clients._client.__wrapped__


@cache
def _first_account(url: str | None) -> tuple[Account, list[dict[str, Any]]]:
    """Make the account as CloudFormation would; return it with what moto holds of it."""
    account = Account(
        tables={} if url else create_tables(clients.client("dynamodb")),
        queues=create_queues(clients.client("sqs")),
        topics=create_topics(clients.client("sns")),
        key=create_key(clients.client("kms")),
    )
    return account, _copies([vars(backend) for backend in _backends()])


def _restored(made: tuple[Account, list[dict[str, Any]]]) -> Account:
    """Give moto a copy of what it held when the account was made."""
    account, held = made
    for backend, state in zip(_backends(), _copies(held), strict=True):
        vars(backend).update(state)
    return account


def _backends() -> list[Any]:
    every: tuple[Any, ...] = (dynamodb_backends, sqs_backends, sns_backends, kms_backends)
    return [backends[ACCOUNT][REGION] for backends in every]


def _copies(states: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Copy all at once, since a subscription knows its topic and a queue its dead-letter queue."""
    queues = next(state["queues"] for state in states if "queues" in state).values()
    # a lock cannot be copied
    known: dict[int, Any] = {id(queue._messages_lock): threading.Condition() for queue in queues}
    # a topic knows its backend
    known |= {
        id(topic.sns_backend): _backends()[2]
        for state in states
        for topic in state.get("topics", {}).values()
    }
    return copy.deepcopy(states, known)


def _listeners() -> dict[Service, int]:
    """Count the listeners of each client that there is."""
    return {
        service: _count(_shared_client(service).meta.events._emitter._handlers._root) for service in _SERVICES
    }


def _count(node: Any) -> int:
    values = node["values"]
    own = sum(map(len, values)) if values else 0
    return own + sum(map(_count, node["children"].values()))


@contextmanager
def _atomic_calls() -> Iterator[None]:
    """Let one AWS call finish before the next begins: moto's conditional writes are not atomic, DynamoDB's are."""
    lock, plain = threading.RLock(), BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def one_at_a_time(self: BaseClient, name: str, parameters: Any) -> Any:
        with lock:
            return plain(self, name, parameters)

    with mock.patch.object(BaseClient, "_make_api_call", one_at_a_time):
        yield
