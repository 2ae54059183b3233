"""Decides what happens to an email at an address, like SES's mailbox simulator.

At `simulator.amazonses.com`, emails to `bounce@`, `suppressionlist@`, `complaint@` and `ooto@` are handled as the SES
Developer Guide describes ("Using the mailbox simulator manually"), with and without a label: `bounce+order-7@`. Emails
to `success@`, and to all other addresses, are delivered.

Unlike SES's simulator, ours can also open emails. The part before the @ is split at plus signs; if the email is
delivered and one of the parts is `open` or `click`, it is opened or clicked: `success+open@`, `complaint+open+click@`,
`success+click+order-7@`. `success` is optional: `open+order-7@`, `click@`.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

DOMAIN: Final = "simulator.amazonses.com"


class Fate(Enum):
    """What happens to an email."""

    DELIVERED = auto()
    BOUNCED = auto()  # the mailbox does not exist
    SUPPRESSED = auto()  # SES does not try to deliver it
    COMPLAINED = auto()  # delivered, then marked as spam
    ANSWERED = auto()  # delivered, then answered automatically

    @property
    def arrives(self) -> bool:
        return self not in {Fate.BOUNCED, Fate.SUPPRESSED}


@dataclass(frozen=True, slots=True)
class Reaction:
    """How an address reacts to an email."""

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
    """Return how a bare address reacts to an email."""
    local, _, domain = address.rpartition("@")
    if domain.lower() != DOMAIN:
        return Reaction()
    pieces = local.lower().split("+")
    fate = _FATES.get(pieces[0], Fate.DELIVERED)
    return Reaction(fate, opens=fate.arrives and "open" in pieces, clicks=fate.arrives and "click" in pieces)
