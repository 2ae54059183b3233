"""The environment, read in one place: one value per kind of function, checked when it is made."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol, Self

from posthorn.errors import SettingsError

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper

LOCAL_STAGE = "local"


@dataclass(frozen=True, slots=True)
class Brand:
    """How deliveries introduce themselves: those of webhooks, and those of event destinations."""

    header_prefix: str = "X-SMASHSEND"
    alias_header: str = "X-Zootools-Signature"  # empty: no second signature header
    user_agent: str = "SMASHSEND-Webhook/1.0"
    email_header_prefix: str = "X-Splashify"
    email_user_agent: str = "Splashify-Pro-Webhook/1.0"

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Self:
        return cls(
            header_prefix=_text(env, "BRAND_HEADER_PREFIX"),
            alias_header=env.get("BRAND_ALIAS_HEADER", ""),
            user_agent=_text(env, "BRAND_USER_AGENT"),
            email_header_prefix=_text(env, "EMAIL_BRAND_HEADER_PREFIX"),
            email_user_agent=_text(env, "EMAIL_BRAND_USER_AGENT"),
        )


@dataclass(frozen=True, slots=True)
class Store:
    """What every function needs: the tables and how long their rows live."""

    config_table: str
    events_table: str
    deliveries_table: str
    retention_days: int
    allow_private_targets: bool

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Self:
        allow_private_targets = _flag(env, "ALLOW_PRIVATE_TARGETS")
        if allow_private_targets and _text(env, "STAGE") != LOCAL_STAGE:
            raise SettingsError(f"ALLOW_PRIVATE_TARGETS is for STAGE {LOCAL_STAGE} only")
        return cls(
            config_table=_text(env, "CONFIG_TABLE"),
            events_table=_text(env, "EVENTS_TABLE"),
            deliveries_table=_text(env, "DELIVERIES_TABLE"),
            retention_days=_number(env, "RETENTION_DAYS"),
            allow_private_targets=allow_private_targets,
        )


class EmailBackend(StrEnum):
    """What sends mail."""

    SES = "ses"
    SIMULATOR = "simulator"


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """What ApiFunction reads."""

    store: Store
    stage: str
    secrets_key: str  # ARN of the KMS key
    email_backend: EmailBackend
    feedback_topic: str  # ARN of the SNS topic that the events of mails go to
    deliver_queue_url: str
    replay_queue_url: str
    brand: Brand
    api_hosts: frozenset[str]  # every host of our own API

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Self:
        return cls(
            store=Store.read(env),
            stage=_text(env, "STAGE"),
            secrets_key=_text(env, "SECRETS_KEY"),
            email_backend=_one_of(env, "EMAIL_BACKEND", EmailBackend),
            feedback_topic=_text(env, "FEEDBACK_TOPIC_ARN"),
            deliver_queue_url=_text(env, "DELIVER_QUEUE_URL"),
            replay_queue_url=_text(env, "REPLAY_QUEUE_URL"),
            brand=Brand.read(env),
            api_hosts=_api_hosts(env),
        )


@dataclass(frozen=True, slots=True)
class FeedbackSettings:
    """What FeedbackFunction reads."""

    store: Store
    parking_queue_url: str

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Self:
        return cls(store=Store.read(env), parking_queue_url=_text(env, "PARKING_QUEUE_URL"))


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """What ReplayFunction reads."""

    store: Store
    deliver_queue_url: str
    replay_queue_url: str
    parking_queue_url: str

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Self:
        return cls(
            store=Store.read(env),
            deliver_queue_url=_text(env, "DELIVER_QUEUE_URL"),
            replay_queue_url=_text(env, "REPLAY_QUEUE_URL"),
            parking_queue_url=_text(env, "PARKING_QUEUE_URL"),
        )


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """What SweepFunction reads."""

    store: Store
    deliver_queue_url: str
    retry_queue_urls: tuple[str, str, str]  # before attempts 2, 3 and 4
    grace: int  # seconds

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Self:
        return cls(
            store=Store.read(env),
            deliver_queue_url=_text(env, "DELIVER_QUEUE_URL"),
            retry_queue_urls=_retry_queue_urls(env),
            grace=_number(env, "SWEEP_GRACE"),
        )


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """What DispatchFunction and DeliverFunction read."""

    store: Store
    deliver_queue_url: str
    retry_queue_urls: tuple[str, str, str]  # before attempts 2, 3 and 4
    retry_delays: tuple[int, int, int]  # seconds, in the same order
    parking_queue_url: str
    attempt_deadline: float  # seconds
    brand: Brand
    api_hosts: frozenset[str]  # every host of our own API

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Self:
        return cls(
            store=Store.read(env),
            deliver_queue_url=_text(env, "DELIVER_QUEUE_URL"),
            retry_queue_urls=_retry_queue_urls(env),
            retry_delays=(
                _number(env, "FIRST_RETRY_DELAY"),
                _number(env, "SECOND_RETRY_DELAY"),
                _number(env, "THIRD_RETRY_DELAY"),
            ),
            parking_queue_url=_text(env, "PARKING_QUEUE_URL"),
            attempt_deadline=float(_number(env, "ATTEMPT_DEADLINE")),
            brand=Brand.read(env),
            api_hosts=_api_hosts(env),
        )


def is_in_lambda() -> bool:
    """Tell whether Lambda loads this code: while it does, a function has a whole processor, whatever its memory."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def is_for_snapshot() -> bool:
    """Tell whether Lambda loads this code for a snapshot that environments will start from."""
    return os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


