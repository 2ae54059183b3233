"""Answers about sender identities."""

from typing import NotRequired, TypedDict

from posthorn.api.answers.fields import Time
from posthorn.domain.sender_identity import IdentityKind


class SenderIdentity(TypedDict):
    """A domain or an address that a workspace may send emails from."""

    identity: str
    """The domain or the address, which also identifies it in paths; domains in lower case and in ASCII."""
    kind: IdentityKind
    """Whether it covers a domain with its subdomains, or one address."""
    createdAt: Time
    """When it was registered."""


class SenderIdentityResult(TypedDict):
    """One sender identity."""

    senderIdentity: SenderIdentity
    """The sender identity."""


class SenderIdentityList(TypedDict):
    """A page of sender identities."""

    senderIdentities: list[SenderIdentity]
    """The sender identities of this page, in alphabetical order."""
    nextCursor: NotRequired[str]
    """The `cursor` of the next page; absent on the last one."""
