"""Secrets at rest: KMS ciphertext, bound by its encryption context to the endpoint or purpose it belongs to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from posthorn.aws.clients import call
from posthorn.domain.models import SealedSecret
from posthorn.domain.ttl_cache import TtlCache

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
    """Decrypts secrets; those of endpoints are cached for five minutes, at most a thousand."""

    def __init__(self, kms: KMSClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._kms = kms
        self._known: TtlCache[tuple[str | int | bytes, ...], bytes] = TtlCache(
            ttl=_CACHE_SECONDS, size=_CACHE_ENTRIES, clock=clock
        )

    def secret_of(self, endpoint: Endpoint) -> bytes:
        """Return the endpoint's current signing secret; `Unavailable` if KMS cannot decrypt it."""
        return self._open(endpoint, endpoint.secret)

    def secrets_of(self, endpoint: Endpoint, *, now_ms: int) -> tuple[bytes, ...]:
        """Return the secrets to sign with at a given time, newest first; the previous one only until it expires."""
        return tuple(self._open(endpoint, sealed) for sealed in endpoint.signing_secrets(now_ms))

    def remembered(self, endpoint: Endpoint, *, now_ms: int) -> tuple[bytes, ...] | None:
        """Return the same secrets if all of them are cached; never calls KMS."""
        found = [self._known.get(_cache_key(endpoint, sealed)) for sealed in endpoint.signing_secrets(now_ms)]
        known = tuple(secret for secret in found if secret is not None)
        return known if len(known) == len(found) else None

    def secrets_by(self, endpoint: Endpoint, versions: Sequence[int]) -> tuple[bytes, ...] | None:
        """Return the secrets with these versions, in this order; None if any has been replaced since."""
        kept = {endpoint.secret.version: endpoint.secret}
        if endpoint.previous_secret is not None:
            kept[endpoint.previous_secret.sealed.version] = endpoint.previous_secret.sealed
        if not versions or not kept.keys() >= set(versions):
            return None
        return tuple(self._open(endpoint, kept[version]) for version in versions)

    def _open(self, endpoint: Endpoint, sealed: SealedSecret) -> bytes:
        def decrypt() -> bytes:
            context = _endpoint_context(endpoint.workspace, endpoint.id, sealed.version)
            return self._decrypt(sealed.ciphertext, context)

        return self._known.get_or_load(_cache_key(endpoint, sealed), decrypt)

    def open_system(self, sealed: bytes, purpose: str) -> bytes:
        """Decrypt a secret of the installation itself."""
        return self._decrypt(sealed, _system_context(purpose))

    def _decrypt(self, ciphertext: bytes, context: dict[str, str]) -> bytes:
        return bytes(
            call(self._kms.decrypt, CiphertextBlob=ciphertext, EncryptionContext=context)["Plaintext"]
        )


def _endpoint_context(workspace: str, endpoint_id: str, version: int) -> dict[str, str]:
    return {"app": "posthorn", "workspace": workspace, "endpoint": endpoint_id, "version": str(version)}


def _cache_key(endpoint: Endpoint, sealed: SealedSecret) -> tuple[str | int | bytes, ...]:
    """Return everything that KMS binds a secret to, and its ciphertext."""
    return endpoint.workspace, endpoint.id, sealed.version, sealed.ciphertext


def _system_context(purpose: str) -> dict[str, str]:
    return {"app": "posthorn", "purpose": purpose}
