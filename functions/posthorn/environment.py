"""Reads typed values from environment variables; `SettingsError` names the variable that is missing or invalid."""

from collections.abc import Mapping
from enum import StrEnum

from posthorn.domain.errors import SettingsError
from posthorn.domain.workspace_limits import WorkspaceLimits


def text(env: Mapping[str, str], name: str) -> str:
    """Return a variable that must be set and not empty."""
    if not (value := env.get(name, "")):
        raise SettingsError(f"{name} must be set")
    return value


def number(env: Mapping[str, str], name: str) -> int:
    """Return a whole number, 0 or more."""
    value = text(env, name)
    if not value.isascii() or not value.isdigit():
        raise SettingsError(f"{name} must be a whole number")
    return int(value)


def names(env: Mapping[str, str], name: str) -> frozenset[str]:
    """Return a set of host names from a comma-separated list, which may be empty."""
    found = (one.strip().lower().removesuffix(".") for one in env.get(name, "").split(","))
    return frozenset(filter(None, found))


def one_of[E: StrEnum](env: Mapping[str, str], name: str, choices: type[E]) -> E:
    """Return the choice that a variable names."""
    value = text(env, name)
    try:
        return choices(value)
    except ValueError as error:
        raise SettingsError(f"{name} must be one of {', '.join(choices)}") from error


def flag(env: Mapping[str, str], name: str) -> bool:
    """Return whether a variable is `true` or `false`."""
    value = text(env, name)
    if value not in {"true", "false"}:
        raise SettingsError(f"{name} must be true or false")
    return value == "true"


def retry_queue_urls(env: Mapping[str, str]) -> tuple[str, str, str]:
    """Return the URLs of the queues before attempts 2, 3 and 4."""
    return (
        text(env, "FIRST_RETRY_QUEUE_URL"),
        text(env, "SECOND_RETRY_QUEUE_URL"),
        text(env, "THIRD_RETRY_QUEUE_URL"),
    )


def workspace_limits(env: Mapping[str, str]) -> WorkspaceLimits:
    """Read the limits of a workspace that has none of its own."""
    return WorkspaceLimits(
        endpoints=number(env, "ENDPOINT_LIMIT"),
        endpoints_per_host=number(env, "ENDPOINTS_PER_HOST_LIMIT"),
        configuration_sets=number(env, "CONFIGURATION_SET_LIMIT"),
        events_per_second=number(env, "EVENTS_PER_SECOND_LIMIT"),
        deliveries_per_request=number(env, "DELIVERIES_PER_REQUEST_LIMIT"),
        replays=number(env, "REPLAY_LIMIT"),
        replays_per_endpoint=number(env, "REPLAYS_PER_ENDPOINT_LIMIT"),
        test_sends_per_minute=number(env, "TEST_SENDS_PER_MINUTE_LIMIT"),
    )


def retry_delays(env: Mapping[str, str]) -> tuple[int, int, int]:
    """Return the seconds before attempts 2, 3 and 4."""
    return (
        number(env, "FIRST_RETRY_DELAY"),
        number(env, "SECOND_RETRY_DELAY"),
        number(env, "THIRD_RETRY_DELAY"),
    )


def api_hosts(env: Mapping[str, str]) -> frozenset[str]:
    """Return every host of our own API, in lower case."""
    return frozenset({text(env, "API_HOST").lower()}) | names(env, "API_DOMAIN_NAMES")
