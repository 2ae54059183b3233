"""Unit tests reach no network except loopback and use made-up AWS credentials."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import pytest
import trustme
from hypothesis import HealthCheck, settings
from pytest_socket import socket_allow_hosts

from posthorn.transport.http import Client
from tests.unit.email.ses import Ses
from tests.unit.transport.posts import PRIVATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.unit.email.simulation import Topic

LOOPBACK: Final = ("127.0.0.1", "::1")

# how long an example takes depends on the machine, not on the code
settings.register_profile("posthorn", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("posthorn")


def pytest_runtest_setup() -> None:
    socket_allow_hosts(list(LOOPBACK))


@pytest.fixture(scope="module", autouse=True)
def _no_lookups() -> Iterator[None]:
    """Block DNS queries, which pytest-socket does not see."""
    look_up = socket.getaddrinfo

    def local(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host is not None and host not in {*LOOPBACK, "localhost"}:
            raise AssertionError(f"a unit test looked up {host!r}; give it a resolver of its own")
        return look_up(host, *args, **kwargs)

    with mock.patch.object(socket, "getaddrinfo", local):
        yield


@pytest.fixture(scope="module", autouse=True)
def _made_up_credentials() -> Iterator[None]:
    """Set the credentials that boto3 requires, so that it never looks for real ones."""
    made_up = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SESSION_TOKEN": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with mock.patch.dict(os.environ, made_up):
        os.environ.pop("AWS_PROFILE", None)
        yield


@pytest.fixture
def simulator() -> Iterator[Topic]:
    from tests.unit.email.simulation import topic  # moto takes half a second, and few tests need it

    with topic() as made:
        yield made


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("trust") / "roots.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def resolved() -> dict[str, Sequence[str]]:
    """Set what DNS answers, by host; other hosts resolve to 127.0.0.1."""
    return {}


@pytest.fixture
def client(ca_file: str, resolved: dict[str, Sequence[str]]) -> Iterator[Client]:
    """Return a client that may connect to loopback and trusts the tests' authority."""
    made = Client(policy=PRIVATE, resolver=lambda host: resolved.get(host, ["127.0.0.1"]), ca_file=ca_file)
    yield made
    made.close()


@pytest.fixture
def ses() -> Ses:
    return Ses()
