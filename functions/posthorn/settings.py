"""The settings of each function, read from the environment in one place and validated at once."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Self

from posthorn import environment
from posthorn.domain.email_choices import EmailBackend, SenderIdentities, SesTenants
from posthorn.domain.errors import SettingsError
from posthorn.domain.workspace_limits import WorkspaceLimits

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper

LOCAL_STAGE = "local"


@dataclass(frozen=True, slots=True)
class Brand:
    """The names in the headers of deliveries: of webhooks, and of event destinations."""

    header_prefix: str = "X-SMASHSEND"
    alias_header: str = "X-Zootools-Signature"  # empty: no second signature header
    user_agent: str = "SMASHSEND-Webhook/1.0"
    email_header_prefix: str = "X-Splashify"
    email_user_agent: str = "Splashify-Pro-Webhook/1.0"

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Self:
        return cls(
            header_prefix=environment.text(env, "BRAND_HEADER_PREFIX"),
            alias_header=env.get("BRAND_ALIAS_HEADER", ""),
            user_agent=environment.text(env, "BRAND_USER_AGENT"),
            email_header_prefix=environment.text(env, "EMAIL_BRAND_HEADER_PREFIX"),
            email_user_agent=environment.text(env, "EMAIL_BRAND_USER_AGENT"),
        )


@dataclass(frozen=True, slots=True)
class Store:
    """The settings of every function: the tables and how long to keep rows."""

    config_table: str
    events_table: str
    deliveries_table: str
    retention_days: int
    allow_private_targets: bool

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Self:
        allow_private = environment.flag(env, "ALLOW_PRIVATE_TARGETS")
        if allow_private and environment.text(env, "STAGE") != LOCAL_STAGE:
            raise SettingsError(f"ALLOW_PRIVATE_TARGETS can be true only if STAGE is {LOCAL_STAGE}")
        return cls(
            config_table=environment.text(env, "CONFIG_TABLE"),
            events_table=environment.text(env, "EVENTS_TABLE"),
            deliveries_table=environment.text(env, "DELIVERIES_TABLE"),
            retention_days=environment.number(env, "RETENTION_DAYS"),
            allow_private_targets=allow_private,
        )


class BuiltInEventTypes(StrEnum):
    """Which event types exist without being created, besides the operational ones."""

    SMASHSEND = "smashsend"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The settings of ApiFunction."""

    store: Store
    stage: str
    secrets_key: str  # ARN of the KMS key
    built_in_event_types: BuiltInEventTypes
    email_backend: EmailBackend
    sender_identities: SenderIdentities
    ses_tenants: SesTenants
    feedback_topic: str  # ARN of the SNS topic for email events
    deliver_queue_url: str
    retry_queue_urls: tuple[str, str, str]  # before attempts 2, 3 and 4
    replay_queue_url: str
    purge_queue_url: str
    brand: Brand
    api_hosts: frozenset[str]  # every host of our own API
    limits: WorkspaceLimits  # of a workspace that has none of its own

    @property
    def has_catalog(self) -> bool:
        return self.built_in_event_types is BuiltInEventTypes.SMASHSEND

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Self:
        return cls(
            store=Store.read(env),
            stage=environment.text(env, "STAGE"),
            secrets_key=environment.text(env, "SECRETS_KEY"),
            built_in_event_types=environment.one_of(env, "BUILT_IN_EVENT_TYPES", BuiltInEventTypes),
            email_backend=environment.one_of(env, "EMAIL_BACKEND", EmailBackend),
            sender_identities=environment.one_of(env, "SENDER_IDENTITIES", SenderIdentities),
            ses_tenants=environment.one_of(env, "SES_TENANTS", SesTenants),
            feedback_topic=environment.text(env, "FEEDBACK_TOPIC_ARN"),
            deliver_queue_url=environment.text(env, "DELIVER_QUEUE_URL"),
            retry_queue_urls=environment.retry_queue_urls(env),
            replay_queue_url=environment.text(env, "REPLAY_QUEUE_URL"),
            purge_queue_url=environment.text(env, "PURGE_QUEUE_URL"),
            brand=Brand.read(env),
            api_hosts=environment.api_hosts(env),
            limits=environment.workspace_limits(env),
        )


