"""An email, and the interface of the backends that send it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from posthorn.domain.models import Suppression


@dataclass(frozen=True, slots=True)
class Mail:
    """An email to send. `message_id` is our own, and its events will carry it."""

    message_id: str
    workspace: str
    configuration_set: str | None  # its id; without one, no events are published
    sender: str = field(repr=False)
    to: tuple[str, ...] = field(repr=False)
    cc: tuple[str, ...] = field(default=(), repr=False)
    bcc: tuple[str, ...] = field(default=(), repr=False)
    reply_to: tuple[str, ...] = field(default=(), repr=False)
    subject: str = field(default="", repr=False)
    html: str | None = field(default=None, repr=False)
    text: str | None = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    tags: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    has_tenant: bool = False  # sent through the tenant of the workspace, if the backend has tenants


class Backend(Protocol):
    """Sends emails and keeps configuration sets and tenants: SES, or the simulator."""

    def create_set(self, workspace: str, set_id: str, suppression: Suppression) -> None:
        """Create the resources of a configuration set; a repetition completes an interrupted call."""

    def change_set(self, set_id: str, suppression: Suppression) -> None:
        """Change the suppression of a configuration set."""

    def delete_set(self, workspace: str, set_id: str) -> None:
        """Remove the resources of a configuration set; missing ones are ignored."""

    def add_sender(self, workspace: str, identity: str, set_ids: Iterable[str]) -> bool:
        """Prepare to send from an identity with any of these sets; a repetition completes an interrupted call.

        Returns whether emails from it go through a tenant of the workspace. `RefusedSender` if the backend does not
        know the identity.
        """

    def remove_sender(self, workspace: str, identity: str, kept: Iterable[str]) -> None:
        """Undo `add_sender`, except for what the identities `kept` need; nothing to undo is no error."""

    def delete_tenant(self, workspace: str) -> None:
        """Remove what `add_sender` made for a workspace, whatever its identities; nothing to remove is no error."""

    def send(self, mail: Mail) -> None:
        """Send an email; raise `RejectedMail` if it can never be accepted, `Unavailable` if it can be retried."""
