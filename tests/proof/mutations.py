"""Deliberate violations of the order of effects. A proof that misses them proves nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from posthorn.aws.queues import Queues
from posthorn.delivery.attempt_recorder import AttemptRecorder
from posthorn.delivery.dispatcher import Dispatcher
from posthorn.delivery.throttling import Throttling
from posthorn.delivery.worker import Deliverer
from posthorn.domain.models import Delivery, Status
from posthorn.stores.overdue_deliveries import OverdueDeliveries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.proof.world import World


@contextmanager
def message_before_row(_: World) -> Iterator[None]:
    """Send the message first and write the row afterwards."""

    def record_and_retry(self: Any, row: Delivery) -> None:
        self._enqueue_next(row)
        self._deliveries.create(row, now_ms=self._clock())

    def finish(self: Any, claim: Any, after: Delivery, *_: Any) -> None:
        if after.status is Status.RETRYING:
            self._enqueue_next(after)
        self._deliveries.advance(after, before=claim.row.attempt)

    with (
        mock.patch.object(Dispatcher, "_record_and_retry", record_and_retry),
        mock.patch.object(Deliverer, "_finish", finish),
    ):
        yield


@contextmanager
def acknowledge_before_message(world: World) -> Iterator[None]:
    """Write the row, let the mapping acknowledge the batch, and send the messages only then."""
    send, later = Queues.enqueue_next, list[tuple[Queues, Delivery, int]]()
    revive = world.revive

    def put_off(self: Queues, row: Delivery, *, now_ms: int) -> None:
        later.append((self, row, now_ms))

    def afterwards() -> None:
        put_off_so_far = later.copy()
        later.clear()
        for queues, row, now_ms in put_off_so_far:
            send(queues, row, now_ms=now_ms)

    def forget() -> None:
        later.clear()
        revive()

    with (
        mock.patch.object(Queues, "enqueue_next", put_off),
        mock.patch.object(world, "after_answer", afterwards),
        mock.patch.object(world, "revive", forget),
    ):
        yield


@contextmanager
def no_look_at_rows(_: World) -> Iterator[None]:
    """Dispatch without checking which deliveries already exist."""
    with mock.patch.object(OverdueDeliveries, "look_up", return_value=({}, set())):
        yield


@contextmanager
def no_hand_over(_: World) -> Iterator[None]:
    """Let a record or message fail if DynamoDB refuses its row, so that it comes again."""
    with mock.patch.object(AttemptRecorder, "_hand_over", lambda _, rows: list(rows)):
        yield


@contextmanager
def no_memory(_: World) -> Iterator[None]:
    """Forget the results that neither DynamoDB nor SQS took."""
    with mock.patch.object(Throttling, "hold"):
        yield


MUTATIONS: Final = {
    mutation.__name__: mutation
    for mutation in (
        message_before_row,
        acknowledge_before_message,
        no_look_at_rows,
        no_hand_over,
        no_memory,
    )
}
