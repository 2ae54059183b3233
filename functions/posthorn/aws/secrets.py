"""Secrets at rest: KMS ciphertext, bound by its encryption context to the one place where it belongs."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from posthorn.aws.clients import call
from posthorn.domain.models import SealedSecret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mypy_boto3_kms import KMSClient

    from posthorn.domain.models import Endpoint

_CACHE_SECONDS: Final = 300
_CACHE_ENTRIES: Final = 1000


class Sealer:
    """Encrypts secrets under the installation's key."""

    def __init__(self, kms: KMSClient, key: str) -> None:
        self._kms = kms
        self._key = key

    def seal(self, secret: str, *, workspace: str, endpoint_id: str, version: int) -> SealedSecret:
        """Encrypt a signing secret for one endpoint and one version of its secret."""
        context = _endpoint_context(workspace, endpoint_id, version)
        return SealedSecret(ciphertext=self._encrypt(secret.encode(), context), version=version)

    def seal_system(self, secret: bytes, purpose: str) -> bytes:
        """Encrypt a secret of the installation itself."""
        return self._encrypt(secret, _system_context(purpose))

    def _encrypt(self, plaintext: bytes, context: dict[str, str]) -> bytes:
        answer = call(self._kms.encrypt, KeyId=self._key, Plaintext=plaintext, EncryptionContext=context)
        return bytes(answer["CiphertextBlob"])


class Unsealer:
    """Decrypts secrets; an endpoint's is remembered for five minutes, a thousand at the most."""

    def __init__(self, kms: KMSClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._kms = kms
        self._clock = clock
        self._known: dict[tuple[str | int | bytes, ...], tuple[float, bytes]] = {}
        self._lock = threading.Lock()

    def secret_of(self, endpoint: Endpoint) -> bytes:
        """Return the endpoint's current signing secret; `Unavailable` when KMS does not give it."""
        return self._open(endpoint, endpoint.secret)

    def secrets_of(self, endpoint: Endpoint, *, now_ms: int) -> tuple[bytes, ...]:
        """Return the secrets to sign with at a moment, newest first: the previous one only until it expires."""
        return tuple(self._open(endpoint, sealed) for sealed in endpoint.signing_secrets(now_ms))

    def remembered(self, endpoint: Endpoint, *, now_ms: int) -> tuple[bytes, ...] | None:
        """Return the same, if they are all known already; asks nobody."""
        found = [self._recall(endpoint, sealed) for sealed in endpoint.signing_secrets(now_ms)]
        known = tuple(secret for secret in found if secret is not None)
        return known if len(known) == len(found) else None

    def secrets_by(self, endpoint: Endpoint, versions: Sequence[int]) -> tuple[bytes, ...] | None:
        """Return the secrets with these versions, in their order; None when any has been replaced since."""
        kept = {endpoint.secret.version: endpoint.secret}
        if endpoint.previous_secret is not None:
            kept[endpoint.previous_secret.sealed.version] = endpoint.previous_secret.sealed
        if not versions or not kept.keys() >= set(versions):
            return None
        return tuple(self._open(endpoint, kept[version]) for version in versions)

    def _open(self, endpoint: Endpoint, sealed: SealedSecret) -> bytes:
        if (known := self._recall(endpoint, sealed)) is not None:
            return known
        context = _endpoint_context(endpoint.workspace, endpoint.id, sealed.version)
        secret = self._decrypt(sealed.ciphertext, context)
        with self._lock:  # many endpoints are asked for at once
            while len(self._known) >= _CACHE_ENTRIES:
                del self._known[next(iter(self._known))]
            self._known[_remembered_by(endpoint, sealed)] = (self._clock() + _CACHE_SECONDS, secret)
        return secret

    def _recall(self, endpoint: Endpoint, sealed: SealedSecret) -> bytes | None:
        known = self._known.get(_remembered_by(endpoint, sealed))
        return known[1] if known is not None and known[0] > self._clock() else None

    def open_system(self, sealed: bytes, purpose: str) -> bytes:
        """Decrypt a secret of the installation itself."""
        return self._decrypt(sealed, _system_context(purpose))

    def _decrypt(self, ciphertext: bytes, context: dict[str, str]) -> bytes:
        return bytes(
            call(self._kms.decrypt, CiphertextBlob=ciphertext, EncryptionContext=context)["Plaintext"]
        )


def _endpoint_context(workspace: str, endpoint_id: str, version: int) -> dict[str, str]:
    return {"app": "posthorn", "workspace": workspace, "endpoint": endpoint_id, "version": str(version)}


def _remembered_by(endpoint: Endpoint, sealed: SealedSecret) -> tuple[str | int | bytes, ...]:
    """Return what an opened secret is remembered by: what KMS binds it to, and its ciphertext."""
    return endpoint.workspace, endpoint.id, sealed.version, sealed.ciphertext


def _system_context(purpose: str) -> dict[str, str]:
    return {"app": "posthorn", "purpose": purpose}
