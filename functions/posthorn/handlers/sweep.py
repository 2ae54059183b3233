"""SweepFunction: every few minutes, enqueues overdue deliveries again."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from posthorn.settings import is_in_lambda, sweep_settings
from posthorn.telemetry import log
from posthorn.wiring.jobs import open_sweeper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthorn.delivery.sweeper import Sweeper


class Context(Protocol):
    """The part of Lambda's context that is used."""

    def get_remaining_time_in_millis(self) -> int: ...


@lru_cache(maxsize=1)
def sweeper() -> Sweeper:
    return open_sweeper(sweep_settings())


def handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:  # noqa: ARG001 - a schedule passes no input
    """Return the counts of the sweep, for operators who invoke the function manually."""
    return asdict(sweeper().sweep(remaining_ms=context.get_remaining_time_in_millis))


if is_in_lambda():  # initialization has more CPU (decision 0021)
    log()
    sweeper()
