"""What the routes work with: the stores, the key, the clock and the dice."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from posthorn.aws import client
from posthorn.clock import now_ms
from posthorn.email.ses import SesBackend
from posthorn.email.simulator import SimulatorBackend
from posthorn.ids import new_id
from posthorn.queues import Queues
from posthorn.routes.authentication import Keyring
from posthorn.routes.cursors import Cursors
from posthorn.settings import EmailBackend
from posthorn.signing_secrets import Sealer, Unsealer
from posthorn.stores.api_keys import ApiKeys
from posthorn.stores.configuration_sets import ConfigurationSets
from posthorn.stores.deliveries import Deliveries
from posthorn.stores.endpoint_states import EndpointStates
from posthorn.stores.endpoints import Endpoints
from posthorn.stores.events import Events
from posthorn.stores.idempotency import Idempotency
from posthorn.stores.system import System
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
    endpoints: Endpoints
    endpoint_states: EndpointStates
    configuration_sets: ConfigurationSets
    events: Events
    deliveries: Deliveries
    queues: Queues
    brand: Brand
    idempotency: Idempotency
    email: Backend
    cursors: Cursors
    sealer: Sealer
    unsealer: Unsealer
    policy: Policy
    resolver: Resolver
    clock: Callable[[], int]  # Unix milliseconds
    dice: Callable[[int], bytes]  # so many random bytes

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
    sealer = Sealer(kms, settings.secrets_key)
    unsealer = Unsealer(kms)
    return Office(
        keyring=Keyring(ApiKeys(dynamodb, store.config_table), clock=clock),
        endpoints=Endpoints(dynamodb, store.config_table, on_unreadable=unreadable),
        endpoint_states=EndpointStates(
            dynamodb, store.config_table, store.events_table, retention_days=store.retention_days
        ),
        configuration_sets=ConfigurationSets(dynamodb, store.config_table),
        events=Events(dynamodb, store.events_table, retention_days=store.retention_days),
        deliveries=Deliveries(dynamodb, store.deliveries_table, retention_days=store.retention_days),
        queues=Queues(client("sqs"), settings.deliver_queue_url),
        brand=settings.brand,
        idempotency=Idempotency(dynamodb, store.config_table),
        email=_backend(settings, clock, dice),
        cursors=Cursors(System(dynamodb, store.config_table), sealer, unsealer, dice=dice),
        sealer=sealer,
        unsealer=unsealer,
        policy=Policy(allow_private=store.allow_private_targets),
        resolver=resolver,
        clock=clock,
        dice=dice,
    )


def _backend(settings: ApiSettings, clock: Callable[[], int], dice: Callable[[int], bytes]) -> Backend:
    topic = settings.feedback_topic
    if settings.email_backend is EmailBackend.SES:
        # installations share an account's names, and roles are bound to their own
        return SesBackend(client("sesv2"), topic_arn=topic, prefix=f"posthorn-{settings.stage}-")
    return SimulatorBackend(client("sns"), topic_arn=topic, clock=clock, dice=dice)
