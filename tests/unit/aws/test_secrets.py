"""Signing secrets at rest: a ciphertext decrypts only in the place it was encrypted for."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from posthorn.aws.secrets import Sealer, Unsealer
from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.errors import Unavailable
from posthorn.domain.models import Endpoint, PreviousSecret, SealedSecret
from tests.aws import create_key

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN: Final = "wht_a1b2c3d4e5f6g7h8i9j0"


class Clock:
    """A clock that only the test advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Kms:
    """moto's KMS with its key, and a record of the calls made to it."""

    def __init__(self) -> None:
        self.client = boto3.client("kms")
        self.key = create_key(self.client)
        self.sealer = Sealer(self.client, self.key)
        self.clock = Clock()
        self.unsealer = Unsealer(self.client, clock=self.clock)

    def endpoint(
        self, name: str = "wh_1", *, token: str = TOKEN, version: int = 1, workspace: str = "wksp_1"
    ) -> Endpoint:
        return Endpoint(
            id=name,
            channel=workspace,
            workspace=workspace,
            kind=EndpointKind.WEBHOOK,
            format=PayloadFormat.EVENT_JSON,
            url="https://hooks.example.com/",
            events=("*",),
            secret=self.sealer.seal(token, workspace=workspace, endpoint_id=name, version=version),
            created_at=0,
        )

    @contextmanager
    def out_of_order(self) -> Iterator[None]:
        """Make KMS fail, so that only cached secrets are available."""
        events = self.client.meta.events
        events.register("before-call.kms", _no_connection)
        yield
        events.unregister("before-call.kms", _no_connection)


def _no_connection(**_: Any) -> None:
    raise EndpointConnectionError(endpoint_url="https://kms")


@pytest.fixture
def kms() -> Iterator[Kms]:
    with mock_aws():
        yield Kms()


@pytest.mark.parametrize("token", [TOKEN, "x" * 256, "pässword with \U0001f600 and spaces"])
def test_a_secret_comes_back_as_its_bytes(kms: Kms, token: str) -> None:
    """The decrypted secret is the token's UTF-8 bytes, as the receiver has them."""
    assert kms.unsealer.secret_of(kms.endpoint(token=token)) == token.encode()


def test_stored_data_does_not_show_the_secret(kms: Kms) -> None:
    """Neither the row nor a printed endpoint shows the token."""
    endpoint = kms.endpoint()
    assert TOKEN.encode() not in endpoint.secret.ciphertext
    assert "secret" not in repr(endpoint)


@pytest.mark.parametrize(
    "changes",
    [
        {"workspace": "wksp_2", "channel": "wksp_2"},
        {"workspace": "wksp_2"},
        {"id": "wh_2"},
    ],
    ids=["copied to another workspace", "with another workspace's name", "copied to another endpoint"],
)
def test_a_secret_does_not_decrypt_at_another_endpoint(kms: Kms, changes: dict[str, Any]) -> None:
    """A ciphertext copied into another endpoint's row does not decrypt."""
    stolen = replace(kms.endpoint(), **changes)
    with pytest.raises(Unavailable) as refused:
        kms.unsealer.secret_of(stolen)
    assert refused.value.code == "InvalidCiphertextException"


def test_a_secret_does_not_decrypt_as_another_version(kms: Kms) -> None:
    """A ciphertext does not decrypt as another version, so an old one cannot pass for the newest."""
    endpoint = kms.endpoint(version=1)
    with pytest.raises(Unavailable):
        kms.unsealer.secret_of(replace(endpoint, secret=replace(endpoint.secret, version=2)))


@pytest.mark.parametrize("changes", [{"workspace": "wksp_2"}, {"secret": 2}], ids=["workspace", "version"])
def test_cached_secrets_are_bound_as_well(kms: Kms, changes: dict[str, Any]) -> None:
    """A stolen ciphertext does not decrypt even while its owner's secret is cached."""
    endpoint = kms.endpoint()
    kms.unsealer.secret_of(endpoint)
    if "secret" in changes:
        changes = {"secret": replace(endpoint.secret, version=changes["secret"])}
    with pytest.raises(Unavailable):
        kms.unsealer.secret_of(replace(endpoint, **changes))


def test_a_system_secret_opens_for_its_purpose_only(kms: Kms) -> None:
    """An installation's own secret decrypts for its purpose only, not as an endpoint's or another's."""
    sealed = kms.sealer.seal_system(b"key of all cursors", "cursors")
    assert kms.unsealer.open_system(sealed, "cursors") == b"key of all cursors"
    with pytest.raises(Unavailable):
        kms.unsealer.open_system(sealed, "something else")
    with pytest.raises(Unavailable):
        kms.unsealer.secret_of(replace(kms.endpoint(), secret=SealedSecret(sealed, 1)))
    with pytest.raises(Unavailable):
        kms.unsealer.open_system(kms.endpoint().secret.ciphertext, "cursors")


def test_the_encryption_context_never_changes(kms: Kms) -> None:
    """The encryption context never changes: stored secrets and the roles' policies depend on its names."""
    sealed = kms.endpoint(version=3).secret.ciphertext
    context = {"app": "posthorn", "workspace": "wksp_1", "endpoint": "wh_1", "version": "3"}
    opened = kms.client.decrypt(CiphertextBlob=sealed, EncryptionContext=context)
    assert opened["Plaintext"] == TOKEN.encode()
    opened = kms.client.decrypt(
        CiphertextBlob=kms.sealer.seal_system(b"key", "cursors"),
        EncryptionContext={"app": "posthorn", "purpose": "cursors"},
    )
    assert opened["Plaintext"] == b"key"


