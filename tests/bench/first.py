"""The first invocation: the work left for it after the code was loaded in one way or another."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from tests.bench.cold import Artifact, on_loopback
from tests.bench.deliveries import hosts
from tests.bench.measure import Spread
from tests.bench.publishing import new_key, request
from tests.bench.report import Report, Table, number, say, spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.bench.stage import Stage

_LAMBDA: Final = {"AWS_LAMBDA_FUNCTION_NAME": "bench"}
_LOADED: Final[dict[str, dict[str, str]]] = {
    "imported only": {},
    "loaded by Lambda": _LAMBDA,
    "loaded for a snapshot": {**_LAMBDA, "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"},
}
_CODE: Final = """
import json, os, sys, time
class Context:
    function_name = invoked_function_arn = aws_request_id = "bench"
    memory_limit_in_mb = 512
    def get_remaining_time_in_millis(self): return 60_000
event = json.loads(os.environ.pop("EVENT"))
begun = time.process_time()
{network}
from posthorn.handlers.{handler} import handler
loaded = time.process_time()
answer = handler(event, Context())
answered = time.process_time()
if answer.get("statusCode", 202) != 202 or answer.get("batchItemFailures"): sys.exit(str(answer))
sys.stderr.write(f"{{(loaded - begun) * 1000}} {{(answered - loaded) * 1000}}")
"""


def first_report(stage: Stage, *, rounds: int) -> Report:
    """Measure one publish and one batch of ten in fresh interpreters, for each way of loading the code."""
    say("first invocation: fresh interpreters")
    stage.listen(hosts(1))
    publish = request("POST", "/v1/events", new_key(), {"event": "CONTACT_CREATED", "data": {"n": 1}})
    batch = stage.records(stage.events(10, size=1024))
    api = _CODE.format(handler="api", network="")
    dispatch = _CODE.format(handler="dispatch", network=on_loopback(stage.ca_file))
    env = {"PATH": os.environ["PATH"], **stage.environment()}
    ways = [*_LOADED]
    lines = [
        *_lines("api, one publish", ways, api, {**env, "EVENT": json.dumps(publish)}, rounds=rounds),
        # it has no snapshots
        *_lines(
            "dispatch, ten events", ways[:2], dispatch, {**env, "EVENT": json.dumps(batch)}, rounds=rounds
        ),
    ]
    return Report(
        tables=[
            Table(
                "The first invocation",
                ("handler", "loaded", "× the minimum", "CPU ms of the first invocation", "CPU ms of loading"),
                tuple(lines),
                "While Lambda loads a function it has a whole vCPU, as others have measured, and then the share of its"
                " memory: 0.29 at 512 MB, 0.14 at 256. So clients are created during loading. A snapshot is"
                " taken after that, once for each version, and delays no request; the time of a restore is"
                " Lambda's and not measured here. Nor is there TLS to AWS: for each of its connections, boto3 reads the file"
                " of certificates, in about 20 ms of CPU.",
            )
        ]
    )


def _lines(
    what: str, ways: Sequence[str], code: str, env: Mapping[str, str], *, rounds: int
) -> list[tuple[str, ...]]:
    artifact = Artifact.built()
    taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            _, said = artifact.run(code, {**env, **_LOADED[way]})
            loading, first = map(float, said.split())
            taken[way].append((loading, first))
    least = min(first for pairs in taken.values() for _, first in pairs)
    lines: list[tuple[str, ...]] = []
    for way, pairs in taken.items():
        before, then = (Spread.of(values) for values in zip(*pairs, strict=True))
        name = what if way == ways[0] else ""
        lines.append((name, way, number(then.median / least), spread(then), spread(before)))
    return lines
