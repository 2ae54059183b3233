"""What a check found: good or bad, in a sentence, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"  # works, but not as it should in production, or could not be looked at
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about the installation; `advice` says what to do."""

    status: Status
    text: str
    advice: str | None = None


def ok(text: str) -> Finding:
    return Finding(Status.OK, text)


def warn(text: str, advice: str) -> Finding:
    return Finding(Status.WARN, text, advice)


def fail(text: str, advice: str) -> Finding:
    return Finding(Status.FAIL, text, advice)
