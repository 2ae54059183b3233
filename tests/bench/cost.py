"""The cost model's part of the report, from counts, measurements and prices."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from posthorn_cli.cost import prices
from posthorn_cli.cost.counts import at
from posthorn_cli.cost.model import Workload, bill
from tests.bench.report import Budget, Report, Table, number

if TYPE_CHECKING:
    from collections.abc import Mapping

RATES: Final = (0.4, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)

_ASSUMED_INIT: Final = {"init_api_cpu_ms": 0.0, "init_dispatch_cpu_ms": 0.0, "init_deliver_cpu_ms": 0.0}


def cost_report(figures: Mapping[str, float]) -> Report:
    """Return dollars per million, by term and by load, with this run's CPU figures."""
    measured = {**_ASSUMED_INIT, **figures}
    usual = Workload()
    single, tens = bill(usual, measured), bill(replace(usual, published=10), measured)
    trickle = bill(replace(usual, rate=RATES[0]), measured)
    columns = {
        f"published singly, {usual.rate:,.0f}/s": single,
        "in batches of ten, same rate": tens,
        "singly, 0.4/s": trickle,
    }
    terms = tuple(
        (term, *(f"{one.terms[term] / one.deliveries * 1e6:.3f}" for one in columns.values()))
        for term in single.terms
    )
    totals = (("total", *(f"**{one.per_million:.2f}**" for one in columns.values())),)
    batches = (("events per invocation", *(number(one.batch) for one in columns.values())),)
    peers = tuple((peer.name, f"{peer.dollars:.2f}", peer.basis, peer.source) for peer in prices.PEERS)
    kilobyte = at(1024)
    return Report(
        tables=[
            Table(
                "Dollars per million deliveries",
                ("term", *columns),
                terms + totals + batches,
                f"2 KB, one endpoint, 98 % delivered at the first attempt, receivers answer in 300 ms; list prices of {prices.DATE},"
                f" {prices.REGION}, no free tier. `posthorn cost` computes other workloads. Fixed costs: "
                + ", ".join(f"{name} ${dollars:.2f}" for name, dollars in single.monthly.items())
                + " a month.",
            ),
            Table(
                "Other services, for a million messages a month", ("service", "$", "basis", "source"), peers
            ),
        ],
        budgets=[
            Budget("write units of an event, 1 KB", 1, kilobyte.pieces["publish 1"].wru, ""),
            Budget("write units of a delivery, 1 KB", 1, kilobyte.pieces["dispatch 1 x 1"].wru, ""),
            Budget(f"$ per million, published singly, {usual.rate:,.0f}/s", 4.0, single.per_million, "$"),
            Budget(f"$ per million, in batches of ten, {usual.rate:,.0f}/s", 2.8, tens.per_million, "$"),
        ],
    )
