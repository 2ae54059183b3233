"""A webhook that leads back to the sending API is refused at registration and at each attempt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from posthorn.domain.models import DeliveryKey, Failure, Reason, Status
from tests.installation import running
from tests.network import answers
from tests.template import API_ID, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.installation import Installation

OWN: Final = f"{API_ID}.execute-api.{REGION}.amazonaws.com"
HOSTS: Final = [OWN, OWN.upper(), f"{OWN}:8443", "api.acme.com", "Hooks.Acme.com:443"]
SETS: Final = "/api/v1/partner/email/configuration-sets"
DESTINATION: Final = {
    "name": "mine",
    "destination_type": "WEBHOOK",
    "webhook_secret": "your-shared-secret-32-chars",
    "matching_event_types": ["bounce"],
}


@pytest.fixture
def posthorn() -> Iterator[Installation]:
    """Return an installation whose API has two domain names."""
    with running(ApiDomainNames="api.acme.com,hooks.acme.com") as installation:
        yield installation


def _refusal(posthorn: Installation, method: str, path: str, body: dict[str, Any]) -> tuple[int, str, str]:
    reply = posthorn.call(method, path, body)
    (error,) = reply.body["errors"]
    assert "your own receiver" in error["detail"]
    return reply.status, reply.body["code"], error["pointer"]


@pytest.mark.parametrize("host", HOSTS)
def test_no_webhook_is_registered_at_the_api(posthorn: Installation, host: str) -> None:
    """Every host of the API is refused, in any case and at any port, on create and on update."""
    webhook = posthorn.register("receiver.acme.com")
    url = f"https://{host}/v1/events"

    refused = (422, "own_host", "/url")
    assert _refusal(posthorn, "POST", "/v1/webhooks", {"url": url, "events": ["*"]}) == refused
    assert _refusal(posthorn, "PUT", f"/v1/webhooks/{webhook['id']}", {"url": url}) == refused


@pytest.mark.parametrize("host", HOSTS)
def test_no_event_destination_is_registered_at_the_api(posthorn: Installation, host: str) -> None:
    """The same rule applies to event destinations."""
    made = posthorn.call("POST", SETS, {"name": "production"})
    destinations = f"{SETS}/{made.body['config_set_id']}/event-destinations"
    kept = posthorn.call("POST", destinations, {**DESTINATION, "webhook_url": "https://receiver.acme.com/"})
    own = {"webhook_url": f"https://{host}/"}

    refused = (422, "own_host", "/webhook_url")
    assert _refusal(posthorn, "POST", destinations, {**DESTINATION, **own}) == refused
    assert _refusal(posthorn, "PATCH", f"{destinations}/{kept.body['destination_id']}", own) == refused


@pytest.mark.parametrize("host", ["other.execute-api.us-east-1.amazonaws.com", "api2.acme.com", "acme.com"])
def test_other_hosts_of_the_domain_are_allowed(posthorn: Installation, host: str) -> None:
    """Other APIs, and other names of the same domain, are allowed."""
    assert posthorn.register(host)["url"] == f"https://{host}/hook"


@pytest.mark.parametrize("host", [OWN, "api.acme.com"])
def test_an_endpoint_registered_before_the_name_was_ours_is_blocked(
    posthorn: Installation, host: str
) -> None:
    """If the stored URL now leads to the API, the delivery fails for good, and nothing is sent."""
    webhook = posthorn.register()
    endpoints = posthorn.services.endpoints
    stored = endpoints.get(posthorn.workspace, webhook["id"])
    assert stored is not None
    moved = replace(stored, url=f"https://{host}:8443/v1/events", revision=stored.revision + 1)
    assert endpoints.replace(stored, moved, posthorn.services.limits)
    posthorn.network.receivers[host] = answers(202)

    event_id = posthorn.publish()
    assert posthorn.dispatch() == set()

    row = posthorn.row(DeliveryKey(webhook["id"], event_id))
    assert row is not None
    assert (row.status, row.reason) == (Status.FAILED, Reason.BLOCKED_ADDRESS)
    assert row.attempts[-1].outcome.failure is Failure.BLOCKED_ADDRESS
    assert "your own receiver" in (row.attempts[-1].outcome.error or "")
    assert posthorn.network.received == []
