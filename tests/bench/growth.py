"""One bad receiver among good ones, and growth."""

from __future__ import annotations

import math
import statistics
import time
from typing import TYPE_CHECKING

from posthorn.handlers import dispatch
from tests.bench.deliveries import dispatching, hosts
from tests.bench.measure import ratio, take_turns
from tests.bench.report import Budget, Report, Table, number, say, spread
from tests.bench.stage import DOMAIN, Context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.measure import Contender, Turn
    from tests.bench.stage import Stage


def head_of_line_report(stage: Stage, *, rounds: int, quick: bool = False) -> Report:
    """Measure how one of 50 endpoints that never answers affects the other 49."""
    say("head of line: 1 hanging endpoint among 50")
    found: dict[str, list[float]] = {"50 healthy": [], "49 healthy, 1 hangs": []}
    walls: dict[str, list[float]] = {name: [] for name in found}
    for turn in range(rounds * 2):
        case = list(found)[turn % 2]
        rows = stage.endpoint_rows(hosts(50, "line"), path="/0/noted")
        if case != "50 healthy" and not quick:  # the deadline passes in real time
            rows[0]["url"]["S"] = rows[0]["url"]["S"].replace("/0/noted", "/hang/hook")
        stage.control("put", table="ConfigTable", items=rows)
        event = stage.records(stage.events(10, size=1024))
        stage.control("arrivals")
        started = time.monotonic()
        dispatch.handler(event, Context())
        walls[case].append((time.monotonic() - started) * 1000)
        if turn >= 2 or quick:  # the first one of each connects
            found[case] += [(at - started) * 1000 for _, at in stage.control("arrivals")]
    rows_out = tuple(
        (
            case,
            number(statistics.median(arrivals)),
            number(_percentile(arrivals, 0.99)),
            number(statistics.median(walls[case])),
        )
        for case, arrivals in found.items()
    )
    return Report(
        tables=[
            Table(
                "Head of line: 10 events × 50 endpoints, one of them hanging",
                ("case", "healthy p50, ms", "healthy p99, ms", "batch ends after, ms"),
                rows_out,
                "From the start of the invocation to the arrival at a healthy receiver. The hanging one holds the"
                " invocation, and its lane of the stream, until its deadline; no other receiver in the batch waits for it.",
            )
        ]
    )


def _percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def growth_report(stage: Stage, *, rounds: int, endpoints: Sequence[int], rows: Sequence[int]) -> Report:
    """Measure more endpoints per channel, and more rows in the tables."""
    report = Report()
    lines: list[tuple[str, ...]] = []
    per_delivery: dict[int, float] = {}
    for count in endpoints:
        say(f"growth: {count} endpoints")
        stage.listen(hosts(count, "g") if count <= 100 else [f"g{n % 100}.{DOMAIN}" for n in range(count)])
        turns = rounds if count <= 1000 else 1
        stage.calls()
        series = take_turns(
            {"Posthorn": _tolerant(stage, count)}, rounds=turns, warm_up=1 if count <= 1000 else 0
        )["Posthorn"]
        calls = sum(stage.calls().values()) / (turns + (count <= 1000))
        per_delivery[count] = series.cpu.median
        lines.append((f"{count:,}", spread(series.cpu), number(calls / count), number(series.wall.median)))
    report.tables.append(
        Table(
            "Growth: endpoints of a channel",
            ("endpoints", "CPU ms per delivery", "AWS calls per delivery", "wall ms"),
            tuple(lines),
            "One event. Attempts beyond 1,000 in an invocation are sent to DeliverQueue, with a row and a message"
            " each.",
        )
    )
    if {100, 1000} <= set(endpoints):
        report.budgets.append(
            Budget(
                "growth: CPU per delivery at 1,000 endpoints, relative to 100",
                1.1,
                per_delivery[1000] / per_delivery[100],
                "×",
            )
        )
    report.merge(_rows_report(stage, rounds=rounds, rows=rows))
    return report


def _tolerant(stage: Stage, units: int) -> Contender:
    def prepare() -> Turn:
        event = stage.records(stage.events(1, size=1024))

        def run() -> int:
            dispatch.handler(event, Context(600))
            return units

        return run

    return prepare


def _rows_report(stage: Stage, *, rounds: int, rows: Sequence[int]) -> Report:
    dispatch.dispatcher.cache_clear()  # forget which receivers were slow before
    stage.listen(hosts(1))
    calls: dict[int, int] = {}
    contenders: dict[str, Contender] = {}
    for count in rows:
        say(f"growth: {count} rows")
        stage.control("use", name=str(count))
        stage.control("fill", table="EventsTable", count=count)
        stage.control("fill", table="DeliveriesTable", count=count)
        run = dispatching(stage, lambda: stage.events(100, size=1024), units=100)
        stage.calls()
        run()()
        calls[count] = sum(stage.calls().values())
        contenders[str(count)] = _with_rows(stage, str(count), run)
    series = take_turns(contenders, rounds=rounds)
    stage.control("use", name="")
    taken = {count: series[str(count)] for count in rows}
    first, last = rows[0], rows[-1]
    return Report(
        tables=[
            Table(
                "Growth: rows in the tables",
                ("rows in each table", "× the first", "CPU ms per delivery", "AWS calls per batch"),
                tuple(
                    (
                        f"{count:,}",
                        spread(ratio(taken[count], taken[first])),
                        spread(taken[count].cpu),
                        str(calls[count]),
                    )
                    for count in rows
                ),
                "A batch of 100 × 1. The stand-in holds the rows in a hash table, so this shows that our calls, their"
                " size and our CPU do not depend on the stored rows. That DynamoDB finds a row by its key as quickly in"
                " a large table is DynamoDB's promise; every row is read by its key or its partition.",
            )
        ],
        budgets=[
            Budget(
                f"growth: CPU per delivery at {last:,} rows, relative to {first:,}",
                1.1,
                ratio(taken[last], taken[first]).median,
                "×",
            ),
            Budget(
                f"growth: AWS calls at {last:,} rows, relative to {first:,}",
                1.1,
                calls[last] / calls[first],
                "×",
            ),
        ],
    )


def _with_rows(stage: Stage, name: str, contender: Contender) -> Contender:
    def prepare() -> Turn:
        stage.control("use", name=name)
        return contender()

    return prepare
