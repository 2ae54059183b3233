"""A mail, and what can send one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from posthorn.domain.models import Suppression


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to be sent. `message_id` is ours and what its events will carry."""

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


class Backend(Protocol):
    """Whatever sends mail and keeps configuration sets: SES, or the simulator."""

    def create_set(self, set_id: str, suppression: Suppression) -> None:
        """Make what a configuration set needs; done again, it completes what was left half done."""

    def change_set(self, set_id: str, suppression: Suppression) -> None:
        """Change the suppression of a configuration set."""

    def delete_set(self, set_id: str) -> None:
        """Remove what a configuration set needed; what is gone already is gone."""

    def send(self, mail: Mail) -> None:
        """Send a mail; `RejectedMail` when it will never be taken, `Unavailable` when it was not taken now."""