def test_a_secret_is_cached_for_five_minutes(kms: Kms) -> None:
    """A KMS outage of less than five minutes goes unnoticed; a longer one does not."""
    endpoint = kms.endpoint()
    kms.unsealer.secret_of(endpoint)
    with kms.out_of_order():
        kms.clock.now += 299
        assert kms.unsealer.secret_of(endpoint) == TOKEN.encode()
        kms.clock.now += 1
        with pytest.raises(Unavailable) as failed:
            kms.unsealer.secret_of(endpoint)
    assert failed.value.code == "EndpointConnectionError"


def test_an_outage_is_not_cached(kms: Kms) -> None:
    """Failures are not cached: secrets are available as soon as KMS answers again."""
    endpoint = kms.endpoint()
    with kms.out_of_order(), pytest.raises(Unavailable):
        kms.unsealer.secret_of(endpoint)
    assert kms.unsealer.secret_of(endpoint) == TOKEN.encode()


def test_a_new_secret_is_used_at_once(kms: Kms) -> None:
    """After a rotation the new token is used, not the cached old one."""
    assert kms.unsealer.secret_of(kms.endpoint()) == TOKEN.encode()
    rotated = kms.endpoint(token="wht_the_token_after_the_rotation", version=2)
    assert kms.unsealer.secret_of(rotated) == b"wht_the_token_after_the_rotation"


class InstantKms:
    """A KMS whose ciphertext is the plaintext, for tests of the cache alone."""

    def __init__(self) -> None:
        self.is_there = True

    def decrypt(self, *, CiphertextBlob: bytes, EncryptionContext: dict[str, str]) -> dict[str, bytes]:  # noqa: N803, ARG002 - boto3's names
        if not self.is_there:
            raise EndpointConnectionError(endpoint_url="https://kms")
        return {"Plaintext": CiphertextBlob}


def instant_endpoint(name: str) -> Endpoint:
    return Endpoint(
        id=name,
        channel="wksp_1",
        workspace="wksp_1",
        kind=EndpointKind.WEBHOOK,
        format=PayloadFormat.EVENT_JSON,
        url="https://hooks.example.com/",
        events=("*",),
        secret=SealedSecret(b"sealed", 1),
        created_at=0,
    )


def test_a_thousand_secrets_are_cached_at_most() -> None:
    """The cache holds a thousand secrets and evicts the oldest first."""
    kms = InstantKms()
    unsealer = Unsealer(kms)  # type: ignore[arg-type]
    endpoints = [instant_endpoint(f"wh_{number}") for number in range(1001)]
    for endpoint in endpoints:
        unsealer.secret_of(endpoint)
    kms.is_there = False
    assert {unsealer.secret_of(endpoint) for endpoint in endpoints[1:]} == {b"sealed"}
    with pytest.raises(Unavailable):
        unsealer.secret_of(endpoints[0])


def test_many_threads_may_ask_at_once() -> None:
    """Sixteen dispatcher threads may use the cache at once, even with more endpoints than it can hold."""
    unsealer = Unsealer(InstantKms())  # type: ignore[arg-type]

    def ask(thread: int) -> list[RuntimeError]:
        failed: list[RuntimeError] = []
        for number in range(4000):
            try:
                unsealer.secret_of(instant_endpoint(f"wh_{thread}_{number}"))
            except RuntimeError as error:
                failed.append(error)
        return failed

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # make threads switch as often as possible
    try:
        with ThreadPoolExecutor(16) as threads:
            failures = [error for failed in threads.map(ask, range(16)) for error in failed]
    finally:
        sys.setswitchinterval(interval)
    assert failures == []


def test_cached_secrets_are_available_without_kms(kms: Kms) -> None:
    """The cache returns all secrets that sign now, or none. An attempt cannot be signed with only some."""
    old = kms.endpoint(token="the-old-token-of-it", version=2)
    new = replace(
        kms.endpoint(token="the-new-token-of-it", version=3), previous_secret=PreviousSecret(old.secret, 100)
    )
    assert kms.unsealer.remembered(new, now_ms=99) is None
    kms.unsealer.secret_of(new)
    with kms.out_of_order():
        assert kms.unsealer.remembered(new, now_ms=99) is None
        assert kms.unsealer.remembered(new, now_ms=100) == (b"the-new-token-of-it",)
    both = kms.unsealer.secrets_of(new, now_ms=99)
    assert both == (b"the-new-token-of-it", b"the-old-token-of-it")
    with kms.out_of_order():
        assert kms.unsealer.remembered(new, now_ms=99) == both
        kms.clock.now += 300
        assert kms.unsealer.remembered(new, now_ms=99) is None


def test_the_secrets_of_an_attempt_are_found_by_their_versions(kms: Kms) -> None:
    """Secrets are found by version, in signing order, even after expiry; none if one was replaced."""
    old = kms.endpoint(token="the-old-token-of-it", version=2)
    new = replace(
        kms.endpoint(token="the-new-token-of-it", version=3), previous_secret=PreviousSecret(old.secret, 0)
    )

    assert kms.unsealer.secrets_by(new, (3, 2)) == (b"the-new-token-of-it", b"the-old-token-of-it")
    assert kms.unsealer.secrets_by(new, (2,)) == (b"the-old-token-of-it",)
    assert kms.unsealer.secrets_by(new, (2, 1)) is None
    assert kms.unsealer.secrets_by(new, ()) is None