class _Settings(Protocol):
    @classmethod
    def read(cls, env: Mapping[str, str]) -> Self: ...


def _of_this_process[S: _Settings](kind: type[S]) -> "_lru_cache_wrapper[S]":
    """Read settings when they are first asked for; the environment of a function never changes while it lives."""
    return lru_cache(maxsize=1)(lambda: kind.read(os.environ))


api_settings: Final = _of_this_process(ApiSettings)
delivery_settings: Final = _of_this_process(DeliverySettings)
feedback_settings: Final = _of_this_process(FeedbackSettings)
replay_settings: Final = _of_this_process(ReplaySettings)
sweep_settings: Final = _of_this_process(SweepSettings)


def _retry_queue_urls(env: Mapping[str, str]) -> tuple[str, str, str]:
    first, second = _text(env, "FIRST_RETRY_QUEUE_URL"), _text(env, "SECOND_RETRY_QUEUE_URL")
    return first, second, _text(env, "THIRD_RETRY_QUEUE_URL")


def _api_hosts(env: Mapping[str, str]) -> frozenset[str]:
    return frozenset({_text(env, "API_HOST").lower()}) | _names(env, "API_DOMAIN_NAMES")


def _text(env: Mapping[str, str], name: str) -> str:
    if not (value := env.get(name, "")):
        raise SettingsError(f"{name} is not set")
    return value


def _number(env: Mapping[str, str], name: str) -> int:
    value = _text(env, name)
    if not value.isascii() or not value.isdigit():
        raise SettingsError(f"{name} is not a whole number")
    return int(value)


def _names(env: Mapping[str, str], name: str) -> frozenset[str]:
    """Read host names with commas between them; none is fine."""
    names = (one.strip().lower().removesuffix(".") for one in env.get(name, "").split(","))
    return frozenset(filter(None, names))


def _one_of[E: StrEnum](env: Mapping[str, str], name: str, choices: type[E]) -> E:
    value = _text(env, name)
    try:
        return choices(value)
    except ValueError as error:
        raise SettingsError(f"{name} is none of {', '.join(choices)}") from error


def _flag(env: Mapping[str, str], name: str) -> bool:
    value = _text(env, name)
    if value not in {"true", "false"}:
        raise SettingsError(f"{name} is neither true nor false")
    return value == "true"
