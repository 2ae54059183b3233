"""How DispatchFunction and DeliverFunction are made."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING

from posthorn.aws.clients import client
from posthorn.domain.clock import now_ms
from posthorn.wiring import parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthorn.delivery.dispatcher import Dispatcher
    from posthorn.delivery.health_monitor import HealthMonitor
    from posthorn.delivery.notices import Notices
    from posthorn.delivery.pipeline import Pipeline
    from posthorn.delivery.sender import Network, Sender
    from posthorn.delivery.worker import Deliverer
    from posthorn.settings import DeliverySettings
    from posthorn.transport.http import Client


def http_client(settings: DeliverySettings) -> Client:
    from posthorn.delivery.sender import policy_of
    from posthorn.transport.http import Client

    return Client(policy=policy_of(settings))


def dispatcher(
    settings: DeliverySettings, *, network: Network, clock: Callable[[], int] = now_ms
) -> Dispatcher:
    from posthorn.delivery.dispatcher import Dispatcher
    from posthorn.stores.overdue_deliveries import OverdueDeliveries

    overdue = OverdueDeliveries(client("dynamodb"), settings.store.deliveries_table)
    return Dispatcher(_pipeline(settings, network, clock), overdue)


def deliverer(
    settings: DeliverySettings, *, network: Network, clock: Callable[[], int] = now_ms
) -> Deliverer:
    from posthorn.delivery.worker import Deliverer

    return Deliverer(
        _pipeline(settings, network, clock),
        parts.events(settings.store),
        lru_cache(maxsize=1)(partial(_notices, settings, clock)),
    )


def _pipeline(settings: DeliverySettings, network: Network, clock: Callable[[], int]) -> Pipeline:
    from posthorn.aws.notice_messages import NoticeQueue
    from posthorn.delivery.pipeline import Pipeline

    return Pipeline(
        endpoints=parts.endpoints(settings.store),
        deliveries=parts.deliveries(settings.store),
        queues=parts.queues(settings),
        sender=_sender(settings, network, clock),
        health_monitor=_health_monitor(settings, clock),
        dead_letters=parts.dead_letters(settings),
        notice_queue=NoticeQueue(client("sqs"), settings.deliver_queue_url),
        clock=clock,
        attempt_deadline_ms=int(settings.attempt_deadline * 1000),
    )


def _sender(settings: DeliverySettings, network: Network, clock: Callable[[], int]) -> Sender:
    from posthorn.aws.secrets import Unsealer
    from posthorn.delivery.sender import Sender

    return Sender(network, Unsealer(client("kms")), settings, clock=clock)


def _health_monitor(settings: DeliverySettings, clock: Callable[[], int]) -> HealthMonitor:
    from posthorn.delivery.health_monitor import HealthMonitor
    from posthorn.stores.delivery_counts import DeliveryCounts

    counts = DeliveryCounts(client("dynamodb"), settings.store.deliveries_table)
    return HealthMonitor(
        parts.endpoint_states(settings.store), counts, clock=clock, has_notices=bool(settings.notice_target)
    )


def _notices(settings: DeliverySettings, clock: Callable[[], int]) -> Notices | None:
    """Return what sends notices, made on first use: few processes ever do."""
    from posthorn.aws.notice_targets import EventBus, Topic, is_topic
    from posthorn.delivery.notices import Notices
    from posthorn.stores.workspaces import Workspaces

    arn, store = settings.notice_target, settings.store
    if not arn:
        return None
    target = Topic(client("sns"), arn) if is_topic(arn) else EventBus(client("events"), arn)
    return Notices(
        target, parts.events(store), Workspaces(client("dynamodb"), store.config_table), clock=clock
    )
