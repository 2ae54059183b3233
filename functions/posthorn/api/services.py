"""What the routes work with: the stores, the queues, the clock, randomness and everything else with side effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from posthorn.domain.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthorn.api.authentication import Keyring
    from posthorn.api.endpoint_numbers import EndpointNumbers
    from posthorn.api.event_type_registry import EventTypeRegistry
    from posthorn.api.pagination import Cursors
    from posthorn.api.rates import Rates
    from posthorn.api.sender_directory import SenderDirectory
    from posthorn.api.workspace_directory import WorkspaceDirectory
    from posthorn.aws.purge_queue import PurgeQueue
    from posthorn.aws.queues import Queues, ReplayQueue
    from posthorn.aws.secrets import Sealer, Unsealer
    from posthorn.domain.workspace_limits import WorkspaceLimits
    from posthorn.email.mail import Backend
    from posthorn.settings import Brand
    from posthorn.stores.api_keys import ApiKeys
    from posthorn.stores.configuration_sets import ConfigurationSets
    from posthorn.stores.deleted_endpoints import DeletedEndpoints
    from posthorn.stores.deliveries import Deliveries
    from posthorn.stores.delivery_counts import DeliveryCounts
    from posthorn.stores.delivery_log import DeliveryLog
    from posthorn.stores.endpoint_states import EndpointStates
    from posthorn.stores.endpoints import Endpoints
    from posthorn.stores.event_log import EventLog
    from posthorn.stores.events import Events
    from posthorn.stores.idempotency import Idempotency
    from posthorn.stores.overdue_deliveries import OverdueDeliveries
    from posthorn.stores.purges import Purges
    from posthorn.stores.replays import Replays
    from posthorn.stores.troubled_endpoints import TroubledEndpoints
    from posthorn.transport.dns import Resolver
    from posthorn.transport.targets import Policy


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a route may need."""

    keyring: Keyring
    limits: WorkspaceLimits  # of a workspace that has none of its own
    rates: Rates
    endpoint_numbers: EndpointNumbers
    api_keys: ApiKeys
    workspaces: WorkspaceDirectory
    event_types: EventTypeRegistry
    endpoints: Endpoints
    endpoint_states: EndpointStates
    troubled_endpoints: TroubledEndpoints
    configuration_sets: ConfigurationSets
    events: Events
    deliveries: Deliveries
    deleted_endpoints: DeletedEndpoints
    event_log: EventLog
    delivery_log: DeliveryLog
    delivery_counts: DeliveryCounts
    overdue_deliveries: OverdueDeliveries
    queues: Queues
    replays: Replays
    replay_queue: ReplayQueue
    purges: Purges
    purge_queue: PurgeQueue
    brand: Brand
    idempotency: Idempotency
    senders: SenderDirectory
    open_email: Callable[[], Backend]
    cursors: Cursors
    sealer: Sealer
    unsealer: Unsealer
    policy: Policy
    resolver: Resolver
    clock: Callable[[], int]  # Unix milliseconds
    random_bytes: Callable[[int], bytes]  # takes the number of bytes

    @property
    def email(self) -> Backend:
        """The mail backend, made on first use: few requests need it, and its client is the most expensive one."""
        return self.open_email()

    def new_id(self, prefix: str) -> str:
        return new_id(prefix, now_ms=self.clock(), entropy=self.random_bytes(10))
