"""The stores and queues that several functions are made of. Late imports let a function load only its own parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthorn import telemetry
from posthorn.aws.clients import client
from posthorn.domain.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthorn.aws.queues import DeadLetterQueue, Queues
    from posthorn.domain.email_choices import SesTenants as TenantChoice
    from posthorn.email.mail import Backend
    from posthorn.email.ses_tenants import SesTenants
    from posthorn.settings import (
        ApiSettings,
        DeliverySettings,
        FeedbackSettings,
        PurgeSettings,
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


def dead_letters(
    settings: DeliverySettings | FeedbackSettings | PurgeSettings | ReplaySettings,
) -> DeadLetterQueue:
    from posthorn.aws.queues import DeadLetterQueue

    return DeadLetterQueue(client("sqs"), settings.dead_letter_queue_url)


def email_backend(
    settings: ApiSettings | PurgeSettings, clock: Callable[[], int], random_bytes: Callable[[int], bytes]
) -> Backend:
    from posthorn.domain.email_choices import EmailBackend

    topic = settings.feedback_topic
    if settings.email_backend is EmailBackend.SES:
        from posthorn.email.ses import SesBackend

        # Installations share the account's namespace, and each role has access to its own prefix only.
        prefix = f"posthorn-{settings.stage}-"
        tenants = _ses_tenants(settings.ses_tenants, topic, prefix)
        return SesBackend(client("sesv2"), topic_arn=topic, prefix=prefix, tenants=tenants)
    from posthorn.email.simulator import SimulatorBackend

    return SimulatorBackend(client("sns"), topic_arn=topic, clock=clock, random_bytes=random_bytes)


def _ses_tenants(choice: TenantChoice, topic: str, prefix: str) -> SesTenants | None:
    """Return what handles tenants, if the operator's choice and the runtime's botocore allow them."""
    from posthorn.domain.email_choices import SesTenants as TenantChoice
    from posthorn.email.ses_tenants import SesTenants, has_tenants

    sesv2, is_required = client("sesv2"), choice is TenantChoice.ON
    if choice is TenantChoice.OFF:
        return None
    if not has_tenants(sesv2.meta.service_model.operation_names):
        if is_required:
            raise SettingsError("SES_TENANTS can be on only if botocore is 1.40 or later")
        return None
    _, partition, _, region, account, _ = topic.split(":")
    start = f"arn:{partition}:ses:{region}:{account}"
    return SesTenants(sesv2, account=start, prefix=prefix, is_required=is_required)
