"""Who an email is from: the address in `from`, and the names of the sender identities that cover it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from posthorn.email.domain_names import canonical_domain

if TYPE_CHECKING:
    from collections.abc import Iterator

# These stand in a URL's path as they are. Other addresses are covered by an identity for their domain.
_LOCAL_PART: Final = re.compile(r"[A-Za-z0-9._+='-]{1,64}")

NAME_RULE: Final = (
    "a domain, such as `mail.example.com`, or an address of letters, digits and `._+='-`, such as"
    " `billing@example.com`"
)


@dataclass(frozen=True, slots=True)
class Sender:
    """The `from` of an email, its domain in canonical form: `text` as it is sent, and the address in it."""

    text: str = field(repr=False)
    address: str = field(repr=False)


def sender_of(text: str) -> Sender | None:
    """Return the sender that a text names, which is an address with or without a name; None if its domain is none.

    What is compared with the identities is also what is sent: SES takes no domain outside ASCII, and compares the
    domain of an address identity with its case.
    """
    before, _, after = text.partition("@")  # `posthorn.email.addresses` takes exactly one
    written, bracket, local = before.rpartition("<")
    domain = canonical_domain(after.removesuffix(">"))
    if domain is None:
        return None
    address = f"{local}@{domain}"
    return Sender(f"{written}<{address}>" if bracket else address, address)


def identity_name(text: str) -> str | None:
    """Return the canonical name of a domain or an address; None if the text is neither.

    The part before the @ keeps its case: SES tells `Ann@example.com` from `ann@example.com`.
    """
    local, at, after = text.rpartition("@")
    domain = canonical_domain(after)
    if domain is None or not at:
        return domain
    return f"{local}@{domain}" if _LOCAL_PART.fullmatch(local) else None


def covering(name: str) -> Iterator[str]:
    """Yield the names of all identities that cover a canonical address or domain, the most specific first.

    A domain covers its subdomains, as in SES.
    """
    _, at, domain = name.rpartition("@")
    if at:
        yield name
    labels = domain.split(".")
    yield from (".".join(labels[start:]) for start in range(len(labels) - 1))
