"""Bulk replays in the ConfigTable: `pk` is the endpoint id, `sk` is `replay#<id>`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.clients import call
from posthorn.domain.compare_and_set import compare_and_set
from posthorn.domain.errors import LimitReached, Malformed, Unavailable
from posthorn.domain.models import Reason
from posthorn.domain.replay_job import JobState, ReplayCounts, ReplayJob, ReplaySelection
from posthorn.domain.workspace_limits import NONE
from posthorn.stores import batches, items, live_replays
from posthorn.stores.items import n, s
from posthorn.stores.table import NEW, Table
from posthorn.stores.tables import PK, ROW_VERSION, SK, TTL, expiry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.domain.workspace_limits import WorkspaceLimits
    from posthorn.stores.items import Item
    from posthorn.stores.live_replays import JobKey

PREFIX: Final = "replay#"

_TRIES: Final = 20  # of requests at the same moment, each try creates one job


class Replays:
    """The bulk replays of every endpoint; they expire like deliveries."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, *, retention_days: int) -> None:
        self._table = Table(dynamodb, table)
        self._retention_days = retention_days

    def create(self, job: ReplayJob, workspace: str, limits: WorkspaceLimits) -> bool:
        """Write a new job; false if there is one with this id already.

        `LimitReached` if as many jobs are live as the limits allow.
        """
        return compare_and_set(
            lambda: self._create_once(job, workspace, limits),
            contended=Unavailable("create replay", "Contended"),
            tries=_TRIES,
        )

    def _create_once(self, job: ReplayJob, workspace: str, limits: WorkspaceLimits) -> bool | None:
        """Write a new job and add it to the live ones; None if others were added meanwhile."""
        old = live_replays.read(self._table, workspace)
        live = self._still_live(old.jobs)
        if (job.endpoint_id, job.id) in {(one.endpoint_id, one.id) for one in live}:
            return False
        if NONE != limits.replays <= len(live):
            raise LimitReached("replays", limits.replays)
        sending = [one for one in live if one.endpoint_id == job.endpoint_id and not one.dry_run]
        if NONE != limits.replays_per_endpoint <= len(sending) and not job.dry_run:
            raise LimitReached("replaysPerEndpoint", limits.replays_per_endpoint)
        put = {"TableName": self._table.name, "Item": self._item(job), "ConditionExpression": NEW}
        keys = [(one.endpoint_id, one.id) for one in (*live, job)]
        added = live_replays.write(self._table, workspace, keys, old=old)
        if self._table.transact({"Put": put}, added):
            return True
        return None if self.get(job.endpoint_id, job.id) is None else False

    def _still_live(self, jobs: Sequence[JobKey]) -> list[ReplayJob]:
        live: list[ReplayJob] = []
        for chunk in batches.chunks(jobs, batches.READ_LIMIT):
            wanted = {self._table.name: {"Keys": [_key(*one) for one in chunk], "ConsistentRead": True}}
            found = map(from_item, batches.read(self._table.client, wanted)[self._table.name])
            live += [job for job in found if job.state.is_live]
        return live

    def get(self, endpoint_id: str, replay_id: str) -> ReplayJob | None:
        row = self._table.get(_key(endpoint_id, replay_id))
        return None if row is None else from_item(row)

    def page(self, endpoint_id: str, *, after: str | None, limit: int) -> tuple[list[ReplayJob], str | None]:
        """Return jobs, the newest first, and the id after which the next page starts, if any."""
        page = self._table.query_prefix(
            endpoint_id, PREFIX, after=after, limit=limit, ConsistentRead=True, ScanIndexForward=False
        )
        return [from_item(row) for row in page.rows], page.position(prefix=PREFIX)

    def replace(self, old: ReplayJob, new: ReplayJob) -> bool:
        """Replace a job; false if it was changed or removed since `old` was read."""
        return self._put(new, "revision = :old", ExpressionAttributeValues={":old": n(old.revision)})

    def remove(self, job: ReplayJob) -> None:
        """Remove a job that no caller knows of yet."""
        call(
            self._table.client.delete_item,
            TableName=self._table.name,
            Key=_key(job.endpoint_id, job.id),
        )

    def _put(self, job: ReplayJob, condition: str, **options: Any) -> bool:
        return self._table.put(
            self._item(job),
            condition=condition,
            is_ours=lambda found: from_item(found) == job,
            **options,
        )

    def _item(self, job: ReplayJob) -> Item:
        return _to_item(job) | {TTL: n(expiry(job.created_at, self._retention_days))}


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
        raise Malformed(f"the row of a replay has the unknown version {version}")
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
        raise Malformed("the row of a replay holds an unknown value") from error
