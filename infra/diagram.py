"""Draws docs/flow.svg, the way an event takes: `make diagram`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

TARGET: Final = Path(__file__).parent.parent / "docs" / "flow.svg"

_WIDTH, _HEIGHT = 1000, 536
_INK, _SOFT, _LINE = "#1f2430", "#5b6472", "#8a94a6"
_FILLS: Final = {
    "outside": "#ffffff",
    "function": "#fde8d7",
    "table": "#dfe9fb",
    "queue": "#f7dce8",
}


@dataclass(frozen=True, slots=True)
class Box:
    """Something that an event meets."""

    name: str
    says: str
    kind: str
    x: int
    y: int
    width: int = 156
    height: int = 58

    @property
    def left(self) -> tuple[int, int]:
        return self.x, self.y + self.height // 2

    @property
    def right(self) -> tuple[int, int]:
        return self.x + self.width, self.y + self.height // 2

    @property
    def top(self) -> tuple[int, int]:
        return self.x + self.width // 2, self.y

    @property
    def bottom(self) -> tuple[int, int]:
        return self.x + self.width // 2, self.y + self.height


SAAS: Final = Box("Your SaaS", "publishes events", "outside", 20, 146)
API: Final = Box("ApiFunction", "checks, accepts", "function", 215, 146)
EVENTS: Final = Box("EventsTable", "written once", "table", 410, 146)
DISPATCH: Final = Box("DispatchFunction", "match, sign, POST", "function", 605, 146)
RECEIVERS: Final = Box("Receivers", "your customers' URLs", "outside", 830, 226)
DELIVERIES: Final = Box("DeliveriesTable", "every attempt of both", "table", 830, 386)
DELIVER: Final = Box("DeliverFunction", "the same attempt", "function", 605, 326)
QUEUES: Final = (
    Box("DeliverQueue", "no wait: overflow", "queue", 215, 276, height=46),
    Box("Retry1MinQueue", "before attempt 2", "queue", 215, 334, height=46),
    Box("Retry5MinQueue", "before attempt 3", "queue", 215, 392, height=46),
    Box("Retry15MinQueue", "before attempt 4", "queue", 215, 450, height=46),
)


SWEEP: Final = Box("SweepFunction", "overdue: once more", "function", 830, 466)
REPLAY_QUEUE: Final = Box("ReplayQueue", "a page at a time", "queue", 12, 276, height=46)
REPLAY: Final = Box("ReplayFunction", "begins anew", "function", 12, 355)
SES: Final = Box("SES", "tells about mails", "outside", 20, 26)
FEEDBACK_QUEUE: Final = Box("FeedbackQueue", "through SNS", "queue", 215, 26)
FEEDBACK: Final = Box("FeedbackFunction", "cleans, accepts", "function", 410, 26)


def render() -> str:
    """Return the picture's text."""
    boxes = (
        SES,
        FEEDBACK_QUEUE,
        FEEDBACK,
        SAAS,
        API,
        EVENTS,
        DISPATCH,
        RECEIVERS,
        DELIVERIES,
        DELIVER,
        SWEEP,
        REPLAY_QUEUE,
        REPLAY,
        *QUEUES,
    )
    join_x, queue_x = 480, 190
    lines = [
        _arrow([SES.right, FEEDBACK_QUEUE.left]),
        _arrow([FEEDBACK_QUEUE.right, FEEDBACK.left]),
        _arrow([FEEDBACK.bottom, EVENTS.top]),
        _arrow([SAAS.right, API.left], "POST /v1/events"),
        _arrow([API.right, EVENTS.left], "put"),
        _arrow([EVENTS.right, DISPATCH.left], "stream"),
        _arrow([DISPATCH.right, (790, 175), (790, 246), (830, 246)], "attempt 1", at=(798, 194)),
        _arrow([DELIVER.right, (790, 355), (790, 264), (830, 264)], "2, 3, 4", at=(798, 318)),
        _arrow([(680, 384), (680, 415), (830, 415)], "row", at=(752, 408)),
        *(_line([queue.right, (join_x, queue.right[1])]) for queue in QUEUES),
        _line([(join_x, QUEUES[0].right[1]), (join_x, QUEUES[-1].right[1])]),
        _arrow([(join_x, 355), DELIVER.left]),
        _line([DISPATCH.bottom, (683, 246), (queue_x, 246), (queue_x, QUEUES[-1].left[1])]),
        *(_arrow([(queue_x, queue.left[1]), queue.left]) for queue in QUEUES),
        _line([(640, 384), (640, 516), (queue_x, 516), (queue_x, QUEUES[-1].left[1])]),
        _arrow([DELIVERIES.bottom, SWEEP.top]),
        _arrow([API.bottom, (API.bottom[0], 226), (90, 226), REPLAY_QUEUE.top]),
        _text(150, 220, "POST …/replays", _SOFT, 12),
        _arrow([REPLAY_QUEUE.bottom, REPLAY.top]),
        _line([REPLAY.right, (queue_x, REPLAY.right[1])]),
        _line([SWEEP.left, (640, SWEEP.left[1])]),
        _text(430, 240, "no answer, 5xx, no room", _SOFT, 12),
        _text(430, 509, "no answer or 5xx again", _SOFT, 12),
    ]
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
                ' font-family="system-ui, sans-serif">'
            ),
            "<title>The way an event takes through Posthorn</title>",
            (
                '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
                f' orient="auto"><path d="M0 0L8 4L0 8z" fill="{_LINE}"/></marker></defs>'
            ),
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="#fbfbfd"/>',
            *lines,
            *(_box(box) for box in boxes),
            "</svg>\n",
        ]
    )


def _box(box: Box) -> str:
    middle = box.x + box.width // 2
    return (
        f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="6"'
        f' fill="{_FILLS[box.kind]}" stroke="{_LINE}"/>'
        + _text(middle, box.y + box.height // 2 - 3, box.name, _INK, 14, weight="600")
        + _text(middle, box.y + box.height // 2 + 15, box.says, _SOFT, 12)
    )


def _text(x: int, y: int, text: str, colour: str, size: int, *, weight: str = "400") -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="middle" font-size="{size}" font-weight="{weight}"'
        f' fill="{colour}">{escape(text, quote=False)}</text>'
    )


def _line(points: list[tuple[int, int]], tip: str = "") -> str:
    path = " ".join(f"{x},{y}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{_LINE}" stroke-width="1.5"{tip}/>'


def _arrow(points: list[tuple[int, int]], label: str = "", at: tuple[int, int] | None = None) -> str:
    drawn = _line(points, ' marker-end="url(#tip)"')
    if not label:
        return drawn
    if at is None:
        at = (points[0][0] + points[-1][0]) // 2, points[0][1] - 34
        return drawn + _text(*at, label, _SOFT, 12)
    return drawn + (
        f'<text x="{at[0]}" y="{at[1]}" font-size="12" fill="{_SOFT}">{escape(label, quote=False)}</text>'
    )


if __name__ == "__main__":
    TARGET.write_text(render(), "utf-8")
    sys.stdout.write(f"wrote {TARGET.name}\n")
