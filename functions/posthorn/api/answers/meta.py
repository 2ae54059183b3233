"""Answers about the service itself."""

from typing import Literal, TypedDict


class ServiceHealth(TypedDict):
    """The API answers."""

    status: Literal["ok"]
    """Always `ok`."""
