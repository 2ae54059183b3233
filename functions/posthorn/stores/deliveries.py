"""Deliveries in the DeliveriesTable: `pk` is the endpoint id, `sk` the event id.

A first attempt writes the row, every later one moves it on, and only from the attempt number that it expects.
"""

from __future__ import annotations

from concurrent.futures import Future  # noqa: TC003 - mypy and readers want it beside its use
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws import call, threads
from posthorn.errors import ConditionFailed, Malformed, Unavailable
from posthorn.ids import shard_of
from posthorn.models import Attempt, Delivery, DeliveryKey, Reason, Status
from posthorn.stores import attempts, batches, items
from posthorn.stores.items import n, s
from posthorn.stores.tables import (
    DUE_SHARD,
    NEXT_ATTEMPT_AT,
    PK,
    ROW_VERSION,
    SK,
    TTL,
    UNDELIVERED,
    expiry,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

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
        reads: list[tuple[Sequence[DeliveryKey], Future[dict[str, list[Item]]]]] = [
            (
                chunk,
                threads().submit(
                    batches.read,
                    self._dynamodb,
                    {self._table: {"Keys": [_key(key) for key in chunk], "ConsistentRead": True}},
                ),
            )
            for chunk in batches.chunks(list(keys), batches.READ_LIMIT)
        ]
        for chunk, read in reads:
            try:
                rows = read.result()[self._table]
            except Unavailable:
                unknown.update(chunk)
                continue
            for row in rows:
                key = DeliveryKey(endpoint_id=items.text(row, PK), event_id=items.text(row, SK))
                try:
                    found[key] = _from_item(row)
                except Malformed:
                    found[key] = None
        return found, unknown

    def put_all(self, deliveries: Sequence[Delivery], *, now_ms: int) -> None:
        """Write up to 25 settled deliveries in one call, whatever was there before."""
        batches.put(self._dynamodb, self._table, [self._to_item(delivery, now_ms) for delivery in deliveries])

    def create(self, delivery: Delivery, *, now_ms: int) -> bool:
        """Write a delivery that is new; false when another one was there before.

        A call whose answer was lost is repeated by botocore and then finds its own row: that is no other.
        """
        try:
            call(
                self._dynamodb.put_item,
                TableName=self._table,
                Item=self._to_item(delivery, now_ms),
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as lost:
            return read_found(lost.found) == delivery
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
            Key=_key(key),
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
        return _from_item(answer["Attributes"])

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
        index = _index_attributes(after)
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
                Key=_key(after.key),
                UpdateExpression=f"SET {sets} REMOVE {', '.join(gone)}",
                ConditionExpression="attempt = :before AND generation = :generation",
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as lost:
            found = read_found(lost.found)
            # the last attempt is compared as it is stored, where a success keeps less of its answer
            return found is not None and _same_step(found, after)
        return True

    def _to_item(self, delivery: Delivery, now_ms: int) -> Item:
        return {
            **_key(delivery.key),
            "v": n(ROW_VERSION),
            "channel": s(delivery.channel),
            "event_type": s(delivery.event_type),
            "status": s(delivery.status),
            "attempt": n(delivery.attempt),
            "generation": n(delivery.generation),
            "attempts": items.texts(attempts.to_text(attempt) for attempt in delivery.attempts),
            **_index_attributes(delivery),
            TTL: n(expiry(now_ms, self._retention_days)),
        }


def read_found(found: Mapping[str, Any] | None) -> Delivery | None:
    """Read the row that a lost claim found, None when there is none."""
    return _from_item(found) if found else None


def _same_step(found: Delivery, after: Delivery) -> bool:
    ours = [attempts.to_text(attempt) for attempt in after.attempts[-1:]]
    theirs = [attempts.to_text(attempt) for attempt in found.attempts[-1:]]
    return (found.attempt, found.generation, found.status, theirs) == (
        after.attempt,
        after.generation,
        after.status,
        ours,
    )


def _index_attributes(delivery: Delivery) -> Item:
    attributes: Item = {}
    if delivery.reason is not None:
        attributes["reason"] = s(delivery.reason)
    if delivery.status.is_open and delivery.next_attempt_at is not None:
        attributes[NEXT_ATTEMPT_AT] = n(delivery.next_attempt_at)
        attributes[DUE_SHARD] = s(str(shard_of(delivery.key.event_id)))
    if delivery.status is not Status.DELIVERED:
        attributes[UNDELIVERED] = s(delivery.key.endpoint_id)
    return attributes


def _key(key: DeliveryKey) -> Item:
    return {PK: s(key.endpoint_id), SK: s(key.event_id)}


def _from_item(item: Mapping[str, Any]) -> Delivery:
    if (version := items.number(item, "v")) > ROW_VERSION:
        raise Malformed(f"version {version} of a delivery's row is not known")
    made: tuple[Attempt, ...] = tuple(map(attempts.from_text, items.text_list(item, "attempts")))
    reason = items.optional_text(item, "reason")
    try:
        return Delivery(
            key=DeliveryKey(endpoint_id=items.text(item, PK), event_id=items.text(item, SK)),
            channel=items.text(item, "channel"),
            event_type=items.text(item, "event_type"),
            status=Status(items.text(item, "status")),
            attempt=items.number(item, "attempt"),
            generation=items.number(item, "generation"),
            reason=Reason(reason) if reason else None,
            next_attempt_at=items.optional_number(item, NEXT_ATTEMPT_AT),
            attempts=made,
        )
    except ValueError as error:
        raise Malformed("a delivery's row holds a word that is not known") from error
