"""Makes queued first attempts and retries for a batch of messages from any of the four queues."""

from __future__ import annotations

from concurrent.futures import Future  # noqa: TC003 - beside its use
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from posthorn import telemetry
from posthorn.aws.batch_response import failed_records, identifier
from posthorn.aws.clients import threads
from posthorn.aws.notice_messages import is_about_notice, read_notice_message
from posthorn.delivery.attempt_recorder import AttemptRecorder
from posthorn.delivery.claims import Claims
from posthorn.delivery.sender import PlannedAttempt
from posthorn.delivery.throttling import Throttling
from posthorn.domain.errors import Malformed, Unavailable
from posthorn.domain.expunged_event import ExpungedEvent
from posthorn.domain.models import Delivery, Reason, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from posthorn.delivery.claims import Claimed
    from posthorn.delivery.notices import Notices
    from posthorn.delivery.pipeline import Pipeline
    from posthorn.domain.models import Endpoint, Event
    from posthorn.stores.events import Events


class Deliverer:
    """Makes the attempts that messages ask for."""

    def __init__(
        self, pipeline: Pipeline, events: Events, open_notices: Callable[[], Notices | None]
    ) -> None:
        self._open_notices = open_notices  # None: they have no target any more
        self._endpoints = pipeline.endpoints
        self._events = events
        self._deliveries = pipeline.deliveries
        self._recorder = AttemptRecorder(
            pipeline.deliveries, pipeline.queues, Throttling(clock=pipeline.clock), clock=pipeline.clock
        )
        self._dead_letters = pipeline.dead_letters
        self._sender = pipeline.sender
        self._health_monitor = pipeline.health_monitor
        self._claims = Claims(pipeline, self._recorder, self._dead_letter)

    def deliver(self, records: Sequence[Mapping[str, Any]]) -> set[str]:
        """Make the attempt of every message; returns the ids of the messages to retry."""
        failed: set[str] = set()
        effects: list[tuple[tuple[str], Future[None]]] = []
        claimed = self._claims.claim(self._start_notices(records, effects), failed)
        ready = self._load(claimed, failed, effects)
        secrets = self._sender.unseal(planned.endpoint for planned, _ in ready)
        message_of: dict[PlannedAttempt, Claimed] = {}
        for planned, claim in ready:
            if planned.endpoint.id in secrets:
                message_of[planned] = claim
            else:
                failed.add(claim.message_id)  # KMS is down: that is not the receiver's failure
        counts = telemetry.AttemptCounts()
        for result in self._sender.send(list(message_of), secrets):
            claim = message_of[result.planned]
            after = result.delivery(claim.row)
            counts.add(after, result.attempt, result.host)
            follow_up = self._health_monitor.observe(result)
            effects.append(((claim.message_id,), threads().submit(self._finish, claim, after, follow_up)))
        failed |= failed_records(effects, telemetry.call_failed)
        counts.write()
        return failed

    def _start_notices(
        self, records: Sequence[Mapping[str, Any]], effects: list[tuple[tuple[str], Future[None]]]
    ) -> list[Mapping[str, Any]]:
        """Start to send the notices; returns the records that are about attempts, which wait for no notice."""
        others: list[Mapping[str, Any]] = []
        for record in records:
            if is_about_notice(str(record.get("body", ""))):
                message_id = identifier(record, "messageId")
                effects.append(((message_id,), threads().submit(self._send_notice, record)))
            else:
                others.append(record)
        return others

    def _send_notice(self, record: Mapping[str, Any]) -> None:
        body = str(record["body"])
        try:
            message = read_notice_message(body)
            if (notices := self._open_notices()) is not None:
                notices.send(message)
        except Malformed as error:
            self._dead_letter(identifier(record, "messageId"), body, str(error))

    def _load(
        self, claimed: Sequence[Claimed], failed: set[str], effects: list[tuple[tuple[str], Future[None]]]
    ) -> list[tuple[PlannedAttempt, Claimed]]:
        """Read the event and endpoint of each delivery; settle deliveries that lack one."""
        try:
            events, endpoints = self._read(claimed)
        except Unavailable as error:
            telemetry.call_failed(error)
            failed.update(claim.message_id for claim in claimed)
            return []
        except Malformed as error:
            if len(claimed) > 1:  # find the unreadable row, so that the others go on
                return [pair for claim in claimed for pair in self._load([claim], failed, effects)]
            claim = claimed[0]
            key = claim.row.key
            telemetry.row_unreadable(f"{key.endpoint_id} {key.event_id}", str(error))
            failed.add(claim.message_id)
            return []
        ready: list[tuple[PlannedAttempt, Claimed]] = []
        for claim in claimed:
            event = events.get(claim.row.key.event_id)
            endpoint = endpoints.get(claim.row.key.endpoint_id)
            if endpoint is None:
                reason = Reason.ENDPOINT_DELETED
            elif not endpoint.enabled:
                reason = Reason.ENDPOINT_DISABLED
            elif event is None:
                reason = Reason.EVENT_EXPIRED
            elif isinstance(event, ExpungedEvent):
                reason = Reason.PAYLOAD_EXPUNGED
            else:
                ready.append(
                    (
                        PlannedAttempt(
                            event, endpoint, attempt=claim.message.attempt, generation=claim.row.generation
                        ),
                        claim,
                    )
                )
                continue
            settled = replace(claim.row, status=Status.FAILED, reason=reason, next_attempt_at=None)
            effects.append(((claim.message_id,), threads().submit(self._settle, settled)))
        return ready

    def _read(
        self, claimed: Sequence[Claimed]
    ) -> tuple[dict[str, Event | ExpungedEvent], dict[str, Endpoint]]:
        reading_events = threads().submit(
            self._events.get_many, [(claim.row.channel, claim.row.key.event_id) for claim in claimed]
        )
        endpoints = self._endpoints.get_many(
            [(claim.row.channel, claim.row.key.endpoint_id) for claim in claimed]
        )
        return reading_events.result(), endpoints

    def _settle(self, settled: Delivery) -> None:
        self._deliveries.advance(settled, before=settled.attempt)

    def _finish(self, claim: Claimed, after: Delivery, follow_up: Callable[[], None] | None) -> None:
        """Record the attempt, then send the next message; acknowledging comes after both."""
        if not self._recorder.advance(after, before=claim.row.attempt):
            return  # the lease ran out and another worker advanced it
        if follow_up is not None:
            follow_up()

    def _dead_letter(self, message_id: str, body: str, reason: str) -> None:
        kind = "message"
        telemetry.dead_lettered(kind, message_id, reason)
        self._dead_letters.put({"kind": kind, "message_id": message_id, "body": body}, reason=reason)
