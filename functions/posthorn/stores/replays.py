"""Bulk replays in the ConfigTable: `pk` is the endpoint id, `sk` is `replay#<id>`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.clients import call
from posthorn.domain.errors import ConditionFailed, Malformed
from posthorn.domain.models import Reason
from posthorn.domain.replay_job import JobState, ReplayCounts, ReplayJob, ReplaySelection
from posthorn.stores import items
from posthorn.stores.items import n, s
from posthorn.stores.tables import PK, ROW_VERSION, SK, TTL, expiry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

PREFIX: Final = "replay#"


class Replays:
    """The bulk replays of every endpoint; they expire as the deliveries do that they were for."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, *, retention_days: int) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._retention_days = retention_days

    def create(self, job: ReplayJob) -> bool:
        """Write a new job; false when there is one with this id already."""
        return self._put(job, "attribute_not_exists(pk)", {})

    def get(self, endpoint_id: str, replay_id: str) -> ReplayJob | None:
        answer = call(
            self._dynamodb.get_item,
            TableName=self._table,
            Key=_key(endpoint_id, replay_id),
            ConsistentRead=True,
        )
        return from_item(answer["Item"]) if "Item" in answer else None

    def page(self, endpoint_id: str, *, after: str | None, limit: int) -> tuple[list[ReplayJob], str | None]:
        """Return jobs, the newest first, and the id to go on after, if there are more."""
        options: dict[str, Any] = {}
        if after is not None:
            options["ExclusiveStartKey"] = _key(endpoint_id, after)
        answer = call(
            self._dynamodb.query,
            TableName=self._table,
            KeyConditionExpression="pk = :endpoint AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":endpoint": s(endpoint_id), ":prefix": s(PREFIX)},
            ConsistentRead=True,
            ScanIndexForward=False,
            Limit=limit,
            **options,
        )
        last = answer.get("LastEvaluatedKey")
        after = items.text(last, SK).removeprefix(PREFIX) if last else None
        return [from_item(item) for item in answer["Items"]], after

    def replace(self, old: ReplayJob, new: ReplayJob) -> bool:
        """Write a job anew; false when it has changed or gone since `old` was read."""
        return self._put(new, "revision = :old", {":old": n(old.revision)})

    def remove(self, job: ReplayJob) -> None:
        """Forget a job of which nobody was told."""
        call(self._dynamodb.delete_item, TableName=self._table, Key=_key(job.endpoint_id, job.id))

    def _put(self, job: ReplayJob, condition: str, values: Item) -> bool:
        options: dict[str, Any] = {"ExpressionAttributeValues": values} if values else {}
        item = _to_item(job) | {TTL: n(expiry(job.created_at, self._retention_days))}
        try:
            call(
                self._dynamodb.put_item,
                TableName=self._table,
                Item=item,
                ConditionExpression=condition,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **options,
            )
        except ConditionFailed as lost:
            # a call whose answer was lost is repeated by botocore and then finds its own row
            return lost.found is not None and from_item(lost.found) == job
        return True


def _key(endpoint_id: str, replay_id: str) -> Item:
    return {PK: s(endpoint_id), SK: s(PREFIX + replay_id)}


def _to_item(job: ReplayJob) -> Item:
    item: Item = {
        **_key(job.endpoint_id, job.id),
        "v": n(ROW_VERSION),
        "channel": s(job.channel),
        "since": n(job.since),
        "until": n(job.until),
        "wanted": s(job.wanted),
        "dry_run": {"BOOL": job.dry_run},
        "created_at": n(job.created_at),
        "updated_at": n(job.updated_at),
        "sent_at": n(job.sent_at),
        "position": s(job.position),
        "end": s(job.end),
        "state": s(job.state),
        "step": n(job.step),
        "page": {"M": {event_id: n(generation) for event_id, generation in job.page.items()}},
        "matched": n(job.counts.matched),
        "replayed": n(job.counts.replayed),
        "skipped": n(job.counts.skipped),
        "revision": n(job.revision),
    }
    if job.reason is not None:
        item["reason"] = s(job.reason)
    if job.finished_at is not None:
        item["finished_at"] = n(job.finished_at)
    return item


def from_item(item: Mapping[str, Any]) -> ReplayJob:
    if (version := items.number(item, "v")) > ROW_VERSION:
        raise Malformed(f"version {version} of a replay's row is not known")
    reason = items.optional_text(item, "reason")
    try:
        return ReplayJob(
            id=items.text(item, SK).removeprefix(PREFIX),
            endpoint_id=items.text(item, PK),
            channel=items.text(item, "channel"),
            since=items.number(item, "since"),
            until=items.number(item, "until"),
            wanted=ReplaySelection(items.text(item, "wanted")),
            dry_run=items.flag(item, "dry_run", default=False),
            created_at=items.number(item, "created_at"),
            updated_at=items.number(item, "updated_at"),
            sent_at=items.number(item, "sent_at"),
            position=items.text(item, "position"),
            end=items.text(item, "end"),
            state=JobState(items.text(item, "state")),
            reason=Reason(reason) if reason else None,
            step=items.number(item, "step"),
            page=items.numbers(item, "page"),
            counts=ReplayCounts(
                matched=items.number(item, "matched"),
                replayed=items.number(item, "replayed"),
                skipped=items.number(item, "skipped"),
            ),
            finished_at=items.optional_number(item, "finished_at"),
            revision=items.number(item, "revision"),
        )
    except ValueError as error:
        raise Malformed("a replay's row holds a word that is not known") from error
