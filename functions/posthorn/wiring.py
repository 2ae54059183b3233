"""The composition root: builds the objects of each function. Late imports let a function load only its own parts."""

from __future__ import annotations

import secrets
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from posthorn import telemetry
from posthorn.aws.clients import client
from posthorn.domain.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthorn.api.services import Services
    from posthorn.aws.queues import DeadLetterQueue, Queues
    from posthorn.delivery.bulk_replay import Replayer
    from posthorn.delivery.dispatcher import Dispatcher
    from posthorn.delivery.health_monitor import HealthMonitor
    from posthorn.delivery.pipeline import Pipeline
    from posthorn.delivery.sender import Network, Sender
    from posthorn.delivery.sweeper import Sweeper
    from posthorn.delivery.worker import Deliverer
    from posthorn.email.feedback import Feedback
    from posthorn.email.mail import Backend
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
    from posthorn.transport.dns import Resolver
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

    return Deliverer(_pipeline(settings, network, clock), _events(settings.store))


def open_feedback(settings: FeedbackSettings, *, clock: Callable[[], int] = now_ms) -> Feedback:
    from posthorn.email.feedback import Feedback

    return Feedback(_events(settings.store), _dead_letters(settings), clock=clock)


def open_replayer(settings: ReplaySettings, *, clock: Callable[[], int] = now_ms) -> Replayer:
    from posthorn.aws.queues import Queues, ReplayQueue
    from posthorn.delivery.bulk_replay import Replayer
    from posthorn.stores.replay_candidates import ReplayCandidates
    from posthorn.stores.replays import Replays

    store = settings.store
    return Replayer(
        Replays(client("dynamodb"), store.config_table, retention_days=store.retention_days),
        _endpoints(store),
        _deliveries(store),
        ReplayCandidates(client("dynamodb"), store.deliveries_table),
        queues=Queues(client("sqs"), settings.deliver_queue_url),
        steps=ReplayQueue(client("sqs"), settings.replay_queue_url),
        dead_letters=_dead_letters(settings),
        clock=clock,
    )


def open_sweeper(settings: SweepSettings, *, clock: Callable[[], int] = now_ms) -> Sweeper:
    from posthorn.delivery.sweeper import Sweeper
    from posthorn.stores.overdue_deliveries import OverdueDeliveries

    return Sweeper(
        OverdueDeliveries(client("dynamodb"), settings.store.deliveries_table),
        _queues(settings),
        clock=clock,
        grace_ms=settings.grace * 1000,
    )


def open_services(
    settings: ApiSettings,
    *,
    clock: Callable[[], int] = now_ms,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    resolver: Resolver | None = None,
) -> Services:
    from posthorn.api.authentication import Keyring
    from posthorn.api.event_type_registry import EventTypeRegistry
    from posthorn.api.pagination import Cursors
    from posthorn.api.services import Services
    from posthorn.aws.queues import ReplayQueue
    from posthorn.aws.secrets import Sealer, Unsealer
    from posthorn.stores.api_keys import ApiKeys
    from posthorn.stores.configuration_sets import ConfigurationSets
    from posthorn.stores.deleted_endpoints import DeletedEndpoints
    from posthorn.stores.delivery_counts import DeliveryCounts
    from posthorn.stores.delivery_log import DeliveryLog
    from posthorn.stores.event_log import EventLog
    from posthorn.stores.event_types import EventTypes
    from posthorn.stores.idempotency import Idempotency
    from posthorn.stores.installation import InstallationSecrets
    from posthorn.stores.overdue_deliveries import OverdueDeliveries
    from posthorn.stores.replays import Replays
    from posthorn.transport.dns import system_resolver
    from posthorn.transport.targets import Policy

    store, dynamodb = settings.store, client("dynamodb")
    api_keys = ApiKeys(dynamodb, store.config_table)
    sealer, unsealer = Sealer(client("kms"), settings.secrets_key), Unsealer(client("kms"))
    deliveries = _deliveries(store)
    return Services(
        keyring=Keyring(api_keys, clock=clock),
        api_keys=api_keys,
        event_types=EventTypeRegistry(EventTypes(dynamodb, store.config_table), clock=clock),
        endpoints=_endpoints(store),
        endpoint_states=_endpoint_states(store),
        configuration_sets=ConfigurationSets(dynamodb, store.config_table),
        events=_events(store),
        deliveries=deliveries,
        deleted_endpoints=DeletedEndpoints(dynamodb, store.config_table, retention_days=store.retention_days),
        event_log=EventLog(dynamodb, store.events_table, on_unreadable=telemetry.row_unreadable),
        delivery_log=DeliveryLog(dynamodb, store.deliveries_table, deliveries),
        delivery_counts=DeliveryCounts(dynamodb, store.deliveries_table),
        overdue_deliveries=OverdueDeliveries(dynamodb, store.deliveries_table),
        queues=_queues(settings),
        replays=Replays(dynamodb, store.config_table, retention_days=store.retention_days),
        replay_queue=ReplayQueue(client("sqs"), settings.replay_queue_url),
        brand=settings.brand,
        idempotency=Idempotency(dynamodb, store.config_table),
        open_email=lru_cache(maxsize=1)(partial(_email_backend, settings, clock, random_bytes)),
        cursors=Cursors(
            InstallationSecrets(dynamodb, store.config_table), sealer, unsealer, random_bytes=random_bytes
        ),
        sealer=sealer,
        unsealer=unsealer,
        policy=Policy(allow_private=store.allow_private_targets, own_hosts=settings.api_hosts),
        resolver=resolver or system_resolver,
        clock=clock,
        random_bytes=random_bytes,
    )