@dataclass(frozen=True, slots=True)
class FeedbackSettings:
    """The settings of FeedbackFunction."""

    store: Store
    dead_letter_queue_url: str

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Self:
        dead_letters = environment.text(env, "DEAD_LETTER_QUEUE_URL")
        return cls(store=Store.read(env), dead_letter_queue_url=dead_letters)


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """The settings of ReplayFunction."""

    store: Store
    deliver_queue_url: str
    replay_queue_url: str
    dead_letter_queue_url: str

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Self:
        return cls(
            store=Store.read(env),
            deliver_queue_url=environment.text(env, "DELIVER_QUEUE_URL"),
            replay_queue_url=environment.text(env, "REPLAY_QUEUE_URL"),
            dead_letter_queue_url=environment.text(env, "DEAD_LETTER_QUEUE_URL"),
        )


@dataclass(frozen=True, slots=True)
class PurgeSettings:
    """The settings of PurgeFunction."""

    store: Store
    stage: str
    email_backend: EmailBackend
    ses_tenants: SesTenants
    feedback_topic: str  # ARN of the SNS topic for email events
    purge_queue_url: str
    dead_letter_queue_url: str

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Self:
        return cls(
            store=Store.read(env),
            stage=environment.text(env, "STAGE"),
            email_backend=environment.one_of(env, "EMAIL_BACKEND", EmailBackend),
            ses_tenants=environment.one_of(env, "SES_TENANTS", SesTenants),
            feedback_topic=environment.text(env, "FEEDBACK_TOPIC_ARN"),
            purge_queue_url=environment.text(env, "PURGE_QUEUE_URL"),
            dead_letter_queue_url=environment.text(env, "DEAD_LETTER_QUEUE_URL"),
        )


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """The settings of SweepFunction."""

    store: Store
    deliver_queue_url: str
    retry_queue_urls: tuple[str, str, str]  # before attempts 2, 3 and 4
    grace: int  # seconds

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Self:
        return cls(
            store=Store.read(env),
            deliver_queue_url=environment.text(env, "DELIVER_QUEUE_URL"),
            retry_queue_urls=environment.retry_queue_urls(env),
            grace=environment.number(env, "SWEEP_GRACE"),
        )


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """The settings of DispatchFunction and DeliverFunction."""

    store: Store
    deliver_queue_url: str
    retry_queue_urls: tuple[str, str, str]  # before attempts 2, 3 and 4
    retry_delays: tuple[int, int, int]  # seconds, in the same order
    dead_letter_queue_url: str
    attempt_deadline: float  # seconds
    brand: Brand
    api_hosts: frozenset[str]  # every host of our own API
    notice_target: str  # ARN of an SNS topic or an event bus; empty: no notices

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Self:
        return cls(
            store=Store.read(env),
            deliver_queue_url=environment.text(env, "DELIVER_QUEUE_URL"),
            retry_queue_urls=environment.retry_queue_urls(env),
            retry_delays=environment.retry_delays(env),
            dead_letter_queue_url=environment.text(env, "DEAD_LETTER_QUEUE_URL"),
            attempt_deadline=float(environment.number(env, "ATTEMPT_DEADLINE")),
            brand=Brand.read(env),
            api_hosts=environment.api_hosts(env),
            notice_target=env.get("NOTICE_TARGET", ""),
        )


def is_in_lambda() -> bool:
    """Return whether this process runs in Lambda, which loads a handler's module before the first invocation."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def is_for_snapshot() -> bool:
    """Return whether Lambda is loading this code for a SnapStart snapshot."""
    return os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


def _read_once[T](read: Callable[[Mapping[str, str]], T]) -> "_lru_cache_wrapper[T]":
    """Return the process's settings; its environment never changes."""
    return lru_cache(maxsize=1)(lambda: read(os.environ))


api_settings = _read_once(ApiSettings.read)
delivery_settings = _read_once(DeliverySettings.read)
feedback_settings = _read_once(FeedbackSettings.read)
replay_settings = _read_once(ReplaySettings.read)
purge_settings = _read_once(PurgeSettings.read)
sweep_settings = _read_once(SweepSettings.read)
