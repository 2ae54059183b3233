"""Creates workspaces and API keys outside the API, which needs a key for each call and makes no platform key."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from posthorn.domain.api_key import ENTROPY_BYTES, ApiKey, Scope, hash_of, key_id_of, mint, secret_of
from posthorn.domain.clock import now_ms
from posthorn.domain.ids import WORKSPACE, new_id
from posthorn.domain.workspace import Workspace
from posthorn.stores.api_keys import ApiKeys
from posthorn.stores.workspaces import Workspaces
from posthorn_cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_dynamodb import DynamoDBClient


def create_key(
    dynamodb: DynamoDBClient,
    config_table: str,
    *,
    workspace: str | None,
    name: str,
    scopes: Iterable[Scope | str] = (),
    valid_until: int | None = None,
) -> str:
    """Create an API key of a workspace, or a platform key if there is none, and return it.

    Only its hash is stored, so nobody can show it again.
    """
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


def create_workspace(dynamodb: DynamoDBClient, config_table: str, *, uid: str, name: str) -> Workspace:
    """Create a workspace; a uid that is taken is refused."""
    created_at = now_ms()
    made = Workspace(
        id=new_id(WORKSPACE, now_ms=created_at, entropy=secrets.token_bytes(10)),
        uid=uid,
        name=name,
        created_at=created_at,
    )
    if not Workspaces(dynamodb, config_table).create(made):
        raise CommandError(f"There is a workspace with the uid {uid} already.")
    return made


def create_workspace_key(
    dynamodb: DynamoDBClient,
    config_table: str,
    *,
    workspace_name: str,
    scopes: Iterable[Scope | str],
    valid_until: int | None = None,
) -> tuple[str, str]:
    """Create a workspace with a random uid and its first API key, for an installation to try; return both."""
    made = create_workspace(dynamodb, config_table, uid=f"try-{secrets.token_hex(8)}", name=workspace_name)
    key = create_key(
        dynamodb, config_table, workspace=made.id, name=workspace_name, scopes=scopes, valid_until=valid_until
    )
    return made.id, key
