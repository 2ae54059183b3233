"""Cold starts: the time of each handler's imports and clients in a fresh interpreter, and artifact sizes."""

from __future__ import annotations

import io
import os
import re
import statistics
import subprocess
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from infra.bytecode import BUILD
from infra.local.places import LAMBDA_PYTHON
from tests.bench.measure import Spread
from tests.bench.report import Budget, Report, Table, number, say, spread

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_EMPTY: Final = "import json\ndef handler(event, context): return {}"
_BOTO3: Final = "import boto3\nfor name in ('dynamodb', 'kms', 'sqs'): boto3.client(name)"
_HANDLERS: Final = {
    "dispatch": "from posthorn.handlers.dispatch import dispatcher; dispatcher()",
    "deliver": "from posthorn.handlers.deliver import deliverer; deliverer()",
    "api": "from posthorn.handlers.api import _app, services; _app(); services()",
}
_IMPORTED: Final = re.compile(r"import time:\s*(\d+) \|\s*\d+ \| *(\S+)")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A function as it is deployed, and an interpreter with Lambda's own packages."""

    folder: Path
    python: Path

    @classmethod
    def built(cls) -> Artifact:
        folder = BUILD / "ApiFunction"
        if not next(folder.glob("posthorn/__pycache__/*.pyc"), None):
            raise RuntimeError("there is no compiled build; run `make build` first")
        return cls(folder, LAMBDA_PYTHON)

    def run(self, code: str, environment: Mapping[str, str], *options: str) -> tuple[float, str]:
        """Run code in a fresh interpreter that exits at once; return its CPU ms and its stderr."""
        # Lambda does not exit after the first import, and teardown would add a tenth of the time.
        code = f"{code}\nimport os, sys; sys.stderr.flush(); os._exit(0)"
        process = subprocess.Popen(
            [self.python, "-B", *options, "-c", code],
            env={**environment, "PYTHONPATH": str(self.folder)},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        if process.stderr is None:
            raise RuntimeError("no pipe")
        said = process.stderr.read().decode()
        process.stderr.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(said)
        return (usage.ru_utime + usage.ru_stime) * 1000, said


def cold_report(environment: Mapping[str, str], *, rounds: int) -> Report:
    """Measure fresh interpreters in turns, each with the artifact's own bytecode."""
    artifact = Artifact.built()
    env = {"PATH": os.environ["PATH"], **environment}
    codes = {
        "empty handler": _EMPTY,
        "boto3 with their clients": _BOTO3,
        **_HANDLERS,
    }
    say("cold start: fresh interpreters")
    taken: dict[str, list[float]] = {name: [] for name in codes}
    for turn in range(rounds + 1):
        for name, code in codes.items():
            cpu, _ = artifact.run(code, env)
            if turn:  # the first one warms the page cache
                taken[name].append(cpu)
    over = {
        name: [cpu - empty for cpu, empty in zip(values, taken["empty handler"], strict=True)]
        for name, values in taken.items()
    }

    def against_boto3(name: str) -> Spread:
        return Spread.of([a / b for a, b in zip(over[name], over["boto3 with their clients"], strict=True)])

    lines = tuple(
        (
            name,
            spread(against_boto3(name)) if name in _HANDLERS else "",
            spread(Spread.of(taken[name])),
        )
        for name in codes
    )
    report = Report(
        tables=[
            Table(
                "Cold start",
                (
                    "a fresh interpreter that imports",
                    "× boto3 with the same clients",
                    "CPU ms of the process",
                ),
                lines,
                "The artifact of `make build`, with its bytecode, on Python with the Lambda runtime's packages."
                " The ratio is of the time beyond the empty handler's. Each creates the clients of DynamoDB, KMS and SQS.",
            )
        ],
        budgets=[
            Budget(
                f"import and clients of {name}: × boto3 with the same clients",
                1.8 if name == "api" else 1.3,
                against_boto3(name).median,
                "×",
            )
            for name in _HANDLERS
        ],
        figures={f"init_{name}_cpu_ms": statistics.median(taken[name]) for name in _HANDLERS},
    )
    report.tables += [_without_bytecode(artifact, env), _dearest(artifact, env), _weight(artifact)]
    return report


def _without_bytecode(artifact: Artifact, env: Mapping[str, str]) -> Table:
    """Measure the same imports without bytecode, to show what it saves."""
    lines = []
    boto3 = "import boto3; [boto3.client(name) for name in ('dynamodb', 'kms', 'sqs', 'sns')]"
    # a prefix that does not exist: from then on, imports look for bytecode there
    hidden = "import sys; sys.pycache_prefix = '/nowhere'"
    for name in ("dispatch", "api"):
        code = _HANDLERS[name]
        turns = [
            (artifact.run(f"{boto3}; {code}", env)[0], artifact.run(f"{boto3}; {hidden}; {code}", env)[0])
            for _ in range(3)
        ]
        with_it, without = (min(values) for values in zip(*turns, strict=True))
        lines.append((name, number(without / with_it), number(with_it), number(without)))
    return Table(
        "Time saved by the artifact's bytecode",
        ("handler", "× without", "CPU ms with it", "without"),
        tuple(lines),
        "The whole process, the minimum of three. boto3 is imported first: it comes with the runtime, with bytecode either"
        " way.",
    )


def _dearest(artifact: Artifact, env: Mapping[str, str]) -> Table:
    lines: list[tuple[str, ...]] = []
    for name, code in _HANDLERS.items():
        _, said = artifact.run(code, env, "-X", "importtime")
        packages: defaultdict[str, int] = defaultdict(int)
        for microseconds, module in _IMPORTED.findall(said):
            packages[module.split(".")[0]] += int(microseconds)
        dearest = sorted(packages.items(), key=lambda item: -item[1])[:10]
        lines.append((name, ", ".join(f"{package} {number(spent / 1000)}" for package, spent in dearest)))
    return Table(
        "The ten slowest imports",
        ("handler", "package and the ms of its own modules, by `-X importtime`"),
        tuple(lines),
    )


def _weight(artifact: Artifact) -> Table:
    files = [path for path in artifact.folder.rglob("*") if path.is_file()]
    packed = io.BytesIO()
    by_package: defaultdict[str, int] = defaultdict(int)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            name = path.relative_to(artifact.folder)
            archive.write(path, name)
            by_package[name.parts[0]] += path.stat().st_size
    bytecode = sum(path.stat().st_size for path in files if path.suffix == ".pyc")
    total = sum(by_package.values())
    largest = sorted(by_package.items(), key=lambda item: -item[1])[:6]
    lines = (
        ("zipped", number(len(packed.getvalue()) / 1e6)),
        ("unzipped", number(total / 1e6)),
        ("of which bytecode", number(bytecode / 1e6)),
        *((f"of which {name}", number(size / 1e6)) for name, size in largest),
    )
    return Table(
        "The artifact", ("", "MB"), lines, "One folder is deployed for every function (decision 0001)."
    )


def on_loopback(ca_file: str) -> str:
    """Return code that makes delivering functions resolve every receiver to this machine."""
    return f"""
from posthorn.wiring import delivery as wiring
from posthorn.transport.targets import Policy
from posthorn.transport.http import Client
wiring.http_client = lambda _: Client(
    policy=Policy(allow_private=True), ca_file={ca_file!r}, resolver=lambda _: ("127.0.0.1",)
)
"""


def memory_report(environment: Mapping[str, str], event_file: Path, ca_file: str) -> Report:
    """Return the peak memory of DispatchFunction for a batch of 100 × 10, in a process of its own."""
    say("memory: dispatch, 100 × 10")
    artifact = Artifact.built()
    code = f"""
import json, sys
{on_loopback(ca_file)}
from posthorn.handlers.dispatch import handler
class Context:
    def get_remaining_time_in_millis(self): return 60_000
with open({str(event_file)!r}) as file:
    event = json.load(file)
if handler(event, Context()) != {{"batchItemFailures": []}}: sys.exit(1)
# not ru_maxrss, which includes the process that this one was forked from
with open("/proc/self/status") as file:
    sys.stderr.write(next(line for line in file if line.startswith("VmHWM")))
"""
    _, said = artifact.run(code, {"PATH": os.environ["PATH"], **environment})
    peak = int(said.split()[1]) / 1024
    return Report(budgets=[Budget("peak memory, dispatch, 100 × 10", 160, peak, "MB")])
