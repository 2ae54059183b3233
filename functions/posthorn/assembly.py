"""How the parts of a delivering function fit together. Each loads its own half only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthorn.aws import client
from posthorn.clock import now_ms
from posthorn.delivery import Sender, policy_of
from posthorn.queues import Parking, Queues
from posthorn.signing_secrets import Unsealer
from posthorn.stores.deliveries import Deliveries
from posthorn.stores.delivery_counts import DeliveryCounts
from posthorn.stores.endpoint_states import EndpointStates
from posthorn.stores.endpoints import Endpoints
from posthorn.stores.events import Events
from posthorn.telemetry import unreadable
from posthorn.transport.http import Client
from posthorn.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthorn.deliver import Deliverer
    from posthorn.delivery import Network
    from posthorn.dispatch import Dispatcher
    from posthorn.settings import DeliverySettings


def http_client(settings: DeliverySettings) -> Client:
    return Client(policy=policy_of(settings))


def dispatcher(
    settings: DeliverySettings, *, network: Network, clock: Callable[[], int] = now_ms
) -> Dispatcher:
    from posthorn.dispatch import Dispatcher

    store = settings.store
    return Dispatcher(
        Endpoints(client("dynamodb"), store.config_table, on_unreadable=unreadable),
        Deliveries(client("dynamodb"), store.deliveries_table, retention_days=store.retention_days),
        Queues(client("sqs"), settings.deliver_queue_url, settings.retry_queue_urls),
        Sender(network, Unsealer(client("kms")), settings, clock=clock),
        watch=_watch(settings, clock),
        parking=Parking(client("sqs"), settings.parking_queue_url),
        clock=clock,
        attempt_deadline_ms=int(settings.attempt_deadline * 1000),
    )


def deliverer(
    settings: DeliverySettings, *, network: Network, clock: Callable[[], int] = now_ms
) -> Deliverer:
    from posthorn.deliver import Deliverer

    store = settings.store
    return Deliverer(
        Endpoints(client("dynamodb"), store.config_table, on_unreadable=unreadable),
        Events(client("dynamodb"), store.events_table, retention_days=store.retention_days),
        Deliveries(client("dynamodb"), store.deliveries_table, retention_days=store.retention_days),
        Queues(client("sqs"), settings.deliver_queue_url, settings.retry_queue_urls),
        Sender(network, Unsealer(client("kms")), settings, clock=clock),
        watch=_watch(settings, clock),
        parking=Parking(client("sqs"), settings.parking_queue_url),
        clock=clock,
        attempt_deadline_ms=int(settings.attempt_deadline * 1000),
    )


def _watch(settings: DeliverySettings, clock: Callable[[], int]) -> Watch:
    store = settings.store
    return Watch(
        EndpointStates(
            client("dynamodb"), store.config_table, store.events_table, retention_days=store.retention_days
        ),
        DeliveryCounts(client("dynamodb"), store.deliveries_table),
        clock=clock,
    )
