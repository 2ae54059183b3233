"""Creates workspaces and API keys outside the API, which needs a key for each call."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from posthorn.domain.api_key import ENTROPY_BYTES, ApiKey, Scope, hash_of, key_id_of, mint, secret_of
from posthorn.domain.clock import now_ms
from posthorn.domain.ids import WORKSPACE, new_id
from posthorn.stores.api_keys import ApiKeys
from posthorn_cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_dynamodb import DynamoDBClient


def create_key(
    dynamodb: DynamoDBClient,
    config_table: str,
    *,
    workspace: str,
    name: str,
    scopes: Iterable[Scope | str],
    valid_until: int | None = None,
) -> str:
    """Create an API key and return it. Only its hash is stored, so nobody can show it again."""
    text = mint(secrets.token_bytes(ENTROPY_BYTES))
    is_new = ApiKeys(dynamodb, config_table).create(
        ApiKey(
            id=key_id_of(text),
            workspace=workspace,
            name=name,
            scopes=frozenset(Scope(scope) for scope in scopes),
            secret_hash=hash_of(secret_of(text)),
            created_at=now_ms(),
            valid_until=valid_until,
        )
    )
    if not is_new:
        raise CommandError("The new key got the id of another key. Run the command again.")
    return text


def create_workspace_key(
    dynamodb: DynamoDBClient,
    config_table: str,
    *,
    workspace_name: str,
    scopes: Iterable[Scope | str],
    valid_until: int | None = None,
) -> tuple[str, str]:
    """Create a workspace and its first API key; return both."""
    workspace = new_id(WORKSPACE, now_ms=now_ms(), entropy=secrets.token_bytes(10))
    key = create_key(
        dynamodb,
        config_table,
        workspace=workspace,
        name=workspace_name,
        scopes=scopes,
        valid_until=valid_until,
    )
    return workspace, key
