"""Deliveries in the DeliveriesTable, from one status to the next.

A first attempt writes the row, every later one moves it on, and only from the attempt number that it expects.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from posthorn.aws.clients import at_once, call
from posthorn.domain.errors import ConditionFailed, Malformed, Unavailable
from posthorn.domain.models import Delivery, DeliveryKey, Status
from posthorn.stores import attempts, batches, items
from posthorn.stores import delivery_rows as rows
from posthorn.stores.items import n, s
from posthorn.stores.tables import DUE_SHARD, NEXT_ATTEMPT_AT, TTL, UNDELIVERED, expiry

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

KEPT_ATTEMPTS: Final = 16
"""Attempts that a row keeps when it is replayed: the last four generations, far below a row's 400 KB."""

_NAMES: Final = {"#status": "status"}


class Deliveries:
    """What became of every event at every endpoint."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, *, retention_days: int) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._retention_days = retention_days

    def get_many(
        self, keys: Collection[DeliveryKey]
    ) -> tuple[dict[DeliveryKey, Delivery | None], set[DeliveryKey]]:
        """Return the deliveries that exist, and the keys that could not be looked up.

        Reads a hundred a call, the calls at once, each consistent. A row that exists but makes no sense
        to this version is None.
        """
        found: dict[DeliveryKey, Delivery | None] = {}
        unknown: set[DeliveryKey] = set()
        reads = at_once(
            {
                tuple(chunk): partial(
                    batches.read,
                    self._dynamodb,
                    {self._table: {"Keys": [rows.key_of(key) for key in chunk], "ConsistentRead": True}},
                )
                for chunk in batches.chunks(list(keys), batches.READ_LIMIT)
            }
        )
        for chunk, read in reads.items():
            try:
                page = read.result()[self._table]
            except Unavailable:
                unknown.update(chunk)
                continue
            for row in page:
                key = rows.read_key(row)
                try:
                    found[key] = rows.from_item(row)
                except Malformed:
                    found[key] = None
        return found, unknown

    def get_every(self, keys: Collection[DeliveryKey]) -> dict[DeliveryKey, Delivery | None]:
        """Return the deliveries that exist, as `get_many`; `Unavailable` when any could not be looked up."""
        found, unknown = self.get_many(keys)
        if unknown:
            raise Unavailable("batch_get_item", "Incomplete")  # a part of the truth would look like all of it
        return found

    def put_all(self, deliveries: Sequence[Delivery], *, now_ms: int) -> None:
        """Write up to 25 settled deliveries in one call, whatever was there before."""
        batches.put(self._dynamodb, self._table, [self._item(delivery, now_ms) for delivery in deliveries])

    def create(self, delivery: Delivery, *, now_ms: int) -> bool:
        """Write a delivery that is new; false when another one was there before.

        A call whose answer was lost is repeated by botocore and then finds its own row: that is no other.
        """
        try:
            call(
                self._dynamodb.put_item,
                TableName=self._table,
                Item=self._item(delivery, now_ms),
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as lost:
            return rows.read_found(lost.found) == delivery
        return True

    def claim(
        self, key: DeliveryKey, *, generation: int, attempt: int, now_ms: int, lease_until: int
    ) -> Delivery:
        """Take the delivery for one attempt, so that a second message for it finds it taken.

        Raises `ConditionFailed` when it is not there to take; its `found` tells why: see `read_found`.
        """
        answer = call(
            self._dynamodb.update_item,
            TableName=self._table,
            Key=rows.key_of(key),
            UpdateExpression="SET lease_until = :lease",
            ConditionExpression=(
                "attempt = :before AND generation = :generation AND #status IN (:queued, :retrying)"
                " AND (attribute_not_exists(lease_until) OR lease_until < :now)"
            ),
            ExpressionAttributeNames=_NAMES,
            ExpressionAttributeValues={
                ":lease": n(lease_until),
                ":before": n(attempt - 1),
                ":generation": n(generation),
                ":queued": s(Status.QUEUED),
                ":retrying": s(Status.RETRYING),
                ":now": n(now_ms),
            },
            ReturnValues="ALL_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        return rows.from_item(answer["Attributes"])

    def advance(self, after: Delivery, *, before: int) -> bool:
        """Move a delivery on from attempt number `before`; false when somebody else has moved it already.

        A call whose answer was lost is repeated by botocore and then finds its own work: that is nobody else's.
        """
        values: Item = {
            ":status": s(after.status),
            ":attempt": n(after.attempt),
            ":before": n(before),
            ":generation": n(after.generation),
            ":made": items.texts(attempts.to_text(attempt) for attempt in after.attempts[-1:]),
            ":none": items.texts(()),
        }
        changes = {"#status": ":status", "attempt": ":attempt"}
        changes["attempts"] = "list_append(if_not_exists(attempts, :none), :made)"
        gone = ["lease_until"]
        # the attributes below are index keys: present exactly while the row belongs into the index
        index = rows.index_attributes(after)
        for name in ("reason", NEXT_ATTEMPT_AT, DUE_SHARD, UNDELIVERED):
            if name in index:
                changes[name] = f":{name}"
                values[f":{name}"] = index[name]
            else:
                gone.append(name)
        if before == after.attempt:  # nothing was sent, only the status changes
            del changes["attempts"], values[":made"], values[":none"]
        sets = ", ".join(f"{name} = {value}" for name, value in changes.items())
        try:
            call(
                self._dynamodb.update_item,
                TableName=self._table,
                Key=rows.key_of(after.key),
                UpdateExpression=f"SET {sets} REMOVE {', '.join(gone)}",
                ConditionExpression="attempt = :before AND generation = :generation",
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as lost:
            found = rows.read_found(lost.found)
            # the last attempt is compared as it is stored, where a success keeps less of its answer
            return found is not None and _same_step(found, after)
        return True

    def restart(self, row: Delivery, *, replay: str, now_ms: int) -> Delivery | None:
        """Begin a new generation of a settled delivery, as its row was read; None when it has moved on since.

        `replay` names what asks for it: asking twice under one name begins one generation.
        """
        fresh = replace(
            row,
            status=Status.QUEUED,
            reason=None,
            attempt=0,
            generation=row.generation + 1,
            next_attempt_at=now_ms,
            attempts=row.attempts[-KEPT_ATTEMPTS:],
            replay=replay,
        )
        try:
            call(
                self._dynamodb.put_item,
                TableName=self._table,
                Item=self._item(fresh, now_ms),
                ConditionExpression="generation = :generation AND #status IN (:delivered, :failed)",
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues={
                    ":generation": n(row.generation),
                    ":delivered": s(Status.DELIVERED),
                    ":failed": s(Status.FAILED),
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as lost:
            found = rows.read_found(lost.found)
            return found if found is not None and found.replay == replay else None
        return fresh

    def _item(self, delivery: Delivery, now_ms: int) -> Item:
        return rows.to_item(delivery) | {TTL: n(expiry(now_ms, self._retention_days))}


def _same_step(found: Delivery, after: Delivery) -> bool:
    ours = [attempts.to_text(attempt) for attempt in after.attempts[-1:]]
    theirs = [attempts.to_text(attempt) for attempt in found.attempts[-1:]]
    return (found.attempt, found.generation, found.status, theirs) == (
        after.attempt,
        after.generation,
        after.status,
        ours,
    )
