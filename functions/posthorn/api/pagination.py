"""Pagination: cursors are opaque, bound to a workspace and a query, and rejected if anything in them changes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Final, Protocol

from posthorn.api.problems import FieldError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthorn.api.http import Request
    from posthorn.aws.secrets import Sealer, Unsealer
    from posthorn.stores.installation import InstallationSecrets

MAX_LIMIT: Final = 100

_TAG_BYTES: Final = 16
_LIMIT: Final = re.compile("[1-9][0-9]{0,2}")


class ReadPage[T](Protocol):
    """Reads a page of a list; returns it and the position after which the next page starts, None on the last one."""

    def __call__(self, *, after: str | None, limit: int) -> tuple[list[T], str | None]: ...


class Cursors:
    """Signs and verifies cursors with a key that all processes share."""

    def __init__(
        self,
        system: InstallationSecrets,
        sealer: Sealer,
        unsealer: Unsealer,
        *,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._system = system
        self._sealer = sealer
        self._unsealer = unsealer
        self._random_bytes = random_bytes
        self._key: bytes | None = None

    def page[T](self, request: Request, read: ReadPage[T]) -> tuple[list[T], str | None]:
        """Return the page that a list request asks for, and the cursor of the next page, None on the last one."""
        limit, after = read_limit(request), self.read(request)
        found, last = read(after=after, limit=limit)
        return found, None if last is None else self.write(request, last)

    def write(self, request: Request, position: str) -> str:
        """Return the cursor that continues this query after `position`."""
        tag = self._tag(request, position)
        return base64.urlsafe_b64encode(tag + position.encode()).rstrip(b"=").decode()

    def read(self, request: Request) -> str | None:
        """Return the position in the request's cursor, None if it has no cursor."""
        cursor = request.query.get("cursor")
        if cursor is None:
            return None
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            position = raw[_TAG_BYTES:].decode()
            # Base64 can spell the same bytes in several ways; only ours is accepted.
            is_ours = hmac.compare_digest(self.write(request, position).encode(), cursor.encode())
        except (binascii.Error, ValueError):
            raise _invalid_cursor() from None
        if not is_ours:
            raise _invalid_cursor()
        return position

    def _tag(self, request: Request, position: str) -> bytes:
        query = sorted(
            (name, value) for name, value in request.query.items() if name not in {"cursor", "limit"}
        )
        bound = repr((request.workspace, request.operation, sorted(request.path.items()), query, position))
        return hmac.digest(self._shared_key(), bound.encode(), hashlib.sha256)[:_TAG_BYTES]

    def _shared_key(self) -> bytes:
        if self._key is None:
            sealed = self._system.cursor_key(
                lambda: self._sealer.seal_system(self._random_bytes(32), "cursors")
            )
            self._key = self._unsealer.open_system(sealed, "cursors")
        return self._key


def read_limit(request: Request) -> int:
    """Return the page size that a request asks for, 1 to 100."""
    text = request.query.get("limit", str(MAX_LIMIT))
    if not (_LIMIT.fullmatch(text) and int(text) <= MAX_LIMIT):
        detail = f"`limit` must be a whole number from 1 to {MAX_LIMIT}."
        raise Problem(400, "invalid_limit", detail, errors=[FieldError("/limit", detail)])
    return int(text)


def _invalid_cursor() -> Problem:
    detail = "`cursor` must be a cursor that this list returned for the same filters."
    return Problem(400, "invalid_cursor", detail, errors=[FieldError("/cursor", detail)])
