"""A workload's bill, that of the same trickling in, and what others charge: as text and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from posthorn_cli.cost import prices
from posthorn_cli.cost.counts import committed as committed_counts
from posthorn_cli.cost.measured import committed
from posthorn_cli.cost.model import Workload, bill, snapstart

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from posthorn_cli.cost.model import Bill

LARGEST_PAYLOAD: Final = committed_counts()[-1].payload
_TRICKLE: Final = 0.4  # events a second: a million, spread evenly over a month


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a workload costs at its own rate and at a trickle."""

    bills: tuple[Bill, Bill]
    measured_on: str
    snapstart_month: float  # dollars
    snapstart_restore: float

    def document(self) -> dict[str, Any]:
        """Return the estimate as JSON; dollars, unless a name says otherwise."""
        workload = asdict(self.bills[0].workload)
        return {
            "workload": {_camel(name): value for name, value in workload.items()},
            "prices": {"date": prices.DATE, "region": prices.REGION, "currency": "USD"},
            "measuredOn": self.measured_on,
            "estimates": [
                {
                    "eventsPerSecond": one.workload.rate,
                    "perMillionDeliveries": {term: _per_million(one, term) for term in one.terms},
                    "totalPerMillionDeliveries": one.per_million,
                    "allEvents": sum(one.terms.values()),
                    "eventsPerInvocation": one.batch,
                    "retriesPerInvocation": one.retry_batch,
                }
                for one in self.bills
            ],
            "monthly": dict(self.bills[0].monthly),
            "snapStart": {"month": self.snapstart_month, "per1000ColdStarts": self.snapstart_restore * 1000},
            "others": [asdict(peer) for peer in prices.PEERS],
        }

    def text(self) -> list[RenderableType]:
        """Return the estimate for a person."""
        one, slow = self.bills
        wanted = one.workload
        return [
            (
                f"{wanted.events:,.0f} events of {wanted.payload:,} bytes to {wanted.endpoints:g} endpoint(s), published"
                f" {wanted.published} at a time; {wanted.success:.1%} delivered at the first attempt,"
                f" receivers respond in {wanted.receiver_ms:g} ms."
            ),
            (
                f"List prices of {prices.DATE}, {prices.REGION}, no free tier; CPU as measured on"
                f" {self.measured_on}.\n"
            ),
            _terms(one, slow),
            (
                f"\nall {wanted.events:,.0f} events: ${sum(one.terms.values()):,.2f} at {wanted.rate:g}/s,"
                f" ${sum(slow.terms.values()):,.2f} at {slow.workload.rate:g}/s; events per invocation of"
                f" DispatchFunction: {one.batch:.1f} and {slow.batch:.1f}, retries per invocation of DeliverFunction:"
                f" {one.retry_batch:.1f} and {slow.retry_batch:.1f}"
            ),
            (
                f"plus ${sum(one.monthly.values()):.2f} a month at any load: "
                + ", ".join(f"{name} {dollars:.2f}" for name, dollars in one.monthly.items())
            ),
            (
                f"SnapStart of the API, with ApiSnapStart=true: ${self.snapstart_month:.2f} a month and"
                f" ${self.snapstart_restore * 1000:.2f} for 1,000 cold starts\n"
            ),
            _others(),
        ]


def of(wanted: Workload) -> Estimate:
    measured = committed()
    slow = replace(wanted, rate=min(wanted.rate, _TRICKLE))
    month, restore = snapstart()
    return Estimate((bill(wanted, measured), bill(slow, measured)), _date(measured["date"]), month, restore)


def _terms(one: Bill, slow: Bill) -> Table:
    table = _table("$ per million deliveries", f"at {one.workload.rate:g}/s", f"at {slow.workload.rate:g}/s")
    for term in one.terms:
        table.add_row(term, f"{_per_million(one, term):.3f}", f"{_per_million(slow, term):.3f}")
    table.add_section()
    table.add_row("total", f"{one.per_million:.2f}", f"{slow.per_million:.2f}", style="bold")
    return table


def _others() -> Table:
    table = _table("others, for a million messages a month", "$")
    table.add_column("basis")
    table.add_column("source")
    for peer in prices.PEERS:
        table.add_row(peer.name, f"{peer.dollars:.2f}", peer.basis, peer.source)
    return table


def _table(first: str, *numbers: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(first)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _per_million(one: Bill, term: str) -> float:
    return one.terms[term] / one.deliveries * 1e6


def _date(number: float) -> str:
    digits = f"{number:.0f}"
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
