"""Disabling and enabling endpoints: the reason and the time, and the deliveries missed meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from botocore.client import BaseClient

from posthorn.domain.models import Health
from tests.network import answers

if TYPE_CHECKING:
    from posthorn.domain.models import Endpoint
    from tests.installation import Installation

SETS = "/api/v1/partner/email/configuration-sets"


def _endpoint(posthorn: Installation, channel: str, endpoint_id: str) -> Endpoint:
    found = posthorn.services.endpoints.get(channel, endpoint_id)
    assert found is not None
    return found


def _destination(posthorn: Installation) -> tuple[str, str, str]:
    """Create an event destination; return its channel, its id and its path."""
    set_id = posthorn.call("POST", SETS, {"name": "production"}).body["config_set_id"]
    wanted = {
        "name": "webhook",
        "destination_type": "WEBHOOK",
        "webhook_url": "https://yourapp.com/hook",
        "webhook_secret": "the-first-shared-secret",
        "matching_event_types": ["send"],
    }
    path = f"{SETS}/{set_id}/event-destinations"
    made = posthorn.call("POST", path, wanted).body["destination_id"]
    return set_id, made, f"{path}/{made}"


def test_enabling_counts_missed_deliveries(posthorn: Installation) -> None:
    """Deliveries that failed while it was disabled, and one still waiting, are counted; no others are."""
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    posthorn.network.receivers["other.example.com"] = answers(503)
    webhook, _ = posthorn.register(), posthorn.register("other.example.com")
    path = f"/v1/webhooks/{webhook['id']}"
    posthorn.publish()
    posthorn.dispatch()
    posthorn.network.receivers["hooks.example.com"] = answers(503)
    posthorn.publish()
    posthorn.dispatch()
    posthorn.call("PUT", path, {"enabled": False})
    for _ in range(2):
        posthorn.publish()
    posthorn.dispatch()

    enabled = posthorn.call("PUT", path, {"enabled": True})

    assert enabled.body["undelivered"] == {"count": 3, "isMore": False}
    assert enabled.body["webhook"]["enabled"] is True
    assert "disabledReason" not in enabled.body["webhook"]


@pytest.mark.parametrize("body", [{"enabled": True}, {"description": "billing"}, {"enabled": False}])
def test_only_enabling_counts_missed_deliveries(posthorn: Installation, body: dict[str, Any]) -> None:
    """A change that does not enable the webhook counts nothing."""
    webhook = posthorn.register()
    assert list(posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", body).body) == ["webhook"]


def test_more_than_one_page_is_marked(posthorn: Installation) -> None:
    """If the index has more than one query reads, the count is marked as incomplete."""
    webhook = posthorn.register(enabled=False)
    plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def cut(self: BaseClient, name: str, parameters: Any) -> Any:
        answer = plain(self, name, parameters)
        return {**answer, "LastEvaluatedKey": {}} if parameters.get("Select") == "COUNT" else answer

    with mock.patch.object(BaseClient, "_make_api_call", cut):
        enabled = posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", {"enabled": True})

    assert enabled.body["undelivered"] == {"count": 0, "isMore": True}


def test_a_destination_counts_the_same_in_its_own_spelling(posthorn: Installation) -> None:
    """PATCH of an event destination answers like PUT of a webhook, in its own spelling."""
    channel, made, path = _destination(posthorn)
    posthorn.call("PATCH", path, {"enabled": False})

    enabled = posthorn.call("PATCH", path, {"enabled": True})

    assert enabled.body["undelivered"] == {"count": 0, "is_more": False}
    assert _endpoint(posthorn, channel, made).enabled


def test_an_unhealthy_endpoint_says_so_until_it_is_enabled_again(posthorn: Installation) -> None:
    """Health is shown while it is not good; enabling the endpoint resets it."""
    channel, made, destination_path = _destination(posthorn)
    webhook = posthorn.register()
    path = f"/v1/webhooks/{webhook['id']}"
    since = posthorn.clock()
    for where, one in ((posthorn.workspace, webhook["id"]), (channel, made)):
        old = _endpoint(posthorn, where, one)
        ill = replace(
            old, health=Health.FAILING, health_since=since, warned_at=since, revision=old.revision + 1
        )
        assert posthorn.services.endpoints.replace(old, ill, posthorn.services.limits)

    shown = posthorn.call("GET", path).body["webhook"]
    shown_too = posthorn.call("GET", destination_path).body
    for body in ({"enabled": False}, {"enabled": True}):
        posthorn.call("PUT", path, body)
    after = posthorn.call("GET", path).body["webhook"]

    assert (shown["health"], shown["healthSince"]) == ("failing", "2023-04-16T15:45:00Z")
    assert (shown_too["health"], shown_too["health_since"]) == ("failing", "2023-04-16T15:45:00Z")
    assert {"health", "healthSince"} & set(after) == set()
    endpoint = _endpoint(posthorn, posthorn.workspace, webhook["id"])
    assert (endpoint.health, endpoint.health_since, endpoint.warned_at) == (Health.HEALTHY, None, None)


def test_a_change_of_url_is_dated(posthorn: Installation) -> None:
    """The time of the last change of URL is kept; setting the same URL again is not a change."""
    webhook = posthorn.register()
    path = f"/v1/webhooks/{webhook['id']}"
    posthorn.clock.pass_seconds(60)
    posthorn.call("PUT", path, {"url": webhook["url"]})
    same = _endpoint(posthorn, posthorn.workspace, webhook["id"]).url_since
    posthorn.call("PUT", path, {"url": "https://new.example.com/hook"})
    other = _endpoint(posthorn, posthorn.workspace, webhook["id"]).url_since

    assert (same, other) == (None, posthorn.clock())