def _email_backend(
    settings: ApiSettings, clock: Callable[[], int], random_bytes: Callable[[int], bytes]
) -> Backend:
    from posthorn.settings import EmailBackend

    topic = settings.feedback_topic
    if settings.email_backend is EmailBackend.SES:
        from posthorn.email.ses import SesBackend

        # Installations share the account's namespace, and each role has access to its own prefix only.
        return SesBackend(client("sesv2"), topic_arn=topic, prefix=f"posthorn-{settings.stage}-")
    from posthorn.email.simulator import SimulatorBackend

    return SimulatorBackend(client("sns"), topic_arn=topic, clock=clock, random_bytes=random_bytes)


def _pipeline(settings: DeliverySettings, network: Network, clock: Callable[[], int]) -> Pipeline:
    from posthorn.delivery.pipeline import Pipeline

    return Pipeline(
        endpoints=_endpoints(settings.store),
        deliveries=_deliveries(settings.store),
        queues=_queues(settings),
        sender=_sender(settings, network, clock),
        health_monitor=_health_monitor(settings, clock),
        dead_letters=_dead_letters(settings),
        clock=clock,
        attempt_deadline_ms=int(settings.attempt_deadline * 1000),
    )


def _endpoints(store: Store) -> Endpoints:
    from posthorn.stores.endpoints import Endpoints

    return Endpoints(client("dynamodb"), store.config_table, on_unreadable=telemetry.row_unreadable)


def _endpoint_states(store: Store) -> EndpointStates:
    from posthorn.stores.endpoint_states import EndpointStates

    return EndpointStates(
        client("dynamodb"), store.config_table, store.events_table, retention_days=store.retention_days
    )


def _events(store: Store) -> Events:
    from posthorn.stores.events import Events

    return Events(client("dynamodb"), store.events_table, retention_days=store.retention_days)


def _deliveries(store: Store) -> Deliveries:
    from posthorn.stores.deliveries import Deliveries

    return Deliveries(client("dynamodb"), store.deliveries_table, retention_days=store.retention_days)


def _queues(settings: ApiSettings | DeliverySettings | SweepSettings) -> Queues:
    from posthorn.aws.queues import Queues

    return Queues(client("sqs"), settings.deliver_queue_url, settings.retry_queue_urls)


def _dead_letters(settings: DeliverySettings | FeedbackSettings | ReplaySettings) -> DeadLetterQueue:
    from posthorn.aws.queues import DeadLetterQueue

    return DeadLetterQueue(client("sqs"), settings.dead_letter_queue_url)


def _sender(settings: DeliverySettings, network: Network, clock: Callable[[], int]) -> Sender:
    from posthorn.aws.secrets import Unsealer
    from posthorn.delivery.sender import Sender

    return Sender(network, Unsealer(client("kms")), settings, clock=clock)


def _health_monitor(settings: DeliverySettings, clock: Callable[[], int]) -> HealthMonitor:
    from posthorn.delivery.health_monitor import HealthMonitor
    from posthorn.stores.delivery_counts import DeliveryCounts

    counts = DeliveryCounts(client("dynamodb"), settings.store.deliveries_table)
    return HealthMonitor(_endpoint_states(settings.store), counts, clock=clock)
