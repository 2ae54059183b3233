"""Deliveries in the DeliveriesTable.

The first attempt writes the row. Each later attempt updates it, on the condition that the row still has the attempt
number it expects.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from posthorn import telemetry
from posthorn.aws.clients import at_once, call
from posthorn.domain.errors import ConditionFailed, Malformed, Unavailable
from posthorn.domain.models import FIRST_GENERATION, Delivery, DeliveryKey, Status
from posthorn.stores import attempts, batches, items
from posthorn.stores import delivery_rows as rows
from posthorn.stores.delivery_rows import LEASE_BY, LEASE_UNTIL
from posthorn.stores.items import n, s
from posthorn.stores.table import NEW, Table
from posthorn.stores.tables import DUE_SHARD, NEXT_ATTEMPT_AT, TTL, UNDELIVERED, expiry

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.delivery_rows import Lease
    from posthorn.stores.items import Item

KEPT_ATTEMPTS: Final = 16
"""Attempts that a row keeps when it is replayed: the last four generations, far below the 400 KB limit of a row."""

_NAMES: Final = {"#status": "status"}


class Deliveries:
    """The deliveries of every endpoint."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, *, retention_days: int) -> None:
        self._table = Table(dynamodb, table)
        self._retention_days = retention_days

    def get_many(
        self, keys: Collection[DeliveryKey]
    ) -> tuple[dict[DeliveryKey, Delivery | None], set[DeliveryKey]]:
        """Return the deliveries that exist, and the keys that could not be looked up.

        Reads up to 100 rows a call, consistently, with the calls in parallel. A row that exists but cannot be read by
        this version is None.
        """
        found, failures = self._look_up(keys)
        for _, error in failures:
            telemetry.call_failed(error)
        return found, {key for chunk, _ in failures for key in chunk}

    def get_every(self, keys: Collection[DeliveryKey]) -> dict[DeliveryKey, Delivery | None]:
        """Return the deliveries that exist, like `get_many`; `Unavailable` if any could not be looked up."""
        found, failures = self._look_up(keys)
        for _, error in failures:
            raise error  # a partial result would look complete
        return found

    def _look_up(
        self, keys: Collection[DeliveryKey]
    ) -> tuple[dict[DeliveryKey, Delivery | None], list[tuple[Sequence[DeliveryKey], Unavailable]]]:
        """Return the deliveries that exist, and each chunk of keys whose call failed, with its error."""
        found: dict[DeliveryKey, Delivery | None] = {}
        failures: list[tuple[Sequence[DeliveryKey], Unavailable]] = []
        reads = at_once(
            {
                tuple(chunk): partial(
                    batches.read,
                    self._table.client,
                    {self._table.name: {"Keys": [rows.key_of(key) for key in chunk], "ConsistentRead": True}},
                )
                for chunk in batches.chunks(list(keys), batches.READ_LIMIT)
            }
        )
        for chunk, read in reads.items():
            try:
                page = read.result()[self._table.name]
            except Unavailable as error:
                failures.append((chunk, error))
                continue
            for row in page:
                key = rows.read_key(row)
                try:
                    found[key] = rows.from_item(row)
                except Malformed:
                    found[key] = None
        return found, failures

    def put_all(self, deliveries: Sequence[Delivery], *, now_ms: int) -> list[Delivery]:
        """Write up to 25 settled deliveries in one call, unconditionally; returns those that were not written.

        `Unavailable` when the call fails: some may have been written.
        """
        rows_to_put = [self._item(delivery, now_ms) for delivery in deliveries]
        unwritten = batches.put(self._table.client, self._table.name, rows_to_put)
        keys = {rows.read_key(item) for item in unwritten}
        return [delivery for delivery in deliveries if delivery.key in keys]

    def create(self, delivery: Delivery, *, now_ms: int) -> bool:
        """Write a new delivery; false if there was another one before."""
        return self._table.put(
            self._item(delivery, now_ms),
            condition=NEW,
            is_ours=lambda found: rows.from_item(found) == delivery,
        )

    def create_claimed(self, delivery: Delivery, lease: Lease, *, now_ms: int) -> bool:
        """Write a new delivery that is leased for its first attempt; false if there was another one before."""
        return self._table.put(self._item(delivery, now_ms) | lease.attributes(), condition=NEW)

    def claim(
        self, key: DeliveryKey, *, generation: int, attempt: int, now_ms: int, lease: Lease
    ) -> Delivery:
        """Lease a delivery for one attempt, so that a duplicate message cannot start the same attempt.

        Raises `ConditionFailed` if the lease is not available; `read_found` reads from it which row was there.
        """
        answer = call(
            self._table.client.update_item,
            TableName=self._table.name,
            Key=rows.key_of(key),
            UpdateExpression=f"SET {LEASE_UNTIL} = :lease, {LEASE_BY} = :holder",
            ConditionExpression=(
                "attempt = :before AND generation = :generation AND #status IN (:queued, :retrying)"
                f" AND (attribute_not_exists({LEASE_UNTIL}) OR ({LEASE_UNTIL} < :now AND "
                f"(attribute_not_exists({LEASE_BY}) OR {LEASE_BY} = :holder OR {LEASE_UNTIL} < :abandoned)))"
            ),
            ExpressionAttributeNames=_NAMES,
            ExpressionAttributeValues={
                ":lease": n(lease.until),
                ":holder": s(lease.holder),
                ":abandoned": n(lease.abandoned_before),
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
        """Advance a delivery from attempt number `before`; false if another invocation has advanced it already."""
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
        gone = [LEASE_UNTIL, LEASE_BY]
        # the attributes below are index keys: present exactly while the row belongs in the index
        index = rows.index_attributes(after)
        for name in ("reason", NEXT_ATTEMPT_AT, DUE_SHARD, UNDELIVERED):
            if name in index:
                changes[name] = f":{name}"
                values[f":{name}"] = index[name]
            else:
                gone.append(name)
        if before == after.attempt:  # nothing was sent; only the status changes
            del changes["attempts"], values[":made"], values[":none"]
        sets = ", ".join(f"{name} = {value}" for name, value in changes.items())
        return self._table.update(
            rows.key_of(after.key),
            f"SET {sets} REMOVE {', '.join(gone)}",
            condition="attempt = :before AND generation = :generation",
            is_ours=lambda found: _same_step(rows.from_item(found), after),
            ExpressionAttributeNames=_NAMES,
            ExpressionAttributeValues=values,
        )

    def record(self, after: Delivery, *, now_ms: int) -> bool:
        """Write the result of an attempt late; false if the row is beyond it, or gone.

        The row is as it was before the attempt, or there is none before the first one. Doing it twice changes
        nothing and returns true both times. Of all attempts, `after` holds the last one.
        """
        if after.generation == FIRST_GENERATION and after.attempt <= 1:
            found = rows.from_item(self._table.put_or_find(self._item(after, now_ms), condition=NEW))
            if _same_step(found, after):
                return True
        return after.attempt > 0 and self.advance(after, before=after.attempt - 1)

    def restart(self, row: Delivery, *, replay: str, now_ms: int) -> Delivery | None:
        """Start a new generation of a settled delivery; None if its row has changed since it was read.

        `replay` is the id of the replay. Restarting twice for one replay starts one generation, and returns its row
        as it is by then.
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
                self._table.client.put_item,
                TableName=self._table.name,
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
    # compared as stored, since the row of a success keeps less of the response
    ours = [attempts.to_text(attempt) for attempt in after.attempts[-1:]]
    theirs = [attempts.to_text(attempt) for attempt in found.attempts[-1:]]
    return (found.attempt, found.generation, found.status, theirs) == (
        after.attempt,
        after.generation,
        after.status,
        ours,
    )
