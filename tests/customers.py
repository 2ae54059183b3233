"""A customer of a platform: a workspace, its limits, and what it creates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.installation import Installation, Reply

SETS = "/api/v1/partner/email/configuration-sets"


class Customer:
    """A workspace of a platform, its limits, and what it creates."""

    def __init__(self, posthorn: Installation, uid: str = "cust_1") -> None:
        self.posthorn = posthorn
        self.uid = uid
        self.key = posthorn.new_platform_key()
        self.made = 0
        self.limit()

    def limit(self, **limits: int) -> None:
        """Set the limits of the workspace, and let them take effect."""
        body = {"limits": limits}
        assert self.posthorn.call("PUT", f"/v1/workspaces/{self.uid}", body, key=self.key).status in {
            200,
            201,
        }
        self.posthorn.clock.pass_seconds(31)

    def call(self, method: str, path: str, body: Any = None) -> Reply:
        headers = {"posthorn-workspace": self.uid}
        return self.posthorn.call(method, path, body, key=self.key, headers=headers)

    def webhook(self, host: str = "hooks.example.com") -> Reply:
        body = {"url": f"https://{host}/hook", "events": ["CONTACT_CREATED"]}
        return self.call("POST", "/v1/webhooks", body)

    def configuration_set(self) -> Reply:
        self.made += 1
        return self.call("POST", SETS, {"name": f"set_{self.made}"})

    def create(self, kind: str) -> Reply:
        """Create one of what a limit is about."""
        if kind == "configurationSets":
            return self.configuration_set()
        self.made += 1
        return self.webhook(f"h{self.made}.example.com" if kind == "endpoints" else "hooks.example.com")

    def delete(self, kind: str, made: Reply) -> None:
        if kind == "configurationSets":
            path = f"{SETS}/{made.body['config_set_id']}"
        else:
            path = f"/v1/webhooks/{made.body['webhook']['id']}"
        assert self.call("DELETE", path).status == 200


def is_refused(reply: Reply, name: str, value: int) -> bool:
    """Tell whether a reply is the refusal by a limit, which it names together with its value."""
    detail = f"Must stay within the workspace's limit `{name}`, which is {value}."
    return (reply.status, reply.body.get("code"), reply.body.get("detail")) == (422, "limit_reached", detail)
