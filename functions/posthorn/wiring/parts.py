"""The stores and queues that several functions are made of. Late imports let a function load only its own parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthorn import telemetry
from posthorn.aws.clients import client

if TYPE_CHECKING:
    from posthorn.aws.queues import DeadLetterQueue, Queues
    from posthorn.settings import (
        ApiSettings,
        DeliverySettings,
        FeedbackSettings,
        ReplaySettings,
        Store,
        SweepSettings,
    )
    from posthorn.stores.deliveries import Deliveries
    from posthorn.stores.endpoint_states import EndpointStates
    from posthorn.stores.endpoints import Endpoints
    from posthorn.stores.events import Events


def endpoints(store: Store) -> Endpoints:
    from posthorn.stores.endpoints import Endpoints

    return Endpoints(client("dynamodb"), store.config_table, on_unreadable=telemetry.row_unreadable)


def endpoint_states(store: Store) -> EndpointStates:
    from posthorn.stores.endpoint_states import EndpointStates

    return EndpointStates(
        client("dynamodb"), store.config_table, store.events_table, retention_days=store.retention_days
    )


def events(store: Store) -> Events:
    from posthorn.stores.events import Events

    return Events(client("dynamodb"), store.events_table, retention_days=store.retention_days)


def deliveries(store: Store) -> Deliveries:
    from posthorn.stores.deliveries import Deliveries

    return Deliveries(client("dynamodb"), store.deliveries_table, retention_days=store.retention_days)


def queues(settings: ApiSettings | DeliverySettings | SweepSettings) -> Queues:
    from posthorn.aws.queues import Queues

    return Queues(client("sqs"), settings.deliver_queue_url, settings.retry_queue_urls)


def dead_letters(settings: DeliverySettings | FeedbackSettings | ReplaySettings) -> DeadLetterQueue:
    from posthorn.aws.queues import DeadLetterQueue

    return DeadLetterQueue(client("sqs"), settings.dead_letter_queue_url)
