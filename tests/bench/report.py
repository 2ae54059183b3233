"""The benchmark's results: tables, budgets with pass or fail, and the document with both."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pycurl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.measure import Spread

PACKAGES: Final = ("boto3", "pycurl", "pydantic", "aws-lambda-powertools", "requests")


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a heading."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    about: str = ""

    def markdown(self) -> str:
        lines = [
            f"## {self.title}",
            "",
            *([self.about, ""] if self.about else []),
            "| " + " | ".join(self.columns) + " |",
            "|" + "|".join("---" if at == 0 else "--:" for at in range(len(self.columns))) + "|",
            *("| " + " | ".join(row) + " |" for row in self.rows),
            "",
        ]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget and its measured figure."""

    what: str
    limit: float
    figure: float
    unit: str
    at_least: bool = False

    @property
    def kept(self) -> bool:
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit

    @property
    def row(self) -> tuple[str, ...]:
        sign = "≥" if self.at_least else "≤"
        return (
            self.what,
            f"{sign} {number(self.limit)} {self.unit}".rstrip(),
            f"{number(self.figure)} {self.unit}".rstrip(),
            "pass" if self.kept else "**fail**",
        )


@dataclass(slots=True)
class Report:
    """All results of one run."""

    tables: list[Table] = field(default_factory=list)
    budgets: list[Budget] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)  # for the cost model

    def merge(self, other: Report) -> None:
        self.tables += other.tables
        self.budgets += other.budgets
        self.figures |= other.figures

    def budget_table(self) -> Table:
        return Table(
            "Budgets", ("what", "budget", "figure", ""), tuple(budget.row for budget in self.budgets)
        )


def number(value: float) -> str:
    """Format a figure with three significant digits."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def spread(value: Spread) -> str:
    return f"{number(value.median)} [{number(value.low)}..{number(value.high)}]"


def machine() -> str:
    """Return a paragraph about the machine of this run."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{os.cpu_count()} × {cpu}, Linux {platform.release()}, Python {platform.python_version()},"
        f" {pycurl.version.split(' ', 2)[1]}, {packages}."
    )


def document(report: Report, *, date: str, load: Sequence[str], plot: str) -> str:
    """Return the text of docs/benchmarks.md."""
    parts = [
        "# Benchmarks\n",
        (
            "Written by `make bench`; by nobody's hand. How it is measured, and why so:"
            " [decision 0020](../infra/decisions/0020-measuring-speed-and-cost.md).\n"
        ),
        f"{date}. {machine()}\n",
        (
            f"Load of the machine while this ran (1 min): {', '.join(load)}. Columns with × are ratios within the same"
            " round; a figure is a median, brackets hold the least and the most of all rounds. CPU is that of the"
            " process under test.\n"
        ),
        f"![Cost and throughput against load]({plot})\n",
        report.budget_table().markdown(),
        *(table.markdown() for table in report.tables),
    ]
    return "\n".join(parts).rstrip() + "\n"


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
