"""Workspaces that use everything, and the queue of PurgeFunction, whose Lambda crashes where a test says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from posthorn.api.routes.workspaces import PATH
from posthorn.domain.sender_identity import SenderIdentity
from tests.configuration_sets import DESTINATION, MAIL, SETS, deliver_all
from tests.moto_account import stored_rows
from tests.network import answers
from tests.replays import Died, dying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.installation import Installation, Waiting
    from tests.replays import Death

VISIBILITY: Final = 180  # seconds until a crashed function's message is received again
EVENTS: Final = 4  # that a tenant publishes
SINCE: Final = "2020-01-01T00:00:00Z"


@dataclass
class Tenant:
    """A workspace with a key of its own."""

    posthorn: Installation
    workspace: str
    uid: str
    key: str
    ids: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Call the API with the tenant's key; returns the body of an answer that must be a success."""
        reply = self.posthorn.call(method, path, body, key=self.key, **options)
        assert reply.status < 300, reply
        return reply.body

    @property
    def host(self) -> str:
        return f"{self.uid}.example.com"

    def furnish(self) -> None:
        """Make something of every kind, in the workspace and at the mail backend; leave work under way."""
        posthorn = self.posthorn
        posthorn.names[self.host] = posthorn.names["yourapp.com"] = ("93.184.215.14",)
        posthorn.network.receivers.setdefault(self.host, answers(500))
        posthorn.network.receivers["yourapp.com"] = answers(200)
        self.call("POST", "/v1/api-keys", {"name": "second", "scopes": ["user"]})
        event_type = {"name": "SHIP_SAILED", "description": "It sailed.", "example": {}}
        self.call("POST", "/v1/event-types", event_type)
        sender = SenderIdentity(self.workspace, self.host, created_at=posthorn.clock())
        posthorn.services.senders.store.register(sender)
        for name in ("kept", "gone"):
            self.ids[name] = self._webhook()
            self.ids[f"set {name}"] = self._set(name)
            self.call("POST", f"{SETS}/{self.ids[f'set {name}']}/event-destinations", DESTINATION)
        self.publish()
        for name in ("kept", "gone"):
            self.call("POST", "/api/v1/partner/email/send", {**MAIL, "configuration_set_name": name})
        deliver_all(posthorn)
        self.call("DELETE", f"/v1/webhooks/{self.ids['gone']}")
        self.call("DELETE", f"{SETS}/{self.ids['set gone']}")
        self.call("POST", f"/v1/webhooks/{self.ids['kept']}/replays", {"since": SINCE, "dryRun": True})

    def publish(self, count: int = EVENTS) -> None:
        events = [{"event": "CONTACT_CREATED", "data": {"of": self.uid, "n": n}} for n in range(count)]
        key = {"idempotency-key": self.posthorn.new_id()}
        self.call("POST", "/v1/events", {"events": events}, headers=key)

    def _webhook(self) -> str:
        wanted = {"url": f"https://{self.host}/hook", "events": ["*"]}
        webhook_id: str = self.call("POST", "/v1/webhooks", wanted)["webhook"]["id"]
        return webhook_id

    def _set(self, name: str) -> str:
        set_id: str = self.call("POST", SETS, {"name": name})["config_set_id"]
        return set_id


def new_tenant(posthorn: Installation, uid: str) -> Tenant:
    """Create a workspace with a key."""
    reply = posthorn.call("PUT", f"{PATH}/{uid}", key=posthorn.new_platform_key())
    assert reply.status == 201, reply
    workspace = reply.body["workspace"]["id"]
    scopes = ["publish", "api_user", "user", "partner", "admin"]
    return Tenant(posthorn, workspace, uid, posthorn.new_key(*scopes, workspace=workspace))


def delete(posthorn: Installation, name: str) -> dict[str, Any]:
    """Delete a workspace by its id or uid; returns the purge."""
    reply = posthorn.call("DELETE", f"{PATH}/{name}", key=posthorn.new_platform_key())
    assert reply.status == 202, reply
    purge: dict[str, Any] = reply.body["purge"]
    return purge


def shown(posthorn: Installation, name: str) -> dict[str, Any]:
    """Return a purge as the API shows it."""
    reply = posthorn.call("GET", f"{PATH}/{name}/purge", key=posthorn.new_platform_key())
    assert reply.status == 200, reply
    purge: dict[str, Any] = reply.body["purge"]
    return purge


def run(
    posthorn: Installation,
    deaths: Callable[[int], Death | None] = lambda _: None,
    *,
    remaining_ms: int = 30_000,
    steps: int = 1000,
) -> int:
    """Process the PurgeQueue as Lambda does; `deaths` says where the nth invocation crashes. Return their number."""
    messages: list[Waiting] = []
    for number in range(steps):
        messages += posthorn.take("PurgeQueue")
        if not messages:
            return number
        message = messages.pop(0)
        posthorn.clock.pass_seconds(message.delay)
        if _is_done(posthorn, message, deaths(number), remaining_ms):
            continue
        posthorn.clock.pass_seconds(VISIBILITY)
        messages.append(replace(message, delay=0))
    return steps


def _is_done(posthorn: Installation, message: Waiting, death: Death | None, remaining_ms: int) -> bool:
    if death is None:
        return not posthorn.purge([message], remaining_ms)
    try:
        with dying(death):
            return not posthorn.purge([message], remaining_ms)
    except Died:
        return False


def rows(posthorn: Installation) -> dict[tuple[str, str, str], str]:
    """Return every row by table and key, except for purges and platform keys, which have no workspace."""
    return {
        (table, row["pk"]["S"], row["sk"]["S"]): json.dumps(row, sort_keys=True, default=repr)
        for table, name in posthorn.tables.items()
        for row in stored_rows([name])
        if not row["pk"]["S"].startswith("purge#") and row.get("key_workspace") != {"S": "platform"}
    }


def belonging_to(tenant: Tenant) -> Iterator[tuple[str, str, str]]:
    """Yield the keys of the rows that name the workspace, its uid or one of its ids."""
    names = {tenant.workspace, tenant.uid, *tenant.ids.values()}
    for key, row in rows(tenant.posthorn).items():
        if any(name in row for name in names):
            yield key
