"""Sender identities: the domains and addresses that a workspace may send emails from."""

from dataclasses import dataclass
from enum import StrEnum


class IdentityKind(StrEnum):
    """Whether an identity covers a domain with its subdomains, or one address."""

    DOMAIN = "domain"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class SenderIdentity:
    """A domain or an address; `name` is in the form that `posthorn.email.senders` compares."""

    workspace: str
    name: str
    created_at: int
    has_tenant: bool = False  # whether its emails go through the workspace's tenant of SES

    @property
    def kind(self) -> IdentityKind:
        return IdentityKind.ADDRESS if "@" in self.name else IdentityKind.DOMAIN
