"""Draws docs/benchmarks.svg: cost per million deliveries and deliveries per vCPU, by load."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

from posthorn_cli.cost.model import Workload, bill
from tests.bench.cost import RATES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WIDTH, _HEIGHT = 820, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 750, 50, 330
_INK, _SOFT, _GRID = "#1f2430", "#5b6472", "#dde2ea"
_SINGLE, _TENS, _SPEED = "#c2541b", "#e0a070", "#2f5fb3"


def draw(figures: Mapping[str, float]) -> str:
    """Return the SVG's text."""
    usual = Workload()
    singly = [bill(replace(usual, rate=rate), figures) for rate in RATES]
    tens = [bill(replace(usual, rate=rate, published=10), figures) for rate in RATES]
    speed = [_per_vcpu(one.batch, figures) for one in singly]
    dollars = _Axis(max(one.per_million for one in singly + tens) * 1.1)
    per_second = _Axis(max(speed) * 1.1)
    lines = [
        *(
            _text(_x(rate), _BOTTOM + 20, f"{rate:,g}", _SOFT)
            + _line([(_x(rate), _TOP), (_x(rate), _BOTTOM)], _GRID)
            for rate in RATES
        ),
        *dollars.ticks(_LEFT - 8, "end", "${:,.0f}", _SINGLE),
        *per_second.ticks(_RIGHT + 8, "start", "{:,.0f}", _SPEED),
        _line(
            [(_x(rate), dollars(one.per_million)) for rate, one in zip(RATES, singly, strict=True)],
            _SINGLE,
            2.5,
        ),
        _line(
            [(_x(rate), dollars(one.per_million)) for rate, one in zip(RATES, tens, strict=True)], _TENS, 2.5
        ),
        _line([(_x(rate), per_second(value)) for rate, value in zip(RATES, speed, strict=True)], _SPEED, 2.5),
        _text((_LEFT + _RIGHT) / 2, _BOTTOM + 44, "events a second", _INK),
        _text(_LEFT, 24, "$ per million deliveries: published singly", _SINGLE, anchor="start"),
        _text(_LEFT + 272, 24, "in tens", _TENS, anchor="start"),
        _text(_RIGHT, 24, "deliveries per second and vCPU", _SPEED, anchor="end"),
    ]
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
                ' font-family="system-ui, sans-serif">'
            ),
            "<title>Cost and throughput by load</title>",
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="#fbfbfd"/>',
            *lines,
            "</svg>\n",
        ]
    )


def _per_vcpu(batch: float, figures: Mapping[str, float]) -> float:
    one, hundred = figures["dispatch_1_cpu_ms"], figures["dispatch_100_cpu_ms"]
    return batch / (one + (hundred - one) / 99 * (batch - 1)) * 1000


def _x(rate: float) -> float:
    low, high = math.log(RATES[0]), math.log(RATES[-1])
    return _LEFT + (math.log(rate) - low) / (high - low) * (_RIGHT - _LEFT)


@dataclass(frozen=True, slots=True)
class _Axis:
    """An axis from zero to `high`."""

    high: float

    def __call__(self, value: float) -> float:
        return _BOTTOM - value / self.high * (_BOTTOM - _TOP)

    def ticks(self, x: float, anchor: str, shape: str, colour: str) -> list[str]:
        power = 10 ** math.floor(math.log10(self.high))
        step = next(size for size in (power / 5, power / 2, power, power * 2) if self.high / size <= 8)
        return [
            _text(x, self(number * step) + 4, shape.format(number * step), colour, anchor=anchor)
            for number in range(int(self.high / step) + 1)
        ]


def _line(points: Sequence[tuple[float, float]], colour: str, width: float = 1) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, text: str, colour: str, *, anchor: str = "middle") -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="12" fill="{colour}">'
        f"{escape(text, quote=False)}</text>"
    )
