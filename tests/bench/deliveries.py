"""Dispatching, retrying, one bad receiver among good ones, and growth."""

from __future__ import annotations

import math
import statistics
import time
from typing import TYPE_CHECKING, Final

from posthorn.dispatch import _Batch
from posthorn.handlers import deliver, dispatch
from tests.bench.floor import Floor, Naive, Plain
from tests.bench.measure import Series, Spread, ratio, take_turns
from tests.bench.report import Budget, Report, Table, number, say, spread
from tests.bench.stage import DOMAIN, Context

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from posthorn.models import Event
    from tests.bench.measure import Contender, Turn
    from tests.bench.stage import Stage

_NOTHING_FAILED: Final[dict[str, object]] = {"batchItemFailures": []}


def hosts(count: int, prefix: str = "h") -> list[str]:
    return [f"{prefix}{number}.{DOMAIN}" for number in range(count)]


def dispatching(stage: Stage, made: Callable[[], list[Event]], *, units: int) -> Contender:
    """DispatchFunction's handler over a batch that it has not seen before."""

    def prepare() -> Turn:
        event = stage.records(made())

        def run() -> int:
            if (failed := dispatch.handler(event, Context())) != _NOTHING_FAILED:
                raise RuntimeError(failed)
            return units

        return run

    return prepare


def signed(stage: Stage, events: Sequence[Event], count: int, *, path: str) -> list[Plain]:
    """Return the POSTs that those events lead to, exactly as our own sender makes them."""
    dispatcher = dispatch.dispatcher()
    batch = _Batch()
    dispatcher._read(batch, stage.records(events)["Records"])
    jobs = dispatcher._jobs(batch)
    secrets = dispatcher._sender.unseal(job.endpoint for job in jobs)
    posts = [post for _, post in dispatcher._sender._posts(jobs, secrets, [])]
    if len(posts) != count or any(post.target.path != path for post in posts):
        raise RuntimeError("not the POSTs that were expected")
    return [
        Plain(post.target.host, post.target.port, post.target.url, post.headers, post.body) for post in posts
    ]


