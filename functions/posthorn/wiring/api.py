"""How ApiFunction is made."""

from __future__ import annotations

import secrets
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from posthorn import telemetry
from posthorn.aws.clients import client
from posthorn.domain.clock import now_ms
from posthorn.wiring import parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthorn.api.services import Services
    from posthorn.settings import ApiSettings
    from posthorn.transport.dns import Resolver


def open_services(
    settings: ApiSettings,
    *,
    clock: Callable[[], int] = now_ms,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    resolver: Resolver | None = None,
) -> Services:
    from posthorn.api.authentication import Keyring
    from posthorn.api.endpoint_numbers import EndpointNumbers
    from posthorn.api.event_type_registry import EventTypeRegistry
    from posthorn.api.pagination import Cursors
    from posthorn.api.rates import Rates
    from posthorn.api.sender_directory import SenderDirectory
    from posthorn.api.services import Services
    from posthorn.api.workspace_directory import WorkspaceDirectory
    from posthorn.aws.purge_queue import PurgeQueue
    from posthorn.aws.queues import ReplayQueue
    from posthorn.aws.secrets import Sealer, Unsealer
    from posthorn.domain.email_choices import SenderIdentities as SenderChoice
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
    from posthorn.stores.purges import Purges
    from posthorn.stores.replays import Replays
    from posthorn.stores.sender_identities import SenderIdentities
    from posthorn.stores.token_buckets import TokenBuckets
    from posthorn.stores.troubled_endpoints import TroubledEndpoints
    from posthorn.stores.workspaces import Workspaces
    from posthorn.transport.dns import system_resolver
    from posthorn.transport.targets import Policy

    store, dynamodb = settings.store, client("dynamodb")
    api_keys = ApiKeys(dynamodb, store.config_table)
    sealer, unsealer = Sealer(client("kms"), settings.secrets_key), Unsealer(client("kms"))
    endpoints, deliveries = parts.endpoints(store), parts.deliveries(store)
    return Services(
        limits=settings.limits,
        rates=Rates(TokenBuckets(dynamodb, store.config_table), clock=clock),
        endpoint_numbers=EndpointNumbers(endpoints.counts, clock=clock),
        keyring=Keyring(api_keys, clock=clock),
        api_keys=api_keys,
        workspaces=WorkspaceDirectory(Workspaces(dynamodb, store.config_table), clock=clock),
        event_types=EventTypeRegistry(
            EventTypes(dynamodb, store.config_table), has_catalog=settings.has_catalog, clock=clock
        ),
        endpoints=endpoints,
        endpoint_states=parts.endpoint_states(store),
        troubled_endpoints=TroubledEndpoints(dynamodb, store.config_table),
        configuration_sets=ConfigurationSets(
            dynamodb, store.config_table, retention_days=store.retention_days
        ),
        events=parts.events(store),
        deliveries=deliveries,
        deleted_endpoints=DeletedEndpoints(dynamodb, store.config_table, retention_days=store.retention_days),
        event_log=EventLog(dynamodb, store.events_table, on_unreadable=telemetry.row_unreadable),
        delivery_log=DeliveryLog(dynamodb, store.deliveries_table, deliveries),
        delivery_counts=DeliveryCounts(dynamodb, store.deliveries_table),
        overdue_deliveries=OverdueDeliveries(dynamodb, store.deliveries_table),
        queues=parts.queues(settings),
        replays=Replays(dynamodb, store.config_table, retention_days=store.retention_days),
        replay_queue=ReplayQueue(client("sqs"), settings.replay_queue_url),
        purges=Purges(dynamodb, store.config_table),
        purge_queue=PurgeQueue(client("sqs"), settings.purge_queue_url),
        brand=settings.brand,
        idempotency=Idempotency(dynamodb, store.config_table),
        senders=SenderDirectory(
            SenderIdentities(dynamodb, store.config_table),
            is_open=settings.sender_identities is SenderChoice.OPEN,
            clock=clock,
        ),
        open_email=lru_cache(maxsize=1)(partial(parts.email_backend, settings, clock, random_bytes)),
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
