"""Dispatching and retrying, compared with the floor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn.delivery.dispatch_plan import begin
from posthorn.delivery.stream_records import read
from posthorn.handlers import deliver, dispatch
from tests.bench.floor import Floor, Naive, Plain
from tests.bench.measure import Series, ratio, take_turns
from tests.bench.report import Budget, Report, Table, number, say, spread
from tests.bench.stage import DOMAIN, Context

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from posthorn.domain.models import Event
    from tests.bench.measure import Contender, Turn
    from tests.bench.stage import Stage

_NOTHING_FAILED: Final[dict[str, object]] = {"batchItemFailures": []}


def hosts(count: int, prefix: str = "h") -> list[str]:
    return [f"{prefix}{number}.{DOMAIN}" for number in range(count)]


def dispatching(stage: Stage, made: Callable[[], list[Event]], *, units: int) -> Contender:
    """Return DispatchFunction's handler over a batch that it has not seen before."""

    def prepare() -> Turn:
        event = stage.records(made())

        def run() -> int:
            if (failed := dispatch.handler(event, Context())) != _NOTHING_FAILED:
                raise RuntimeError(failed)
            return units

        return run

    return prepare


def signed(stage: Stage, events: Sequence[Event], count: int, *, path: str) -> list[Plain]:
    """Return the POSTs for those events, exactly as the sender builds them."""
    dispatcher = dispatch.dispatcher()
    matched = dispatcher._planner._matches(begin(read(stage.records(events)["Records"])))
    jobs = [planned for _, planned in matched]
    secrets = dispatcher._sender.unseal(job.endpoint for job in jobs)
    posts = [post for _, post in dispatcher._sender._posts(jobs, secrets, [])]
    if len(posts) != count or any(post.target.path != path for post in posts):
        raise RuntimeError("unexpected POSTs")
    return [
        Plain(post.target.host, post.target.port, post.target.url, post.headers, post.body) for post in posts
    ]


def dispatch_report(stage: Stage, *, rounds: int, quick: bool = False) -> Report:
    """Measure 100 events to 1 and 10 endpoints: small, large, fast and slow, against floor and naive code."""
    report = Report()
    rows: list[tuple[str, ...]] = []
    for endpoints in (1,) if quick else (1, 10):
        for size in (1024, 20 * 1024):
            for delay in (0, 200, 2000):
                if delay == 2000 and (quick or size > 1024):
                    continue  # waiting does not depend on the payload
                say(f"dispatch: 100 × {endpoints}, {size} bytes, receivers answering in {delay} ms")
                is_budgeted = (endpoints, size, delay) == (1, 1024, 0)
                turns = rounds if delay == 0 else max(1, rounds // 3) if delay == 200 else 1
                if is_budgeted and not quick:
                    turns *= 3  # close to its budget, and single rounds differ by half
                series, calls = _dispatch_case(
                    stage,
                    endpoints,
                    size,
                    delay,
                    rounds=turns,
                    naive=(2 if quick else 10) if delay == 0 and endpoints == 1 else 0,
                )
                rows += _dispatch_rows(f"100 × {endpoints}, {size // 1024} KB, {delay} ms", series)
                if is_budgeted:
                    report.budgets += [
                        Budget(
                            "CPU per delivery, warm, 1 KB: × the bare client loop",
                            4,
                            ratio(series["Posthorn"], series["bare loop"]).median,
                            "×",
                        ),
                        Budget(
                            "the same: the naive code takes",
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
                            "wall time of a batch of 100 × 1, receivers answering in 200 ms",
                            400,
                            series["Posthorn"].wall.median,
                            "ms",
                        )
                    )
    report.tables.append(
        Table(
            "Dispatch, keep-alive TLS",
            ("case", "who", "× bare loop", "CPU ms per delivery", "wall ms per batch", "deliveries/s"),
            tuple(rows),
            "One stream batch of 100 events through DispatchFunction's handler. The bare loop sends the same POSTs,"
            " already signed, and does nothing else: no rows, no log, no reading of responses. The naive code makes one"
            " `requests.post` and one `Table.put_item` per delivery, and a connection for each.",
        )
    )
    report.merge(_single(stage, rounds=rounds))
    report.merge(_fresh(stage, rounds=rounds))
    return report


def _dispatch_case(
    stage: Stage, endpoints: int, size: int, delay: int, *, rounds: int, naive: int
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
        contenders["naive, one by one"] = lambda: lambda: slow.one_by_one(plain[:naive])
        contenders["naive, 50 threads"] = lambda: lambda: slow.in_threads(plain[: 5 * naive])
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
    """Measure one event alone, which gives the cost model the fixed share of a batch."""
    stage.listen(hosts(1))
    series = take_turns(
        {"one": dispatching(stage, lambda: stage.events(1, size=1024), units=1)}, rounds=rounds * 3
    )
    return Report(figures={"dispatch_1_cpu_ms": series["one"].cpu.median})


def _fresh(stage: Stage, *, rounds: int) -> Report:
    """Measure 100 events to 100 hosts without open connections."""
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
                "Every delivery opens a connection to a new host: lookup, handshake, certificate.",
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
    """Measure a full SQS batch of retries against the same POSTs alone."""
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
                "Each retry is claimed before and recorded after, so it takes two writes. AWS calls of the batch: "
                + ", ".join(f"{count} {name}" for name, count in sorted(calls.items()))
                + ".",
            )
        ],
        figures={"deliver_10_cpu_ms": series["Posthorn"].cpu.median * 10},
    )
