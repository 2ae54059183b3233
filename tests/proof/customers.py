"""Actions of customers: register, change endpoints, publish, send mail, replay, retry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.proof.world import MAIL_SET, MAIL_WORKSPACE, Request, World, host

if TYPE_CHECKING:
    from posthorn.domain.models import Delivery, Endpoint

TYPES: Final = ("CONTACT_CREATED", "CAMPAIGN_SENT")
PATTERNS: Final = (["CONTACT_CREATED"], ["*"], ["contact.*"], ["CAMPAIGN_SENT"])
SENDING: Final = "/api/v1/partner/email/send"


def register(world: World, workspace: int, number: int, patterns: list[str] | None = None) -> None:
    """Register a webhook at one of the workspace's receivers; several may share one."""
    wanted = {"url": f"https://{host(workspace, number)}/hook", "events": patterns or ["*"]}
    world.request(workspace, "POST", "/v1/webhooks", wanted)


def register_destination(world: World, number: int) -> None:
    """Register an event destination of the configuration set."""
    wanted = {
        "name": f"destination-{number}",
        "destination_type": "WEBHOOK",
        "webhook_url": f"https://{host(MAIL_WORKSPACE, number)}/mails",
        "webhook_secret": "a-secret-of-the-partner",
        "matching_event_types": ["send", "delivered", "bounce"],
    }
    world.request(MAIL_WORKSPACE, "POST", f"{_sets(world)}/event-destinations", wanted)


def change(world: World, endpoint: Endpoint, **fields: Any) -> None:
    """Change an endpoint: `enabled`, `url`, or `token`."""
    method = "PUT"
    if endpoint.channel != endpoint.workspace:
        names = {"url": "webhook_url", "token": "webhook_secret", "enabled": "enabled"}
        method, fields = "PATCH", {names[name]: value for name, value in fields.items()}
    world.request(_workspace(world, endpoint), method, _path(world, endpoint), fields)


def move(world: World, endpoint: Endpoint, number: int) -> None:
    """Give an endpoint the URL of another receiver of its workspace."""
    change(world, endpoint, url=f"https://{host(_workspace(world, endpoint), number)}/moved")


def delete(world: World, endpoint: Endpoint) -> None:
    world.request(_workspace(world, endpoint), "DELETE", _path(world, endpoint))


def publish(
    world: World, workspace: int, types: list[str], *, key: str | None = None, single: bool = False
) -> Request:
    """Publish events, alone or as a batch."""
    told = [{"event": event_type, "data": {"n": world.step, "at": at}} for at, event_type in enumerate(types)]
    body: dict[str, Any] = told[0] if single else {"events": told}
    request = Request(workspace, body, key, 1 if single else len(told))
    world.requests.append(request)
    world.publish(request)
    return request


def send_mail(world: World, recipient: str) -> None:
    """Send a mail, which causes notifications from the backend."""
    mail = {
        "from": "hello@acme.com",
        "to": [recipient],
        "subject": f"Mail {world.step}",
        "text_body": "Hello",
        "configuration_set_name": MAIL_SET,
    }
    world.request(MAIL_WORKSPACE, "POST", SENDING, mail)


def replay(world: World, row: Delivery) -> None:
    """Replay one delivery."""
    endpoint = world.lives[row.key.endpoint_id].endpoint
    world.request(
        _workspace(world, endpoint),
        "POST",
        f"{_path(world, endpoint)}/deliveries/{row.key.event_id}/replay",
    )


def retry_now(world: World, row: Delivery) -> None:
    """Ask for the next attempt of one delivery at once."""
    endpoint = world.lives[row.key.endpoint_id].endpoint
    world.request(
        _workspace(world, endpoint),
        "POST",
        f"{_path(world, endpoint)}/deliveries/{row.key.event_id}/retry-now",
    )


def replay_failed(world: World, endpoint: Endpoint) -> None:
    """Replay all of an endpoint's failed deliveries."""
    wanted = {"since": "2023-04-16T00:00:00Z", "status": "failed"}
    world.request(_workspace(world, endpoint), "POST", f"{_path(world, endpoint)}/replays", wanted)


def look_at_replays(world: World, endpoint: Endpoint) -> None:
    """List an endpoint's bulk replays, which wakes one that stands still."""
    world.request(_workspace(world, endpoint), "GET", f"{_path(world, endpoint)}/replays")


def _sets(world: World) -> str:
    return f"/api/v1/partner/email/configuration-sets/{world.mail_set}"


def _path(world: World, endpoint: Endpoint) -> str:
    if endpoint.channel == endpoint.workspace:
        return f"/v1/webhooks/{endpoint.id}"
    return f"{_sets(world)}/event-destinations/{endpoint.id}"


def _workspace(world: World, endpoint: Endpoint) -> int:
    return [workspace for workspace, _ in world.keys].index(endpoint.workspace)
