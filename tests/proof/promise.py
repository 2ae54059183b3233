"""The promise, as a check of a world's final state.

Every accepted event and every endpoint that it is for has exactly one delivery row: delivered, failed with a
reason, or still open with a due time. Since endpoints change, "for" means:

- A row must exist if the endpoint existed before the event was accepted, matched its type, and still exists.
  Whether it was disabled meanwhile decides the reason, not whether there is a row.
- A row may exist if the endpoint existed at any time after the event was accepted: it was created or deleted
  while the event was in progress.
- No other row may exist, above all none of another channel's endpoint.

An attempt is made again only if its result was lost: by the death of a process between the POST and its row.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from posthorn.aws.messages import RecordedAttempt
from posthorn.domain.matching import Subscribers
from posthorn.domain.models import DeliveryKey, Failure, Reason, Status
from posthorn.domain.replay_job import JobState
from posthorn.wire.formats import body_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from posthorn.domain.models import Delivery
    from tests.proof.world import Life, World

ATTEMPTS = 4  # the first, and three retries


def broken(world: World, *, settled: bool = True) -> list[str]:
    """Return every violation of the promise; with `settled`, nothing may be open any more."""
    rows = {row.key: row for row in world.tables.rows()}
    return [
        *world.violations,
        *_lost(world, rows),
        *_unfounded(world, rows),
        *_misrecorded(world, rows),
        *_sendings(world, rows),
        *_repeated(world),
        *_dead_lettered(world),
        *_miscounted(world, rows),
        *_unfounded_notices(world),
        *((*_open(rows), *_standing(world), *_unsent_notices(world)) if settled else ()),
    ]


def out_of_order(world: World) -> list[str]:
    """Return messages that exist before the row they need: the order of effects, seen from outside."""
    found: list[str] = []
    for task in world.tasks():
        if isinstance(task, RecordedAttempt):
            continue  # it brings its row
        if task.new_row is not None and world.was_refused:
            continue  # its row was refused, so its claim writes it
        row = world.tables.row(task.key)
        if row is None or (row.generation, row.attempt) < (task.generation, task.attempt - 1):
            found.append(f"a message precedes its row: attempt {task.attempt} of {task.key}")
    return found


def without_message(world: World) -> frozenset[DeliveryKey]:
    """Return the keys of open rows that no message will reach."""
    coming = {(task.key, task.generation) for task in world.tasks()}
    return frozenset(
        row.key
        for row in world.tables.rows()
        if row.status.is_open and (row.key, row.generation) not in coming
    )


def forsaken(world: World, excused: Collection[DeliveryKey] = ()) -> list[str]:
    """Return open rows that no message or stream record will reach: only the sweeper can save them."""
    coming_notices = world.notices | {*world.notice_messages()}
    records = {record.content["dynamodb"]["Keys"]["sk"]["S"] for record in world.stream.pending()}
    return [
        f"open without a message or stream record: {key}"
        for key in sorted(without_message(world) - set(excused), key=str)
        if key.event_id not in records
    ] + [
        f"a notice without a message or stream record: {event.id}"
        for event in world.accepted.values()
        if event.notice is not None and event.id not in coming_notices | records
    ]


def _lost(world: World, rows: dict[DeliveryKey, Delivery]) -> Iterator[str]:
    for event_id in world.answered - set(world.accepted):
        yield f"answered 202 and never written: {event_id}"
    for event_id in world.told - set(world.accepted):
        yield f"a notification that never became an event: {event_id}"
    for event in world.accepted.values():
        for life in world.lives.values():
            endpoint = life.endpoint
            if endpoint.channel != event.channel or not Subscribers([endpoint]).of(event):
                continue
            there_before = life.since < world.accepted_at[event.id]
            if there_before and life.until is None and DeliveryKey(endpoint.id, event.id) not in rows:
                yield f"lost: {event.id} for {endpoint.id}"


def _unfounded(world: World, rows: dict[DeliveryKey, Delivery]) -> Iterator[str]:
    for key, row in rows.items():
        event, life = world.accepted.get(key.event_id), world.lives.get(key.endpoint_id)
        if event is None or life is None:
            yield f"a row whose event or endpoint never existed: {key}"
        elif row.channel != event.channel or life.endpoint.channel != event.channel:
            yield f"a row across channels: {key}"
        elif not Subscribers([life.endpoint]).of(event):
            yield f"a row for an endpoint that does not match the event: {key}"
        elif life.until is not None and life.until < world.accepted_at[event.id]:
            yield f"a row for an endpoint that was deleted before: {key}"


def _misrecorded(world: World, rows: dict[DeliveryKey, Delivery]) -> Iterator[str]:
    for key, row in rows.items():
        if row.status.is_open and row.next_attempt_at is None:
            yield f"open without a due time: {key}"
        if row.attempt > ATTEMPTS:
            yield f"more attempts than the schedule allows: {key}"
        numbers = [one.number for one in row.attempts if one.generation == row.generation]
        if numbers != list(range(1, row.attempt + 1)):
            yield f"attempts {numbers} are recorded, but {row.attempt} were made: {key}"
        if row.status is Status.FAILED and not _is_reason(world, row, world.lives.get(key.endpoint_id)):
            yield f"failed as {row.reason} without that cause: {key}"


def _is_reason(world: World, row: Delivery, life: Life | None) -> bool:
    last = row.attempts[-1].outcome if row.attempts else None
    status = 0 if last is None or last.status is None else last.status
    since = world.accepted_at.get(row.key.event_id, 0)
    match row.reason:
        case Reason.ENDPOINT_DISABLED:
            return life is not None and any(step >= since - 1 for step in life.off)
        case Reason.ENDPOINT_DELETED:
            return life is not None and life.until is not None
        case Reason.EXHAUSTED:
            return row.attempt == ATTEMPTS
        case Reason.REJECTED:
            return 400 <= status < 500
        case Reason.REDIRECTED:
            return 300 <= status < 400
        case Reason.BLOCKED_ADDRESS:
            return last is not None and last.failure is Failure.BLOCKED_ADDRESS
        case _:
            return False


def _sendings(world: World, rows: dict[DeliveryKey, Delivery]) -> Iterator[str]:
    """Compare what receivers saw with what was accepted and recorded."""
    bodies: dict[tuple[str, str], bytes] = {}
    for sent in world.receivers.sent:
        event, endpoint = world.accepted.get(sent.received.id), sent.endpoint
        if event is None or event.id != sent.key.event_id:
            yield f"sent and never accepted: {sent.received.id}"
            continue
        workspaces = {event.workspace, endpoint.workspace, world.workspace_of(sent.received.host)}
        if len(workspaces) != 1:
            yield f"sent across workspaces: {sent.key}"
        which = (event.id, endpoint.format)
        if bodies.setdefault(which, body_of(endpoint.format, event)) != sent.received.body:
            yield f"another body than was accepted: {sent.key}"
        if not 1 <= sent.attempt <= ATTEMPTS:
            yield f"attempt {sent.attempt} was sent: {sent.key}"
    succeeded = {(sent.key, sent.generation) for sent in world.receivers.sent if sent.succeeded}
    for key, row in rows.items():
        if row.status is Status.DELIVERED and (key, row.generation) not in succeeded:
            yield f"delivered without a success at its receiver: {key}"


def _repeated(world: World) -> Iterator[str]:
    """Compare how often an attempt was made with what excuses it; a row that DynamoDB refused does not."""
    counted = Counter(sent.what for sent in world.receivers.sent)
    for what, times in counted.items():
        if times > 1 + world.unrecorded.get(what, 0):
            yield f"sent {times} times without a fault to excuse it: {what}"
        since = world.accepted_at.get(what[0].event_id, 0)
        if times > 1 + sum(death >= since for death in world.deaths):
            yield f"sent {times} times without as many deaths: {what}"
    for (what, process), times in Counter((sent.what, sent.process) for sent in world.receivers.sent).items():
        if times > 1:
            yield f"sent {times} times by one process ({process}), which knew of it: {what}"


def _miscounted(world: World, rows: dict[DeliveryKey, Delivery]) -> Iterator[str]:
    """Compare the counts of bulk replays with what they replayed."""
    jobs = {job.id: job for job in world.tables.replays()}
    begun = Counter(row.replay for row in rows.values() if row.replay in jobs)
    for job in jobs.values():
        counts = job.counts
        if job.state is JobState.DONE and counts.matched != counts.replayed + counts.skipped:
            yield f"{counts.matched} matched, but {counts.replayed} replayed and {counts.skipped} skipped: {job.id}"
        if not job.is_unfinished and begun[job.id] > counts.replayed:  # a later replay hides an earlier one
            yield f"{begun[job.id]} replayed, but {counts.replayed} counted: {job.id}"


def _dead_lettered(world: World) -> Iterator[str]:
    """Posthorn can read everything that it writes itself."""
    for what in world.dead_letters:
        yield f"dead letter: {what.get('reason')}"


def _open(rows: dict[DeliveryKey, Delivery]) -> Iterator[str]:
    for key, row in rows.items():
        if row.status.is_open:
            yield f"still open after everything has settled: {row.status} {key}"


def _unfounded_notices(world: World) -> Iterator[str]:
    for event_id in world.notices:
        event = world.accepted.get(event_id)
        if event is None or event.notice is None:
            yield f"a notice of a change that never happened: {event_id}"


def _unsent_notices(world: World) -> Iterator[str]:
    for event in world.accepted.values():
        if event.notice is None or event.id in world.notices:
            continue
        if world.lives[json.loads(event.notice)["endpoint"]["id"]].until is None:
            yield f"a notice that was never sent: {event.id}"


def _standing(world: World) -> Iterator[str]:
    for job in world.standing_replays():
        yield f"still {job.state} after everything has settled: {job.id}"
