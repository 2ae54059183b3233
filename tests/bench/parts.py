"""Where the CPU time of a batch goes: each part alone, in one thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthorn.aws import clients
from posthorn.delivery.dispatch_plan import begin
from posthorn.delivery.stream_records import read
from posthorn.domain.clock import now_ms
from posthorn.domain.models import DeliveryKey
from posthorn.handlers import dispatch
from posthorn.stores import batches
from posthorn.telemetry import AttemptCounts
from tests.bench.deliveries import dispatching, hosts
from tests.bench.floor import Floor, Plain
from tests.bench.measure import ratio, take_turns
from tests.bench.report import Report, Table, number, say, spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.measure import Contender
    from tests.bench.stage import Stage


def parts_report(stage: Stage, *, rounds: int) -> Report:
    """Measure each step of a batch of 100 × 1 by itself, beside the whole and the bare loop."""
    say("parts of a dispatch")
    stage.listen(hosts(1))
    dispatcher = dispatch.dispatcher()
    records = stage.records(stage.events(100, size=1024))["Records"]
    planner = dispatcher._planner
    jobs = planner.plan(records).attempts
    read_records = read(records)
    unseen = [DeliveryKey(jobs[0].endpoint.id, event.id) for event in stage.events(100, size=1024)]
    secrets = dispatcher._sender.unseal(job.endpoint for job in jobs)
    posts = list(dispatcher._sender._posts(jobs, secrets, []))
    result = list(dispatcher._sender.send(jobs, secrets))
    rows = [one.delivery() for one in result]
    plain = [
        Plain(post.target.host, post.target.port, post.target.url, post.headers, post.body)
        for _, post in posts
    ]
    floor = Floor(ca_file=stage.ca_file)
    dynamodb = clients.client("dynamodb")
    key = {"pk": {"S": "p"}, "sk": {"S": "s"}}

    def empty_calls() -> None:
        for _ in range(6):
            dynamodb.get_item(TableName="empty", Key=key)

    def log_line() -> None:
        counts = AttemptCounts()
        for one in result:
            counts.add(one.delivery(), one.attempt, one.host)
        counts.write()

    def write_rows() -> None:
        for chunk in batches.chunks(rows, batches.WRITE_LIMIT):
            dispatcher._deliveries.put_all(list(chunk), now_ms=now_ms())

    steps: dict[str, Callable[[], object]] = {
        "the bare loop": lambda: floor.send(plain),
        "read 100 stream records": lambda: read(records),
        "read the endpoints, match them": lambda: list(planner._matches(begin(read_records))),
        "look up 100 missing rows": lambda: planner._overdue.look_up(unseen),
        "write bodies, sign": lambda: list(dispatcher._sender._posts(jobs, secrets, [])),
        "send, and read the responses": lambda: list(
            dispatcher._sender._network.send(iter(posts), deadline=10)
        ),
        "count, and write the log line": log_line,
        "write 100 rows": write_rows,
        "(six empty boto3 calls)": empty_calls,
    }

    def repeated(transition: Callable[[], object]) -> Contender:
        def run() -> int:
            transition()
            return 1

        return lambda: run

    contenders = {name: repeated(transition) for name, transition in steps.items()}
    whole = dispatching(stage, lambda: stage.events(100, size=1024), units=1)
    series = take_turns({**contenders, "the whole, as the handler": whole}, rounds=rounds)
    floor.close()
    sums = [name for name in steps if not name.startswith(("the", "("))]
    together = sum(series[name].cpu.median for name in sums)
    lines = [
        (name, spread(ratio(one, series["the bare loop"])), spread(one.cpu)) for name, one in series.items()
    ]
    lines.append(("(the parts together)", "", number(together)))
    return Report(
        tables=[
            Table(
                "Where the CPU of a batch of 100 × 1 goes",
                ("part", "× bare loop", "CPU ms per batch"),
                tuple(lines),
                "The whole takes longer than its parts because threads wait for each other: rows are written"
                " while receivers answer.",
            )
        ]
    )
