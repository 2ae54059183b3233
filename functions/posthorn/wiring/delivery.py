"""How DispatchFunction and DeliverFunction are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthorn.aws.clients import client
from posthorn.domain.clock import now_ms
from posthorn.wiring import parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthorn.delivery.dispatcher import Dispatcher
    from posthorn.delivery.health_monitor import HealthMonitor
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

    return Deliverer(_pipeline(settings, network, clock), parts.events(settings.store))


def _pipeline(settings: DeliverySettings, network: Network, clock: Callable[[], int]) -> Pipeline:
    from posthorn.delivery.pipeline import Pipeline

    return Pipeline(
        endpoints=parts.endpoints(settings.store),
        deliveries=parts.deliveries(settings.store),
        queues=parts.queues(settings),
        sender=_sender(settings, network, clock),
        health_monitor=_health_monitor(settings, clock),
        dead_letters=parts.dead_letters(settings),
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
    return HealthMonitor(parts.endpoint_states(settings.store), counts, clock=clock)
