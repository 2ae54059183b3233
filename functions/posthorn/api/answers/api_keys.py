"""Answers about API keys."""

from typing import NotRequired, TypedDict

from posthorn.api.answers.fields import Time
from posthorn.domain.api_key import KeyState, Scope


class ApiKey(TypedDict):
    """The record of an API key."""

    id: str
    """Identifies the key; it is part of the key's text and no secret."""
    name: str
    """Its name."""
    scopes: list[Scope]
    """What the key may be used for."""
    state: KeyState
    """Whether the key works."""
    createdAt: Time
    """When it was created."""
    expiresAt: Time | None
    """When it expires, or null if it does not."""
    lastUsedAt: Time | None
    """When it was last used, to the hour, or null before its first use."""
    revokedAt: Time | None
    """When it was revoked, or null if it was not."""


class ApiKeyWithText(ApiKey):
    """The record of an API key and, once, the key itself."""

    key: NotRequired[str]
    """The API key. Shown only in the first answer: only a hash of it is stored."""


class ApiKeyList(TypedDict):
    """A page of API keys."""

    apiKeys: list[ApiKey]
    """The API keys of this page, in the order of their ids."""
    nextCursor: NotRequired[str]
    """The `cursor` of the next page; absent on the last one."""


class ApiKeyResult(TypedDict):
    """A new API key."""

    apiKey: ApiKeyWithText
    """The new key."""
