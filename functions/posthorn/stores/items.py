"""Typed attributes of DynamoDB: write them, and read them from rows whose shape is known."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from posthorn.domain.errors import Malformed

type Item = dict[str, Any]
"""A row in DynamoDB's own JSON: `{"name": {"S": "value"}}`."""


def s(value: str) -> dict[str, str]:
    return {"S": value}


def n(value: int) -> dict[str, str]:
    return {"N": str(value)}


def texts(values: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    return {"L": [{"S": value} for value in values]}


def text(item: Mapping[str, Any], name: str) -> str:
    value = _value(item, name, "S")
    if not isinstance(value, str):
        raise _malformed(name)
    return value


def is_text(item: Mapping[str, Any], name: str) -> bool:
    value = item.get(name)
    return isinstance(value, dict) and "S" in value


def number(item: Mapping[str, Any], name: str) -> int:
    value = _value(item, name, "N")
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise _malformed(name) from error


def binary(item: Mapping[str, Any], name: str) -> bytes:
    """Return bytes, which a client returns as they are and a stream record holds in base64."""
    value = _value(item, name, "B")
    if isinstance(value, bytes):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError) as error:
        raise _malformed(name) from error


def text_list(item: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = _value(item, name, "L")
    try:
        return tuple(value["S"] for value in values)
    except (TypeError, KeyError) as error:
        raise _malformed(name) from error


def numbers(item: Mapping[str, Any], name: str) -> dict[str, int]:
    """Return a map whose values are whole numbers."""
    values = _value(item, name, "M")
    try:
        return {key: number(values, key) for key in values}
    except TypeError as error:
        raise _malformed(name) from error


def text_map(item: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return a map whose values are texts."""
    values = _value(item, name, "M")
    try:
        return {key: text(values, key) for key in values}
    except TypeError as error:
        raise _malformed(name) from error


def flag(item: Mapping[str, Any], name: str, *, default: bool) -> bool:
    if name not in item:
        return default
    value = _value(item, name, "BOOL")
    if not isinstance(value, bool):
        raise _malformed(name)
    return value


def optional_text(item: Mapping[str, Any], name: str) -> str | None:
    return text(item, name) if name in item else None


def optional_number(item: Mapping[str, Any], name: str) -> int | None:
    return number(item, name) if name in item else None


def _value(item: Mapping[str, Any], name: str, kind: str) -> Any:
    try:
        return item[name][kind]
    except (KeyError, TypeError) as error:
        raise _malformed(name) from error


def _malformed(name: str) -> Malformed:
    return Malformed(f"{name} is missing or has the wrong type")
