"""The sender identities that this process has recently seen, and whether they allow an email's `from`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn.api.problems import FieldError, Problem
from posthorn.domain.ttl_cache import TtlCache
from posthorn.email.senders import covering, sender_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from posthorn.domain.sender_identity import SenderIdentity
    from posthorn.email.senders import Sender
    from posthorn.stores.sender_identities import SenderIdentities

STALE_MS: Final = 30_000
"""How long a process that has cached an identity may still send from it after it was deleted."""

_REMEMBERED: Final = 5000

type _Key = tuple[str, str]  # workspace and name


class SenderDirectory:
    """Decides who may send; caches identities for 30 seconds. If it is open, everybody may."""

    def __init__(self, store: SenderIdentities, *, is_open: bool, clock: Callable[[], int]) -> None:
        self.store = store
        self._is_open = is_open
        self._seen: TtlCache[_Key, SenderIdentity] = TtlCache(ttl=STALE_MS, size=_REMEMBERED, clock=clock)

    def admit(self, workspace: str, text: str) -> tuple[str, bool]:
        """Return the `from` to send, and whether it goes through the workspace's tenant; raise the 422 if refused."""
        if self._is_open:
            return text, False
        sender = sender_of(text)
        found = () if sender is None else self._covering(workspace, sender)
        if sender is None or not found:
            raise _not_allowed()
        return sender.text, any(one.has_tenant for one in found)

    def forget(self, one: SenderIdentity) -> None:
        """Drop an identity from the cache, so that its next use looks it up."""
        self._seen.forget((one.workspace, one.name))

    def _covering(self, workspace: str, sender: Sender) -> Sequence[SenderIdentity]:
        keys = [(workspace, name) for name in covering(sender.address)]

        def load(missing: Sequence[_Key]) -> dict[_Key, SenderIdentity]:
            if len(missing) < len(keys):  # one that covers the sender is known, which is enough
                return {}
            found = self.store.get_many(workspace, [name for _, name in missing])
            return {(workspace, name): one for name, one in found.items()}

        # only identities that exist are remembered: one works from the moment it is registered
        return list(self._seen.get_or_load_many(keys, load).values())


def _not_allowed() -> Problem:
    detail = (
        "`from` must be an address or in a domain that is a sender identity of the workspace. A platform key registers"
        " one with `POST /v1/workspaces/{workspace}/sender-identities`."
    )
    error = FieldError("/from", "Must be covered by a sender identity of the workspace.")
    return Problem(422, "sender_not_allowed", detail, errors=[error])
