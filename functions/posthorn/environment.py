"""Variables of an environment, each read as what it should be; `SettingsError` names the one that is not."""

from collections.abc import Mapping
from enum import StrEnum

from posthorn.domain.errors import SettingsError


def text(env: Mapping[str, str], name: str) -> str:
    """Return a variable that is there and not empty."""
    if not (value := env.get(name, "")):
        raise SettingsError(f"{name} is not set")
    return value


def number(env: Mapping[str, str], name: str) -> int:
    """Return a whole number, 0 or more."""
    value = text(env, name)
    if not value.isascii() or not value.isdigit():
        raise SettingsError(f"{name} is not a whole number")
    return int(value)


def names(env: Mapping[str, str], name: str) -> frozenset[str]:
    """Read host names with commas between them; none is fine."""
    found = (one.strip().lower().removesuffix(".") for one in env.get(name, "").split(","))
    return frozenset(filter(None, found))


def one_of[E: StrEnum](env: Mapping[str, str], name: str, choices: type[E]) -> E:
    """Return which of the choices a variable names."""
    value = text(env, name)
    try:
        return choices(value)
    except ValueError as error:
        raise SettingsError(f"{name} is none of {', '.join(choices)}") from error


def flag(env: Mapping[str, str], name: str) -> bool:
    """Return what `true` or `false` says."""
    value = text(env, name)
    if value not in {"true", "false"}:
        raise SettingsError(f"{name} is neither true nor false")
    return value == "true"