def dispatch_report(stage: Stage, *, rounds: int, quick: bool = False) -> Report:
    """100 events to one and to ten endpoints, small and large, quick and slow, beside the floor and the naive way."""
    report = Report()
    rows: list[tuple[str, ...]] = []
    for endpoints in (1,) if quick else (1, 10):
        for size in (1024, 20 * 1024):
            for delay in (0, 200, 2000):
                if delay == 2000 and (quick or size > 1024):
                    continue  # waiting is not made longer by bytes
                say(f"dispatch: 100 × {endpoints}, {size} bytes, receivers at {delay} ms")
                turns = rounds if delay == 0 else max(1, rounds // 3)
                series, calls = _dispatch_case(
                    stage, endpoints, size, delay, rounds=turns, naive=delay == 0 and endpoints == 1
                )
                rows += _dispatch_rows(f"100 × {endpoints}, {size // 1024} KB, {delay} ms", series)
                if (endpoints, size, delay) == (1, 1024, 0):
                    report.budgets += [
                        Budget(
                            "CPU per delivery, warm, 1 KB: × the bare client loop",
                            4,
                            ratio(series["Posthorn"], series["bare loop"]).median,
                            "×",
                        ),
                        Budget(
                            "the same: the naive way takes",
                            20,
                            ratio(series["naive, one by one"], series["Posthorn"]).median,
                            "× as much",
                            at_least=True,
                        ),
                        Budget("AWS calls of a batch of 100 × 1, all delivered", 6, calls, ""),
                    ]
                    report.figures["dispatch_100_cpu_ms"] = series["Posthorn"].cpu.median * 100
                if (endpoints, size, delay) == (1, 1024, 200):
                    report.budgets.append(
                        Budget(
                            "wall time of a batch of 100 × 1, receivers at 200 ms",
                            400,
                            series["Posthorn"].wall.median,
                            "ms",
                        )
                    )
    report.tables.append(
        Table(
            "Dispatch, kept-alive TLS",
            ("case", "who", "× bare loop", "CPU ms per delivery", "wall ms per batch", "deliveries/s"),
            tuple(rows),
            "One stream batch of 100 events through DispatchFunction's handler. The bare loop makes the same POSTs,"
            " signed before, and nothing else: no rows, no log, no look at the answer. The naive way makes one"
            " `requests.post` and one `Table.put_item` per delivery, and a connection for each.",
        )
    )
    report.merge(_single(stage, rounds=rounds))
    report.merge(_fresh(stage, rounds=rounds))
    return report


def _dispatch_case(
    stage: Stage, endpoints: int, size: int, delay: int, *, rounds: int, naive: bool
) -> tuple[dict[str, Series], int]:
    path = f"/{delay}/hook"
    stage.listen(hosts(endpoints), path=path)
    count = 100 * endpoints
    plain = signed(stage, stage.events(100, size=size), count, path=path)
    floor = Floor(ca_file=stage.ca_file)
    contenders: dict[str, Contender] = {
        "Posthorn": dispatching(stage, lambda: stage.events(100, size=size), units=count),
        "bare loop": lambda: lambda: floor.send(plain),
    }
    if naive:
        slow = Naive(ca_file=stage.ca_file)
        contenders["naive, one by one"] = lambda: lambda: slow.one_by_one(plain[:10])
        contenders["naive, 50 threads"] = lambda: lambda: slow.in_threads(plain[:50])
    stage.calls()
    dispatching(stage, lambda: stage.events(100, size=size), units=count)()()
    calls = sum(stage.calls().values())
    series = take_turns(contenders, rounds=rounds)
    floor.close()
    return series, calls


def _dispatch_rows(case: str, series: dict[str, Series]) -> list[tuple[str, ...]]:
    return [
        (
            case if who == "Posthorn" else "",
            who,
            spread(ratio(one, series["bare loop"])),
            spread(one.cpu),
            spread(one.wall) if not who.startswith("naive") else f"{number(one.wall.median)} for {one.units}",
            number(one.per_second),
        )
        for who, one in series.items()
    ]


def _single(stage: Stage, *, rounds: int) -> Report:
    """One event alone, as when little happens: what the cost model wants to know of a batch's fixed share."""
    stage.listen(hosts(1))
    series = take_turns(
        {"one": dispatching(stage, lambda: stage.events(1, size=1024), units=1)}, rounds=rounds * 3
    )
    return Report(figures={"dispatch_1_cpu_ms": series["one"].cpu.median})


def _fresh(stage: Stage, *, rounds: int) -> Report:
    """100 events to 100 hosts that were never connected to."""
    say("dispatch: 100 fresh TLS hosts")
    fresh = 0
    floor = Floor(ca_file=stage.ca_file)
    types = [f"BENCH_{number}" for number in range(100)]

    def new_hosts() -> list[str]:
        nonlocal fresh
        fresh += 1
        return hosts(100, f"r{fresh}-h")

    def ours() -> Turn:
        stage.listen(new_hosts())
        return dispatching(stage, lambda: stage.events(100, size=1024, types=types), units=100)()

    def bare() -> Turn:
        stage.listen(new_hosts())
        plain = signed(stage, stage.events(100, size=1024, types=types), 100, path="/0/hook")
        return lambda: floor.send(plain)

    series = take_turns({"Posthorn": ours, "bare loop": bare}, rounds=rounds)
    floor.close()
    return Report(
        tables=[
            Table(
                "Dispatch, fresh TLS to 100 hosts",
                ("case", "who", "× bare loop", "CPU ms per delivery", "wall ms per batch", "deliveries/s"),
                tuple(_dispatch_rows("100 × 1, 1 KB, 0 ms", series)),
                "Every delivery opens a connection to a host that was never seen: lookup, handshake, certificate.",
            )
        ],
        budgets=[
            Budget(
                "CPU per delivery, fresh TLS: × the bare client loop",
                1.5,
                ratio(series["Posthorn"], series["bare loop"]).median,
                "×",
            )
        ],
        figures={"handshake_cpu_ms": series["bare loop"].cpu.median},
    )


def deliver_report(stage: Stage, *, rounds: int) -> Report:
    """A full SQS batch of retries, beside the same POSTs alone."""
    say("deliver: an SQS batch of 10 retries")
    stage.listen(hosts(1))
    floor = Floor(ca_file=stage.ca_file)
    plain = signed(stage, stage.events(10, size=1024), 10, path="/0/hook")

    def ours() -> Turn:
        event = stage.retries(stage.events(10, size=1024))

        def run() -> int:
            if (failed := deliver.handler(event, Context())) != _NOTHING_FAILED:
                raise RuntimeError(failed)
            return 10

        return run

    slow = Naive(ca_file=stage.ca_file)
    ours()()
    stage.calls()
    ours()()
    calls = stage.calls()
    series = take_turns(
        {
            "Posthorn": ours,
            "bare loop": lambda: lambda: floor.send(plain),
            "naive, one by one": lambda: lambda: slow.one_by_one(plain),
        },
        rounds=rounds,
    )
    floor.close()
    return Report(
        tables=[
            Table(
                "Deliver, 10 retries from a queue",
                ("case", "who", "× bare loop", "CPU ms per delivery", "wall ms per batch", "deliveries/s"),
                tuple(_dispatch_rows("10 × 1, 1 KB, 0 ms", series)),
                "Each retry is claimed before and moved on after, so two writes of its own. AWS calls of the batch: "
                + ", ".join(f"{count} {name}" for name, count in sorted(calls.items()))
                + ".",
            )
        ],
        figures={"deliver_10_cpu_ms": series["Posthorn"].cpu.median * 10},
    )


def head_of_line_report(stage: Stage, *, rounds: int, quick: bool = False) -> Report:
    """One endpoint of 50 that never answers: what the other 49 notice of it."""
    say("head of line: 1 hanging endpoint among 50")
    found: dict[str, list[float]] = {"50 healthy": [], "49 healthy, 1 hangs": []}
    walls: dict[str, list[float]] = {name: [] for name in found}
    for turn in range(rounds * 2):
        case = list(found)[turn % 2]
        rows = stage.endpoint_rows(hosts(50, "line"), path="/0/noted")
        if case != "50 healthy" and not quick:  # a deadline takes its time
            rows[0]["url"]["S"] = rows[0]["url"]["S"].replace("/0/noted", "/hang/hook")
        stage.control("put", table="ConfigTable", items=rows)
        event = stage.records(stage.events(10, size=1024))
        stage.control("arrivals")
        started = time.monotonic()
        dispatch.handler(event, Context())
        walls[case].append((time.monotonic() - started) * 1000)
        if turn >= 2 or quick:  # the first of each connects
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
                "From the start of the invocation to the arrival at a healthy receiver. The hanging one keeps the"
                " invocation for its deadline, and with it its lane of the stream; nobody else waits inside the batch.",
            )
        ]
    )


