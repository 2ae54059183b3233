"""The first request: what is left for it when the code was loaded one way or another."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from tests.bench.cold import Artifact
from tests.bench.measure import Spread
from tests.bench.publishing import new_key, request
from tests.bench.report import Report, Table, number, say, spread

if TYPE_CHECKING:
    from collections.abc import Mapping

_LAMBDA: Final = {"AWS_LAMBDA_FUNCTION_NAME": "api"}
_LOADED: Final[dict[str, dict[str, str]]] = {
    "imported only": {},
    "loaded by Lambda": _LAMBDA,
    "restored from a snapshot": {**_LAMBDA, "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"},
}
_CODE: Final = """
import json, os, sys, time
class Context:
    function_name = invoked_function_arn = aws_request_id = "bench"
    memory_limit_in_mb = 512
event = json.loads(os.environ.pop("REQUEST"))
begun = time.process_time()
from posthorn.handlers.api import handler
loaded = time.process_time()
answer = handler(event, Context())
answered = time.process_time()
if answer["statusCode"] != 202: sys.exit(answer["body"])
sys.stderr.write(f"{(loaded - begun) * 1000} {(answered - loaded) * 1000}")
"""


def first_report(environment: Mapping[str, str], *, rounds: int) -> Report:
    """Publish one event through ApiFunction in a fresh interpreter, after each way of loading it."""
    say("first request: fresh interpreters")
    artifact = Artifact.built()
    wanted = request("POST", "/v1/events", new_key(), {"event": "CONTACT_CREATED", "data": {"n": 1}})
    env = {"PATH": os.environ["PATH"], **environment, "REQUEST": json.dumps(wanted)}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in _LOADED}
    for _ in range(rounds):
        for name, variables in _LOADED.items():
            _, said = artifact.run(_CODE, {**env, **variables})
            loading, first = map(float, said.split())
            taken[name].append((loading, first))
    least = min(first for pairs in taken.values() for _, first in pairs)
    lines = []
    for name, pairs in taken.items():
        before, then = (Spread.of(values) for values in zip(*pairs, strict=True))
        lines.append((name, number(then.median / least), spread(then), spread(before)))
    return Report(
        tables=[
            Table(
                "The first request",
                ("ApiFunction was", "× the least", "CPU ms of the first publish", "CPU ms of loading"),
                tuple(lines),
                "While Lambda loads a function it has a whole processor, afterwards what its memory buys: 0.29 of one at"
                " 512 MB. So clients are made while it is loaded. A snapshot is taken after loading, once for each version,"
                " and nobody waits for it; what restoring takes is Lambda's affair and cannot be seen here.",
            )
        ]
    )
