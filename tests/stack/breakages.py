"""How a contract of the template is broken on purpose, said beside the contract."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    type Contract = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Breakage:
    """A piece of the template's text, and what in its place breaks a contract."""

    contract: Contract
    old: str
    new: str
    # what the contract takes beside the template, for one case
    given: dict[str, Any] = field(default_factory=dict)


BREAKAGES: Final[list[Breakage]] = []


def broken_by[C: Contract](*pieces: tuple[str, str], **given: Any) -> Callable[[C], C]:
    """Note what breaks a contract; test_breakages.py sees to it that the contract notices."""

    def note(contract: C) -> C:
        BREAKAGES.extend(Breakage(contract, old, new, given) for old, new in pieces)
        return contract

    return note
