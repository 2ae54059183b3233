"""Signing secrets at rest: a ciphertext opens in the one place that it was made for, and nowhere else."""

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
    """Seconds that only a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Kms:
    """moto's KMS, with its key, and what was asked of it."""

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
        """Let KMS answer nothing, so that only what is remembered can be had."""
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
    """What signs is the token's UTF-8 bytes, as the receiver has them."""
    assert kms.unsealer.secret_of(kms.endpoint(token=token)) == token.encode()


def test_what_is_stored_does_not_show_the_secret(kms: Kms) -> None:
    """Neither the row nor a printed endpoint holds the token."""
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
def test_a_secret_opens_at_no_other_endpoint(kms: Kms, changes: dict[str, Any]) -> None:
    """Who copies a ciphertext into a row of their own gets nothing out of it."""
    stolen = replace(kms.endpoint(), **changes)
    with pytest.raises(Unavailable) as refused:
        kms.unsealer.secret_of(stolen)
    assert refused.value.code == "InvalidCiphertextException"


def test_a_secret_opens_as_no_other_version(kms: Kms) -> None:
    """An old ciphertext does not pass for the newest one."""
    endpoint = kms.endpoint(version=1)
    with pytest.raises(Unavailable):
        kms.unsealer.secret_of(replace(endpoint, secret=replace(endpoint.secret, version=2)))


@pytest.mark.parametrize("changes", [{"workspace": "wksp_2"}, {"secret": 2}], ids=["workspace", "version"])
def test_what_is_remembered_is_bound_as_well(kms: Kms, changes: dict[str, Any]) -> None:
    """A stolen ciphertext opens nothing, not even where its owner's has just been used."""
    endpoint = kms.endpoint()
    kms.unsealer.secret_of(endpoint)
    if "secret" in changes:
        changes = {"secret": replace(endpoint.secret, version=changes["secret"])}
    with pytest.raises(Unavailable):
        kms.unsealer.secret_of(replace(endpoint, **changes))


def test_a_system_secret_opens_for_its_purpose_only(kms: Kms) -> None:
    """The installation's own secrets are no endpoint's, and not each other's."""
    sealed = kms.sealer.seal_system(b"key of all cursors", "cursors")
    assert kms.unsealer.open_system(sealed, "cursors") == b"key of all cursors"
    with pytest.raises(Unavailable):
        kms.unsealer.open_system(sealed, "something else")
    with pytest.raises(Unavailable):
        kms.unsealer.secret_of(replace(kms.endpoint(), secret=SealedSecret(sealed, 1)))
    with pytest.raises(Unavailable):
        kms.unsealer.open_system(kms.endpoint().secret.ciphertext, "cursors")


def test_what_a_secret_is_bound_to_never_changes(kms: Kms) -> None:
    """Every stored secret and the roles' policies rest on these very names: other ones would open nothing."""
    sealed = kms.endpoint(version=3).secret.ciphertext
    context = {"app": "posthorn", "workspace": "wksp_1", "endpoint": "wh_1", "version": "3"}
    opened = kms.client.decrypt(CiphertextBlob=sealed, EncryptionContext=context)
    assert opened["Plaintext"] == TOKEN.encode()
    opened = kms.client.decrypt(
        CiphertextBlob=kms.sealer.seal_system(b"key", "cursors"),
        EncryptionContext={"app": "posthorn", "purpose": "cursors"},
    )
    assert opened["Plaintext"] == b"key"


def test_a_secret_is_remembered_for_five_minutes(kms: Kms) -> None:
    """An outage of KMS shorter than that goes unnoticed; a longer one does not."""
    endpoint = kms.endpoint()
    kms.unsealer.secret_of(endpoint)
    with kms.out_of_order():
        kms.clock.now += 299
        assert kms.unsealer.secret_of(endpoint) == TOKEN.encode()
        kms.clock.now += 1
        with pytest.raises(Unavailable) as failed:
            kms.unsealer.secret_of(endpoint)
    assert failed.value.code == "EndpointConnectionError"


def test_an_outage_is_not_remembered(kms: Kms) -> None:
    """As soon as KMS answers again, secrets can be had again."""
    endpoint = kms.endpoint()
    with kms.out_of_order(), pytest.raises(Unavailable):
        kms.unsealer.secret_of(endpoint)
    assert kms.unsealer.secret_of(endpoint) == TOKEN.encode()


def test_a_new_secret_is_used_at_once(kms: Kms) -> None:
    """What is remembered of the old token does not outlive a rotation."""
    assert kms.unsealer.secret_of(kms.endpoint()) == TOKEN.encode()
    rotated = kms.endpoint(token="wht_the_token_after_the_rotation", version=2)
    assert kms.unsealer.secret_of(rotated) == b"wht_the_token_after_the_rotation"


class InstantKms:
    """A KMS whose ciphertext is the plaintext: what is tested with it is the memory alone."""

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


def test_a_thousand_secrets_are_remembered_and_no_more() -> None:
    """The memory of a function has a limit; what came first goes first."""
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
    """The dispatcher asks from sixteen threads, also when there are more endpoints than can be remembered."""
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
    sys.setswitchinterval(1e-6)  # let threads interrupt each other wherever they can
    try:
        with ThreadPoolExecutor(16) as threads:
            failures = [error for failed in threads.map(ask, range(16)) for error in failed]
    finally:
        sys.setswitchinterval(interval)
    assert failures == []


def test_what_is_remembered_can_be_asked_for_without_asking_kms(kms: Kms) -> None:
    """All secrets that sign at a moment or none: with half of them an attempt could not be signed."""
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
    """In the order of signing, even after the older one has expired; none at all when one was replaced."""
    old = kms.endpoint(token="the-old-token-of-it", version=2)
    new = replace(
        kms.endpoint(token="the-new-token-of-it", version=3), previous_secret=PreviousSecret(old.secret, 0)
    )

    assert kms.unsealer.secrets_by(new, (3, 2)) == (b"the-new-token-of-it", b"the-old-token-of-it")
    assert kms.unsealer.secrets_by(new, (2,)) == (b"the-old-token-of-it",)
    assert kms.unsealer.secrets_by(new, (2, 1)) is None
    assert kms.unsealer.secrets_by(new, ()) is None
