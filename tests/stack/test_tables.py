"""Tables, and other resources that must outlive the stack."""

from posthorn.stores import tables
from tests.stack.breakages import broken_by
from tests.template import KEY, QUEUE, TABLE, Json, Template, holds, target

type Index = tuple[list[tuple[str, str, str]], str | list[str]]


def keys_of(table: Json, schema: list[Json]) -> list[tuple[str, str, str]]:
    """Return (attribute, HASH or RANGE, type) for every part of a key."""
    types = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
    return [(key["AttributeName"], key["KeyType"], types[key["AttributeName"]]) for key in schema]


def indexes_of(table: Json) -> dict[str, Index]:
    return {
        index["IndexName"]: (
            keys_of(table, index["KeySchema"]),
            index["Projection"].get("NonKeyAttributes", index["Projection"]["ProjectionType"]),
        )
        for index in table.get("GlobalSecondaryIndexes", [])
    }


@broken_by(
    ("AttributeName: sk", "AttributeName: id"),
)
def test_there_are_three_tables_with_the_keys_that_the_stores_use(stack: Template) -> None:
    """Every table has the partition and sort key that the stores use, both strings."""
    assert list(stack.of_type(TABLE)) == ["ConfigTable", "EventsTable", "DeliveriesTable"]
    for name, table in stack.of_type(TABLE).items():
        expected = [(tables.PK, "HASH", "S"), (tables.SK, "RANGE", "S")]
        assert keys_of(table, table["KeySchema"]) == expected, name


@broken_by(
    ("IndexName: due", "IndexName: waiting"),
    (
        "AttributeName: next_attempt_at, AttributeType: N",
        "AttributeName: next_attempt_at, AttributeType: S",
    ),
    ("ProjectionType: KEYS_ONLY", "ProjectionType: ALL"),
    ("[status, event_type, generation, is_test]", "[status]"),
    ("[workspace, kind, url, disabled_reason]", "[workspace, kind, url, disabled_reason, secret]"),
)
def test_indexes_match_the_stores(stack: Template) -> None:
    """Indexes and attributes have the names that the stores use, and only attributes that are read."""
    key_rows = [(tables.KEY_WORKSPACE, "HASH", "S"), (tables.PK, "RANGE", "S")]
    workspaces = [(tables.WORKSPACE_LIST, "HASH", "S"), (tables.WORKSPACE_ID, "RANGE", "S")]
    trouble = [(tables.TROUBLE, "HASH", "S"), (tables.TROUBLE_SINCE, "RANGE", "S")]
    due = [(tables.DUE_SHARD, "HASH", "S"), (tables.NEXT_ATTEMPT_AT, "RANGE", "N")]
    undelivered = [(tables.UNDELIVERED, "HASH", "S"), (tables.SK, "RANGE", "S")]
    for table in stack.of_type(TABLE).values():
        for name, (keys, _) in indexes_of(table).items():
            assert set(tables.KEYS[name]) == {tables.PK, tables.SK, *(attribute for attribute, *_ in keys)}
    assert {name: indexes_of(table) for name, table in stack.of_type(TABLE).items()} == {
        "ConfigTable": {
            tables.KEYS_INDEX: (key_rows, "ALL"),
            tables.WORKSPACES_INDEX: (workspaces, "ALL"),
            tables.TROUBLE_INDEX: (trouble, ["workspace", "kind", "url", "disabled_reason"]),
        },
        "EventsTable": {},
        "DeliveriesTable": {
            tables.DUE_INDEX: (due, "KEYS_ONLY"),
            tables.UNDELIVERED_INDEX: (
                undelivered,
                ["status", "event_type", "generation", "is_test"],
            ),
        },
    }


@broken_by(
    ("AttributeName: expires_at", "AttributeName: ttl"),
    ("expires_at, Enabled: true", "expires_at, Enabled: false"),
)
def test_rows_expire_by_the_attribute_that_the_stores_write(stack: Template) -> None:
    """TTL is on the attribute that the code writes; on any other, rows would never expire."""
    for name, table in stack.of_type(TABLE).items():
        assert table["TimeToLiveSpecification"] == {"AttributeName": tables.TTL, "Enabled": True}, name


