"""The parts that first attempts and retries have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthorn.aws.notice_messages import NoticeQueue
    from posthorn.aws.queues import DeadLetterQueue, Queues
    from posthorn.delivery.health_monitor import HealthMonitor
    from posthorn.delivery.sender import Sender
    from posthorn.stores.deliveries import Deliveries
    from posthorn.stores.endpoints import Endpoints


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Everything between an endpoint and the record of an attempt at it."""

    endpoints: Endpoints
    deliveries: Deliveries
    queues: Queues
    sender: Sender
    health_monitor: HealthMonitor
    dead_letters: DeadLetterQueue
    notice_queue: NoticeQueue
    clock: Callable[[], int]  # Unix milliseconds
    attempt_deadline_ms: int
