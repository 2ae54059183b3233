"""Deliberate breakages of the template, declared beside the contract that must notice them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    type Contract = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Breakage:
    """A piece of the template's text, and a replacement that breaks a contract."""

    contract: Contract
    old: str
    new: str
    # the contract's further arguments, for one case
    given: dict[str, Any] = field(default_factory=dict)


BREAKAGES: Final[list[Breakage]] = []


def broken_by[C: Contract](*pieces: tuple[str, str], **given: Any) -> Callable[[C], C]:
    """Declare what breaks a contract; test_breakages.py checks that the contract notices."""

    def note(contract: C) -> C:
        BREAKAGES.extend(Breakage(contract, old, new, given) for old, new in pieces)
        return contract

    return note