def _percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def growth_report(stage: Stage, *, rounds: int, endpoints: Sequence[int], rows: Sequence[int]) -> Report:
    """More endpoints per channel, and more rows in the tables."""
    report = Report()
    lines: list[tuple[str, ...]] = []
    per_delivery: dict[int, float] = {}
    for count in endpoints:
        say(f"growth: {count} endpoints")
        stage.listen(hosts(count, "g") if count <= 100 else [f"g{n % 100}.{DOMAIN}" for n in range(count)])
        turns = rounds if count <= 1000 else 1
        dispatching(stage, lambda: stage.events(1, size=1024), units=1)() if count > 1000 else None
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
            "One event. What is beyond 1,000 attempts of an invocation is left to DeliverQueue, with a row and a message"
            " each.",
        )
    )
    if {100, 1000} <= set(endpoints):
        report.budgets.append(
            Budget(
                "growth: CPU per delivery at 1,000 endpoints, of that at 100",
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
    stage.listen(hosts(1))
    taken: dict[int, Series] = {count: Series() for count in rows}
    calls: dict[int, int] = {}
    for count in rows:  # tables only grow, so the order is what it is; warm-ups take the first times out
        say(f"growth: {count} rows")
        stage.control("fill", table="EventsTable", count=count)
        stage.control("fill", table="DeliveriesTable", count=count)
        stage.calls()
        run = dispatching(stage, lambda: stage.events(100, size=1024), units=100)
        taken[count] = take_turns({"Posthorn": run}, rounds=rounds * 2, warm_up=2)["Posthorn"]
        calls[count] = sum(stage.calls().values()) // (rounds * 2 + 2)
    first, last = rows[0], rows[-1]
    return Report(
        tables=[
            Table(
                "Growth: rows in the tables",
                ("rows in each table", "× the first", "CPU ms per delivery", "AWS calls per batch"),
                tuple(
                    (
                        f"{count:,}",
                        number(taken[count].cpu.median / taken[first].cpu.median),
                        spread(taken[count].cpu),
                        str(calls[count]),
                    )
                    for count in rows
                ),
                "A batch of 100 × 1. The stand-in holds the rows in a hash table, so this shows that our calls, their"
                " size and our CPU do not depend on what is stored. That DynamoDB finds a row by its key as quickly in"
                " a large table is DynamoDB's promise, and no row is ever found but by its key or its partition.",
            )
        ],
        budgets=[
            Budget(
                f"growth: CPU per delivery at {last:,} rows, of that at {first:,}",
                1.1,
                _least(taken[last].cpu) / _least(taken[first].cpu),
                "×",
            ),
            Budget(
                f"growth: AWS calls at {last:,} rows, of those at {first:,}",
                1.1,
                calls[last] / calls[first],
                "×",
            ),
        ],
    )


def _least(value: Spread) -> float:
    """Rounds that are not interleaved are compared by their least: noise only ever adds."""
    return value.low
