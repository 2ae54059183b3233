"""Names that template.yaml and the stores share; a test compares them."""

from typing import Final

PK: Final = "pk"
SK: Final = "sk"
TTL: Final = "expires_at"  # Unix seconds

KEYS_INDEX: Final = "keys"
KEY_WORKSPACE: Final = "key_workspace"

WORKSPACES_INDEX: Final = "workspaces"
WORKSPACE_LIST: Final = "workspace_list"
WORKSPACE_ID: Final = "workspace_id"

TROUBLE_INDEX: Final = "trouble"
TROUBLE: Final = "trouble"
TROUBLE_SINCE: Final = "trouble_since"

DUE_INDEX: Final = "due"
DUE_SHARD: Final = "due_shard"
NEXT_ATTEMPT_AT: Final = "next_attempt_at"

UNDELIVERED_INDEX: Final = "undelivered"
UNDELIVERED: Final = "undelivered"

KEYS: Final[dict[str | None, tuple[str, ...]]] = {
    None: (PK, SK),
    KEYS_INDEX: (PK, SK, KEY_WORKSPACE),
    WORKSPACES_INDEX: (PK, SK, WORKSPACE_LIST, WORKSPACE_ID),
    TROUBLE_INDEX: (PK, SK, TROUBLE, TROUBLE_SINCE),
    DUE_INDEX: (PK, SK, DUE_SHARD, NEXT_ATTEMPT_AT),
    UNDELIVERED_INDEX: (PK, SK, UNDELIVERED),
}
"""The attributes of a start key: those of the table's own key, and of the index that is read."""

ROW_VERSION: Final = 1
"""Written as `v` into every row, so that a later version knows the format of the row."""

DAY: Final = 86_400


def expiry(now_ms: int, days: int) -> int:
    """Return the Unix second after which DynamoDB may remove a row."""
    return now_ms // 1000 + days * DAY