@broken_by(
    ("BillingMode: PAY_PER_REQUEST", "BillingMode: PROVISIONED"),
    ("PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false"),
)
def test_tables_cost_nothing_at_rest_and_can_be_restored(stack: Template) -> None:
    """Tables are on demand and have point-in-time recovery."""
    for name, table in stack.of_type(TABLE).items():
        assert table["BillingMode"] == "PAY_PER_REQUEST", name
        assert "ProvisionedThroughput" not in table, name
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}, name


@broken_by(
    ("KMSMasterKeyId: !GetAtt SecretsKey.Arn", "KMSMasterKeyId: alias/aws/dynamodb"),
    ("EnableKeyRotation: true", "EnableKeyRotation: false"),
)
def test_tables_are_encrypted_with_the_stacks_own_key(stack: Template) -> None:
    """Tables use the operator's own key, which is rotated every year."""
    for name, table in stack.of_type(TABLE).items():
        encryption = table["SSESpecification"]
        assert encryption["SSEEnabled"] is True, name
        assert encryption["SSEType"] == "KMS", name
        assert target(encryption["KMSMasterKeyId"]) == "SecretsKey.Arn", name
    assert stack.of_type(KEY)["SecretsKey"]["EnableKeyRotation"] is True


@broken_by(
    ("StreamViewType: NEW_IMAGE", "StreamViewType: KEYS_ONLY"),
)
def test_only_the_events_table_has_a_stream_and_it_carries_the_new_row(stack: Template) -> None:
    """DispatchFunction reads the event from the stream record, so the record must hold the new image."""
    streams = {name: table.get("StreamSpecification") for name, table in stack.of_type(TABLE).items()}
    assert streams == {
        "ConfigTable": None,
        "EventsTable": {"StreamViewType": "NEW_IMAGE"},
        "DeliveriesTable": None,
    }


@broken_by(
    ("    DeletionPolicy: RetainExceptOnCreate", "    DeletionPolicy: Delete"),
    ("    DeletionPolicy: RetainExceptOnCreate", "    DeletionPolicy: Retain"),
    ("    UpdateReplacePolicy: Retain\n", ""),
)
def test_state_outlives_the_stack(stack: Template) -> None:
    """Deleting the stack or replacing a resource deletes no table, queue or key; a failed first deploy does."""
    stateful = [name for kind in (TABLE, QUEUE, KEY) for name in stack.of_type(kind)]
    assert len(stateful) == 16
    for name in stateful:
        resource = stack.resources[name]
        assert resource.get("DeletionPolicy") == "RetainExceptOnCreate", name
        assert resource.get("UpdateReplacePolicy") == "Retain", name


@broken_by(
    ("      DeletionProtectionEnabled: !If [Removable, false, true]\n", ""),
    ("[Removable, false, true]", "[Removable, true, false]"),
    ("Removable: !Equals [!Ref Stage, local]", "Removable: !Equals [!Ref Stage, prod]"),
)
def test_tables_are_protected_from_deletion(stack: Template) -> None:
    """Nobody deletes a table by mistake; on stage `local` they go with everything else."""
    removable = stack.data["Conditions"]["Removable"]
    for stage in ("prod", "eu-2", "local"):
        assert holds(removable, stack.defaults | {"Stage": stage}) is (stage == "local")
    for name, table in stack.of_type(TABLE).items():
        assert table["DeletionProtectionEnabled"] == {"Fn::If": ["Removable", False, True]}, name


@broken_by(
    ("    DependsOn: ConfigTable", "    DependsOn: SecretsKey"),
)
def test_tables_with_indexes_are_created_one_after_the_other(stack: Template) -> None:
    """DynamoDB refuses to create several tables with indexes at once, so each depends on the one before."""
    indexed = [name for name, table in stack.of_type(TABLE).items() if "GlobalSecondaryIndexes" in table]
    assert [stack.resources[name].get("DependsOn") for name in indexed] == [None, *indexed[:-1]]
