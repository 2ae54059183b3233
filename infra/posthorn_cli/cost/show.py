"""`posthorn cost`: a workload's bill in readable form."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Final

from posthorn_cli.cost import prices
from posthorn_cli.cost.counts import committed as committed_counts
from posthorn_cli.cost.measured import committed
from posthorn_cli.cost.model import DELIVERY_MB, Workload, bill, snapstart

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthorn_cli.cost.model import Bill

_TRICKLE: Final = 0.4  # events a second: a million, spread evenly over a month


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for every field of a workload."""
    usual = Workload()

    def option(name: str, kind: Callable[[str], float], about: str) -> None:
        default = getattr(usual, name.replace("-", "_"))
        shown = f"{default:,}" if isinstance(default, int) else f"{default:g}"
        parser.add_argument(f"--{name}", type=kind, default=default, help=f"{about} (default: {shown})")

    largest = committed_counts()[-1].payload
    option("events", _between(float, 1, 1e12), "events a month")
    option("payload", _between(int, 1, largest), f"bytes of an event's data, up to {largest:,}")
    option("endpoints", _between(float, 1, 10_000), "endpoints that want an event")
    option("success", _between(float, 0, 1), "share of first attempts that succeed")
    option("retries", _between(float, 0, 3), "retries after one that does not")
    option("receiver-ms", _between(float, 0, 15_000), "milliseconds until a receiver has answered")
    option("published", _between(int, 1, 100), "events per request")
    option("rate", _between(float, 0.001, 1e6), "events a second while they come in")
    option("customers", _between(int, 1, 10_000_000), "channels that the events are spread over")
    option("memory", _between(int, DELIVERY_MB, 3008), "MB of DeliveryMemory")
    option("lanes", _between(int, 2, 10), "DispatchLanes")
    parser.add_argument("--idempotent", action="store_true", help="requests carry an Idempotency-Key")
    parser.add_argument("--architecture", choices=["arm64", "x86_64"], default=usual.architecture)


def workload(options: argparse.Namespace) -> Workload:
    """Return the workload that the options describe."""
    said = {field.name: getattr(options, field.name) for field in fields(Workload) if field.name in options}
    return Workload(**said)


def text(wanted: Workload) -> str:
    """Return the bill of a workload, the same at a low rate, and other services' prices."""
    measured = committed()
    one = bill(wanted, measured)
    slow = bill(replace(wanted, rate=min(wanted.rate, _TRICKLE)), measured)
    month, restore = snapstart()
    lines = [
        (
            f"{wanted.events:,.0f} events of {wanted.payload:,} bytes to {wanted.endpoints:g} endpoint(s), published"
            f" {wanted.published} at a time; {wanted.success:.1%} delivered at the first attempt,"
            f" receivers answer in {wanted.receiver_ms:g} ms."
        ),
        (
            f"List prices of {prices.DATE}, {prices.REGION}, no free tier; CPU as measured on"
            f" {_date(measured['date'])}."
        ),
        "",
        f"{'$ per million deliveries':34}{f'at {wanted.rate:g}/s':>12}{f'at {slow.workload.rate:g}/s':>12}",
        *(
            f"{term:34}{_per_million(one, term):>12.3f}{_per_million(slow, term):>12.3f}"
            for term in one.terms
        ),
        f"{'total':34}{one.per_million:>12.2f}{slow.per_million:>12.2f}",
        "",
        (
            f"all {wanted.events:,.0f} events: ${sum(one.terms.values()):,.2f} at {wanted.rate:g}/s,"
            f" ${sum(slow.terms.values()):,.2f} at {slow.workload.rate:g}/s; events per invocation of"
            f" DispatchFunction: {one.batch:.1f} and {slow.batch:.1f}, retries per invocation of DeliverFunction:"
            f" {one.retry_batch:.1f} and {slow.retry_batch:.1f}"
        ),
        f"and ${sum(one.monthly.values()):.2f} a month whatever is sent: "
        + ", ".join(f"{name} {dollars:.2f}" for name, dollars in one.monthly.items()),
        (
            f"SnapStart of the API, if ApiSnapStart is true: ${month:.2f} a month and ${restore * 1000:.2f}"
            " for 1,000 cold starts"
        ),
        "",
        "others, $ for a million messages a month:",
        *(f"{peer.name:38}{peer.dollars:>8.2f}  {peer.basis} ({peer.source})" for peer in prices.PEERS),
    ]
    return "\n".join(lines)


def _per_million(one: Bill, term: str) -> float:
    return one.terms[term] / one.deliveries * 1e6


def _date(number: float) -> str:
    digits = f"{number:.0f}"
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"


def _between[N: float](kind: Callable[[str], N], low: float, high: float) -> Callable[[str], N]:
    def read(text: str) -> N:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"a number from {low:,g} to {high:,g}")
        return value

    read.__name__ = "number"
    return read
