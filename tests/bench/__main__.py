"""`make bench`: all cases, the document and its plot.

`--quick` runs every case once, in small, and writes nothing.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Final

from posthorn_cli.cost.measured import MEASURED
from tests.bench import cold, deliveries, first, growth, parts, plot, publishing
from tests.bench.cost import cost_report
from tests.bench.report import Report, document, say
from tests.bench.stage import running
from tests.template import ROOT

DOCUMENT: Final = ROOT / "docs" / "benchmarks.md"
PLOT: Final = ROOT / "docs" / "benchmarks.svg"


def measure(*, rounds: int, quick: bool, artifact: bool) -> Report:
    """Run every case; `quick` is for a test of the benchmark itself."""
    report = Report()
    with running() as stage, Path(os.devnull).open("w") as nowhere:
        if len(cores := sorted(os.sched_getaffinity(0))) > 1:
            os.sched_setaffinity(0, cores[:1])  # the stand-ins use the others
        try:
            with redirect_stdout(nowhere):  # the log lines of the attempts
                report.merge(deliveries.dispatch_report(stage, rounds=rounds, quick=quick))
                report.merge(parts.parts_report(stage, rounds=rounds))
                report.merge(deliveries.deliver_report(stage, rounds=rounds))
                report.merge(publishing.publish_report(stage, rounds=rounds))
                report.merge(growth.head_of_line_report(stage, rounds=min(rounds, 4), quick=quick))
                if artifact:
                    environment = stage.environment()
                    report.merge(cold.cold_report(environment, rounds=rounds))
                    report.merge(first.first_report(stage, rounds=rounds))
                    stage.listen(deliveries.hosts(10))
                    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                        json.dump(stage.records(stage.events(100, size=1024)), file)
                        file.flush()
                        report.merge(cold.memory_report(environment, Path(file.name), stage.ca_file))
                report.merge(
                    growth.growth_report(
                        stage,
                        rounds=rounds,
                        endpoints=(1, 10) if quick else (1, 10, 100, 1000, 10_000),
                        rows=(100, 1000) if quick else (1000, 100_000, 1_000_000),
                    )
                )
        finally:
            os.sched_setaffinity(0, cores)
    report.merge(cost_report(report.figures))
    return report


def main() -> int:
    """Measure, print the budgets, and write docs/benchmarks.md and the figures for the cost model."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="run every case once and write nothing")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each contender (default: 9)")
    parser.add_argument(
        "--without-artifact", action="store_true", help="skip the cases that need `make build`"
    )
    options = parser.parse_args()
    load = [f"{os.getloadavg()[0]:.2f} before"]
    report = measure(
        rounds=1 if options.quick else options.rounds,
        quick=options.quick,
        artifact=not options.without_artifact,
    )
    load.append(f"{os.getloadavg()[0]:.2f} after")
    date = dt.datetime.now(dt.UTC).date().isoformat()
    if not options.quick:
        MEASURED.write_text(
            json.dumps(
                {"date": date, **{k: round(v, 3) for k, v in sorted(report.figures.items())}}, indent=2
            )
            + "\n",
            "utf-8",
        )
        PLOT.write_text(plot.draw(report.figures), "utf-8")
        DOCUMENT.write_text(document(report, date=date, load=load, plot=PLOT.name), "utf-8")
        say(f"wrote {DOCUMENT.relative_to(ROOT)} and {PLOT.name}")
    sys.stdout.write(report.budget_table().markdown())
    return 0 if all(budget.kept for budget in report.budgets) else 1


if __name__ == "__main__":
    sys.exit(main())
