"""`posthorn cost`: what a workload costs."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from posthorn_cli.cost import estimate
from posthorn_cli.cost.model import DELIVERY_MB, Workload
from posthorn_cli.options import AsJson
from posthorn_cli.output import print_json, print_text

_USUAL: Final = Workload()


class Architecture(StrEnum):
    """Lambda's processors."""

    ARM64 = "arm64"
    X86_64 = "x86_64"


def command(
    *,
    events: Annotated[
        float, typer.Option(min=1, max=1e12, show_default=f"{_USUAL.events:,.0f}", help="Events a month.")
    ] = _USUAL.events,
    payload: Annotated[
        int, typer.Option(min=1, max=estimate.LARGEST_PAYLOAD, help="Bytes of an event's data.")
    ] = _USUAL.payload,
    endpoints: Annotated[
        float, typer.Option(min=1, max=10_000, help="Endpoints that an event is delivered to.")
    ] = _USUAL.endpoints,
    success: Annotated[
        float, typer.Option(min=0, max=1, help="Share of first attempts that succeed.")
    ] = _USUAL.success,
    retries: Annotated[
        float, typer.Option(min=0, max=3, help="Retries after a first attempt that fails.")
    ] = _USUAL.retries,
    receiver_ms: Annotated[
        float, typer.Option(min=0, max=15_000, help="Milliseconds that a receiver takes to respond.")
    ] = _USUAL.receiver_ms,
    published: Annotated[int, typer.Option(min=1, max=100, help="Events per request.")] = _USUAL.published,
    rate: Annotated[
        float, typer.Option(min=0.001, max=1e6, help="Events a second while events come in.")
    ] = _USUAL.rate,
    customers: Annotated[
        int, typer.Option(min=1, max=10_000_000, help="Channels that the events are spread over.")
    ] = _USUAL.customers,
    memory: Annotated[
        int, typer.Option(min=DELIVERY_MB, max=3008, help="MB of memory: the parameter DeliveryMemory.")
    ] = _USUAL.memory,
    lanes: Annotated[int, typer.Option(min=2, max=10, help="The parameter DispatchLanes.")] = _USUAL.lanes,
    idempotent: Annotated[
        bool, typer.Option("--idempotent", help="Requests carry an Idempotency-Key.")
    ] = False,
    architecture: Annotated[
        Architecture, typer.Option(help="Processor: the parameter Architecture.")
    ] = Architecture.ARM64,
    as_json: AsJson = False,
) -> None:
    """Estimate what a workload costs, and compare it with other services.

    Calculated from counted calls, measured CPU time and list prices. Makes no call to AWS.
    """
    wanted = Workload(
        events=events,
        payload=payload,
        endpoints=endpoints,
        success=success,
        retries=retries,
        receiver_ms=receiver_ms,
        published=published,
        idempotent=idempotent,
        rate=rate,
        customers=customers,
        architecture=architecture.value,
        memory=memory,
        lanes=lanes,
    )
    found = estimate.of(wanted)
    if as_json:
        print_json(found.document())
    else:
        print_text(*found.text())
