"""SweepFunction: every few minutes, another message for what is overdue."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from posthorn.settings import is_in_lambda, sweep_settings
from posthorn.telemetry import log
from posthorn.wiring import open_sweeper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthorn.delivery.sweeper import Sweeper


class Context(Protocol):
    """What is used of the context that Lambda passes."""

    def get_remaining_time_in_millis(self) -> int: ...


@lru_cache(maxsize=1)
def sweeper() -> Sweeper:
    return open_sweeper(sweep_settings())


def handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:  # noqa: ARG001 - a schedule says nothing
    """Answer with what was done, for whoever invokes it by hand."""
    return asdict(sweeper().sweep(remaining_ms=context.get_remaining_time_in_millis))


if is_in_lambda():  # loading has the larger processor (decision 0021)
    log()
    sweeper()
