"""What the routes work with: the stores, the key, the clock and the dice."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from posthorn.aws import client
from posthorn.clock import now_ms
from posthorn.ids import new_id
from posthorn.queues import Queues, ReplayQueue
from posthorn.routes.authentication import Keyring
from posthorn.routes.cursors import Cursors
from posthorn.routes.vocabulary import Vocabulary
from posthorn.settings import EmailBackend
from posthorn.signing_secrets import Sealer, Unsealer
from posthorn.stores.api_keys import ApiKeys
from posthorn.stores.configuration_sets import ConfigurationSets
from posthorn.stores.deliveries import Deliveries
from posthorn.stores.delivery_counts import DeliveryCounts
from posthorn.stores.delivery_log import DeliveryLog
from posthorn.stores.endpoint_states import EndpointStates
from posthorn.stores.endpoints import Endpoints
from posthorn.stores.event_log import EventLog
from posthorn.stores.event_types import EventTypes
from posthorn.stores.events import Events
from posthorn.stores.idempotency import Idempotency
from posthorn.stores.replays import Replays
from posthorn.stores.system import System
from posthorn.stores.tombstones import Tombstones
from posthorn.telemetry import unreadable
from posthorn.transport.addresses import Policy
from posthorn.transport.names import system_resolver

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthorn.email.mail import Backend
    from posthorn.settings import ApiSettings, Brand
    from posthorn.transport.names import Resolver


@dataclass(frozen=True, slots=True)
class Office:
    """Everything a route may need."""

    keyring: Keyring
    api_keys: ApiKeys
    event_types: Vocabulary
    endpoints: Endpoints
    endpoint_states: EndpointStates
    configuration_sets: ConfigurationSets
    events: Events
    deliveries: Deliveries
    tombstones: Tombstones
    event_log: EventLog
    delivery_log: DeliveryLog
    delivery_counts: DeliveryCounts
    queues: Queues
    replays: Replays
    replay_queue: ReplayQueue
    brand: Brand
    idempotency: Idempotency
    open_email: Callable[[], Backend]
    cursors: Cursors
    sealer: Sealer
    unsealer: Unsealer
    policy: Policy
    resolver: Resolver
    clock: Callable[[], int]  # Unix milliseconds
    dice: Callable[[int], bytes]  # so many random bytes

    @property
    def email(self) -> Backend:
        """What sends mails, made when a request first needs it: most never do, and its client is the dearest of all."""
        return self.open_email()

    def new_id(self, prefix: str) -> str:
        return new_id(prefix, now_ms=self.clock(), entropy=self.dice(10))


def open_office(
    settings: ApiSettings,
    *,
    clock: Callable[[], int] = now_ms,
    dice: Callable[[int], bytes] = secrets.token_bytes,
    resolver: Resolver = system_resolver,
) -> Office:
    """Put the parts together for a process."""
    store = settings.store
    dynamodb, kms = client("dynamodb"), client("kms")
    api_keys = ApiKeys(dynamodb, store.config_table)
    sealer = Sealer(kms, settings.secrets_key)
    unsealer = Unsealer(kms)
    deliveries = Deliveries(dynamodb, store.deliveries_table, retention_days=store.retention_days)
    return Office(
        keyring=Keyring(api_keys, clock=clock),
        api_keys=api_keys,
        event_types=Vocabulary(EventTypes(dynamodb, store.config_table), clock=clock),
        endpoints=Endpoints(dynamodb, store.config_table, on_unreadable=unreadable),
        endpoint_states=EndpointStates(
            dynamodb, store.config_table, store.events_table, retention_days=store.retention_days
        ),
        configuration_sets=ConfigurationSets(dynamodb, store.config_table),
        events=Events(dynamodb, store.events_table, retention_days=store.retention_days),
        deliveries=deliveries,
        tombstones=Tombstones(dynamodb, store.config_table, retention_days=store.retention_days),
        event_log=EventLog(dynamodb, store.events_table, on_unreadable=unreadable),
        delivery_log=DeliveryLog(dynamodb, store.deliveries_table, deliveries),
        delivery_counts=DeliveryCounts(dynamodb, store.deliveries_table),
        queues=Queues(client("sqs"), settings.deliver_queue_url),
        replays=Replays(dynamodb, store.config_table, retention_days=store.retention_days),
        replay_queue=ReplayQueue(client("sqs"), settings.replay_queue_url),
        brand=settings.brand,
        idempotency=Idempotency(dynamodb, store.config_table),
        open_email=lru_cache(maxsize=1)(partial(_backend, settings, clock, dice)),
        cursors=Cursors(System(dynamodb, store.config_table), sealer, unsealer, dice=dice),
        sealer=sealer,
        unsealer=unsealer,
        policy=Policy(allow_private=store.allow_private_targets, own_hosts=settings.api_hosts),
        resolver=resolver,
        clock=clock,
        dice=dice,
    )


def _backend(settings: ApiSettings, clock: Callable[[], int], dice: Callable[[int], bytes]) -> Backend:
    topic = settings.feedback_topic
    if settings.email_backend is EmailBackend.SES:
        from posthorn.email.ses import SesBackend

        # installations share an account's names, and roles are bound to their own
        return SesBackend(client("sesv2"), topic_arn=topic, prefix=f"posthorn-{settings.stage}-")
    from posthorn.email.simulator import SimulatorBackend

    return SimulatorBackend(client("sns"), topic_arn=topic, clock=clock, dice=dice)
