"""The benchmark itself, in small: its counts are correct, and every case runs and reports."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from xml.etree import ElementTree as ET

from posthorn_cli.cost.counts import committed
from posthorn_cli.cost.measured import committed as measured
from tests.bench import counting, plot
from tests.bench.measure import Series, Spread, ratio
from tests.bench.report import Budget, Report, Table, document, number
from tests.template import ROOT


def test_the_committed_counts_are_those_of_a_fresh_run() -> None:
    """The committed counts.json is current. Run `make counts` after changing the calls of a delivery."""
    (fresh,) = counting.count((2048,))

    assert fresh == next(run for run in committed() if run.payload == 2048)


def test_every_case_runs_and_every_budget_gets_a_figure() -> None:
    """`python -m tests.bench --quick` runs each case once; its figures say nothing about the budgets."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--quick", "--without-artifact"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode in {0, 1}, done.stderr
    assert "Traceback" not in done.stderr
    rows = [line for line in done.stdout.splitlines() if line.endswith(("| pass |", "| **fail** |"))]
    assert len(rows) == 11, done.stdout


def test_the_committed_document_is_whole() -> None:
    """docs/benchmarks.md has a figure for every budget, and the plot is valid XML."""
    text = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")

    for what in (
        "bare client loop",
        "naive code",
        "AWS calls",
        "write units",
        "boto3",
        "peak memory",
        "$ per million",
        "growth",
    ):
        assert what in text, what
    assert text.count("| pass |") + text.count("| **fail** |") == 16
    ET.fromstring((ROOT / "docs" / "benchmarks.svg").read_text("utf-8"))  # noqa: S314 - our own picture


def test_the_committed_document_has_the_sentences_of_its_generator() -> None:
    """Nobody edits docs/benchmarks.md by hand: what explains each table is what tests/bench writes."""
    text = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    sentences = [
        piece
        for path in sorted(ROOT.glob("tests/bench/*.py"))
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Table"
        for node in call.args
        for part in ast.walk(node)
        if isinstance(part, ast.Constant)
        and isinstance(piece := part.value, str)
        and re.search(r"[.:](\s|$)", piece)
    ]

    head, _, _ = document(Report(), date="2026", load=[], plot="").partition("\n\n2026")

    assert text.startswith(head)
    assert len(sentences) > 5
    assert [sentence for sentence in sentences if sentence not in text] == []


def test_the_plot_shows_every_load() -> None:
    """The plot is XML and names the computed rates."""
    drawn = plot.draw(measured())

    words = {element.text for element in ET.fromstring(drawn).iter()}  # noqa: S314 - our own picture
    assert {"0.4", "1,000", "10,000", "events a second"} <= words


def test_ratios_are_taken_within_a_round() -> None:
    """A slow machine slows both sides of a round, so their ratio is unchanged."""
    ours, floor = Series(cpu_ms=[4.0, 40.0, 4.4]), Series(cpu_ms=[1.0, 10.0, 1.0])

    assert ratio(ours, floor) == Spread(4.0, 4.0, 4.4)


def test_a_budget_is_kept_at_its_limit() -> None:
    """A limit is included, both at most and at least."""
    assert Budget("x", 4, 4.0, "×").kept
    assert not Budget("x", 4, 4.01, "×").kept
    assert Budget("x", 20, 20.0, "×", at_least=True).kept
    assert not Budget("x", 20, 19.9, "×", at_least=True).kept


def test_the_document_is_markdown() -> None:
    """Every row of a table has as many cells as its header; budgets say pass or fail."""
    report = Report(
        tables=[Table("One", ("a", "b"), (("1", "2"), ("3", "4")), "About.")],
        budgets=[Budget("fast", 2, 3.0, "ms")],
    )

    text = document(report, date="2026-11-21", load=["0.1"], plot="plot.svg")

    assert "| fast | ≤ 2 ms | 3 ms | **fail** |" in text
    assert "| 3 | 4 |" in text
    assert text.index("Budgets") < text.index("## One")


def test_figures_have_three_digits() -> None:
    """Small figures keep their digits, and large ones get separators."""
    written = [number(value) for value in (0.0123, 0.123, 1.234, 12.34, 1234.5, 7.0)]
    assert written == ["0.012", "0.12", "1.23", "12.3", "1,234", "7"]


def test_measured_figures_are_numbers() -> None:
    """Every figure that the cost model reads from the last benchmark is there."""
    text = json.loads((ROOT / "infra" / "posthorn_cli" / "cost" / "measured.json").read_text("utf-8"))

    assert {
        "publish_1_cpu_ms",
        "dispatch_1_cpu_ms",
        "dispatch_100_cpu_ms",
        "deliver_10_cpu_ms",
    } <= text.keys()
    assert all(value > 0 for name, value in text.items() if name != "date")
