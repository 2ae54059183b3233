"""What becomes of a mail at an address, as SES's mailbox simulator would have it.

At `simulator.amazonses.com`, mail to `bounce@`, `suppressionlist@`, `complaint@` and `ooto@` meets the fate
that the SES Developer Guide gives it ("Using the mailbox simulator manually"), with and without a label:
`bounce+order-7@`. Mail to `success@`, and to every other address in the world, is delivered.

SES's simulator never opens a mail; ours does. The part before the @ is cut at its plus signs, and where the
mail arrives and one of the pieces is `open` or `click`, it is opened or clicked: `success+open@`,
`complaint+open+click@`, `success+click+order-7@`. `success` may be left out: `open+order-7@`, `click@`.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

DOMAIN: Final = "simulator.amazonses.com"


class Fate(Enum):
    """What becomes of a mail."""

    DELIVERED = auto()
    BOUNCED = auto()  # there is no such mailbox
    SUPPRESSED = auto()  # SES does not even try
    COMPLAINED = auto()  # delivered, and then called spam
    ANSWERED = auto()  # delivered, and then answered by a machine

    @property
    def arrives(self) -> bool:
        return self not in {Fate.BOUNCED, Fate.SUPPRESSED}


@dataclass(frozen=True, slots=True)
class Reaction:
    """What an address does with a mail."""

    fate: Fate = Fate.DELIVERED
    opens: bool = False
    clicks: bool = False


_FATES: Final = {
    "bounce": Fate.BOUNCED,
    "suppressionlist": Fate.SUPPRESSED,
    "complaint": Fate.COMPLAINED,
    "ooto": Fate.ANSWERED,
}


def reaction(address: str) -> Reaction:
    """Return what an address, without a name before it, does with a mail."""
    local, _, domain = address.rpartition("@")
    if domain.lower() != DOMAIN:
        return Reaction()
    pieces = local.lower().split("+")
    fate = _FATES.get(pieces[0], Fate.DELIVERED)
    return Reaction(fate, opens=fate.arrives and "open" in pieces, clicks=fate.arrives and "click" in pieces)
