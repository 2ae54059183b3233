"""Endpoint health: stored in the endpoint's row, and its effects on the owner and on other endpoints."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from posthorn.aws import clients
from posthorn.domain.health_policy import DISABLE_AFTER_MS, FAILURES_IN_A_ROW, MIN_UNDELIVERED, WARN_AFTER_MS
from posthorn.domain.models import DeliveryKey, Endpoint, Failure, Health, Status
from posthorn.stores import events as event_rows
from tests.integration.test_lost_answers import lost_answers
from tests.moto_account import listening
from tests.network import answers, fails

if TYPE_CHECKING:
    from posthorn.domain.models import Event
    from tests.installation import Installation

SETS = "/api/v1/partner/email/configuration-sets"
QUEUES = ("DeliverQueue", "Retry1MinQueue", "Retry5MinQueue", "Retry15MinQueue")


def endpoint_of(posthorn: Installation, endpoint_id: str) -> Endpoint:
    found = posthorn.services.endpoints.get(posthorn.workspace, endpoint_id)
    assert found is not None
    return found


def operational_events(posthorn: Installation) -> list[Event]:
    """Return the operational events that Posthorn has published."""
    rows = clients.client("dynamodb").scan(TableName=posthorn.tables["EventsTable"])["Items"]
    return [event for event in map(event_rows.from_item, rows) if event.type.startswith("WEBHOOK_")]


def run(posthorn: Installation, times: int = 1) -> list[str]:
    """Publish events, dispatch them one by one, and process everything that is due at once."""
    ids = []
    for _ in range(times):
        ids.append(posthorn.publish())
        assert posthorn.dispatch() == set()
        assert posthorn.deliver(posthorn.take("DeliverQueue")) == set()
    return ids


def fail_for_days(posthorn: Installation, deliveries: int) -> str:
    """Register a webhook that rejects everything, let it fail that often, and return its id."""
    webhook_id: str = posthorn.register()["id"]
    posthorn.network.receivers["hooks.example.com"] = answers(404)
    run(posthorn, FAILURES_IN_A_ROW)
    assert endpoint_of(posthorn, webhook_id).health is Health.FAILING
    posthorn.clock.pass_seconds(60)
    run(posthorn, deliveries)
    return webhook_id


@pytest.mark.parametrize("attempt", [1, 2])
def test_gone_publishes_that_it_is_disabled(posthorn: Installation, attempt: int) -> None:
    """The workspace learns which webhook was disabled, why and when, with the URL's host only."""
    webhook = posthorn.register(description="billing", url="https://hooks.example.com/s3cret-path-of-mine")
    posthorn.network.receivers["hooks.example.com"] = answers(410 if attempt == 1 else 500)
    run(posthorn)
    posthorn.network.receivers["hooks.example.com"] = answers(410)
    posthorn.clock.pass_seconds(60)
    posthorn.deliver(posthorn.take("Retry1MinQueue"))

    (operational_event,) = operational_events(posthorn)

    assert (operational_event.channel, operational_event.workspace) == (
        posthorn.workspace,
        posthorn.workspace,
    )
    assert operational_event.type == "WEBHOOK_DISABLED"
    assert json.loads(operational_event.data) == {
        "webhook": {
            "id": webhook["id"],
            "kind": "webhook",
            "description": "billing",
            "host": "hooks.example.com",
        },
        "reason": "gone",
        "since": "2023-04-16T15:45:00Z" if attempt == 1 else "2023-04-16T15:46:00Z",
    }


def test_another_webhook_can_listen_to_it(posthorn: Installation) -> None:
    """A webhook that subscribes to the operational event receives it, signed like any other."""
    posthorn.register()
    posthorn.register("ops.example.com", events=["*"])
    posthorn.network.receivers |= {"hooks.example.com": answers(410), "ops.example.com": answers(200)}
    posthorn.publish()
    posthorn.dispatch()

    posthorn.dispatch()

    assert [received.payload["event"] for received in posthorn.network.at("ops.example.com")] == [
        "CONTACT_CREATED",
        "WEBHOOK_DISABLED",
    ]


def test_ten_410s_at_once_publish_one_event(posthorn: Installation) -> None:
    """If ten attempts get 410 at once, the endpoint is disabled once, with one event."""
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(410)
    for _ in range(10):
        posthorn.publish()

    posthorn.dispatch()

    assert len(operational_events(posthorn)) == 1
    assert endpoint_of(posthorn, webhook["id"]).revision == 2


def test_no_event_without_a_change(posthorn: Installation) -> None:
    """If the owner changed the endpoint meanwhile, it stays unchanged and no event is published."""
    webhook = posthorn.register()

    def change_and_leave(_: Any) -> Any:
        posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", {"url": "https://new.example.com/hook"})
        return answers(410)(_)

    posthorn.network.receivers["hooks.example.com"] = change_and_leave
    posthorn.publish()

    posthorn.dispatch()

    assert operational_events(posthorn) == []
    assert endpoint_of(posthorn, webhook["id"]).enabled


def test_no_change_without_an_event(posthorn: Installation) -> None:
    """If the event cannot be written, the endpoint stays enabled; the delivery's row is kept."""
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(410)
    event_id = posthorn.publish()
    records = posthorn.stream()
    states = posthorn.dispatcher._health_monitor._states
    states._events_table, kept = "nobodys", states._events_table

    failed = posthorn.dispatch(records)
    row = posthorn.row(DeliveryKey(webhook["id"], event_id))
    still_on = endpoint_of(posthorn, webhook["id"]).enabled
    states._events_table = kept
    run(posthorn)

    assert (failed, still_on) == (set(), True)
    assert row is not None
    assert row.status is Status.FAILED
    assert not endpoint_of(posthorn, webhook["id"]).enabled
    assert len(operational_events(posthorn)) == 1


def test_disabling_by_hand_is_published_once(posthorn: Installation) -> None:
    """A PUT that disables publishes the event once; repeating it does not, disabling anew does."""
    webhook = posthorn.register()
    path = f"/v1/webhooks/{webhook['id']}"

    for enabled in (False, False, True, False):
        assert posthorn.call("PUT", path, {"enabled": enabled}).status == 200
        posthorn.clock.pass_seconds(1)

    assert [
        json.loads(operational_event.data)["reason"] for operational_event in operational_events(posthorn)
    ] == [
        "manual",
        "manual",
    ]


def test_disabling_by_hand_when_the_response_is_lost(posthorn: Installation) -> None:
    """A repeated transaction fails on its own write: one event, and one rotation of the token."""
    webhook = posthorn.register()
    change = {"enabled": False, "token": "another-token-of-mine"}

    with lost_answers("TransactWriteItems"):
        reply = posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", change)

    endpoint = endpoint_of(posthorn, webhook["id"])
    assert reply.body["webhook"]["enabled"] is False
    assert len(operational_events(posthorn)) == 1
    assert (endpoint.revision, endpoint.secret.version) == (2, 2)


def test_an_event_destination_that_is_gone_is_published_on_its_workspaces_channel(
    posthorn: Installation,
) -> None:
    """Owners of event destinations are notified on the channel of their webhooks."""
    set_id = posthorn.call("POST", SETS, {"name": "production"}).body["config_set_id"]
    wanted = {
        "name": "audit",
        "destination_type": "WEBHOOK",
        "webhook_url": "https://mails.example.com/hook",
        "webhook_secret": "a-shared-secret-of-ours",
        "matching_event_types": ["send", "delivered"],
    }
    destination = posthorn.call("POST", f"{SETS}/{set_id}/event-destinations", wanted).body
    posthorn.network.receivers["mails.example.com"] = answers(410)
    mail = {
        "from": "hello@yourcompany.com",
        "to": ["customer@example.com"],
        "subject": "Welcome",
        "text_body": "Hi",
        "configuration_set_name": "production",
    }
    assert posthorn.call("POST", "/api/v1/partner/email/send", mail).status == 202
    posthorn.notify(posthorn.take("FeedbackQueue"))

    posthorn.dispatch()

    (operational_event,) = operational_events(posthorn)
    assert operational_event.channel == posthorn.workspace
    assert json.loads(operational_event.data)["webhook"] == {
        "id": destination["destination_id"],
        "kind": "event_destination",
        "name": "audit",
        "host": "mails.example.com",
    }


def test_health_is_written_only_when_it_changes(posthorn: Installation) -> None:
    """A hundred failures in one batch and ten more batches cost one write of the endpoint's row."""
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = fails(Failure.CONNECT)
    writes: list[str] = []
    table = posthorn.tables["ConfigTable"]

    def note(params: dict[str, Any], **_: object) -> None:
        if params["TableName"] == table:
            writes.append(params["UpdateExpression"])

    for _ in range(100):
        posthorn.publish()

    with listening("dynamodb", "before-parameter-build.dynamodb.UpdateItem", note):
        posthorn.dispatch()
        run(posthorn, 10)

    endpoint = endpoint_of(posthorn, webhook["id"])
    assert writes == [
        (
            "SET health = :health, health_since = :now, trouble = :trouble, trouble_since = :trouble_since"
            " REMOVE warned_at"
        )
    ]
    assert (endpoint.health, endpoint.health_since) == (Health.FAILING, posthorn.clock())
    assert endpoint.revision == 1


def test_a_2xx_makes_it_healthy_again(posthorn: Installation) -> None:
    """One success clears the failing state and all counters."""
    webhook_id = fail_for_days(posthorn, 1)
    posthorn.clock.pass_seconds(WARN_AFTER_MS / 1000)
    run(posthorn)
    warned = endpoint_of(posthorn, webhook_id).warned_at
    posthorn.network.receivers["hooks.example.com"] = answers(200)

    run(posthorn)

    endpoint = endpoint_of(posthorn, webhook_id)
    assert warned == posthorn.clock()
    assert (endpoint.health, endpoint.health_since, endpoint.warned_at) == (
        Health.HEALTHY,
        posthorn.clock(),
        None,
    )


def test_a_change_by_the_owner_resets_the_counters(posthorn: Installation) -> None:
    """Failures at the old URL do not count against the new one."""
    webhook = posthorn.register()
    posthorn.network.receivers |= {"hooks.example.com": answers(404), "new.example.com": answers(404)}
    run(posthorn, FAILURES_IN_A_ROW - 1)
    posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", {"url": "https://new.example.com/hook"})

    run(posthorn)

    assert endpoint_of(posthorn, webhook["id"]).health is Health.HEALTHY


def test_one_warning_after_a_day(posthorn: Installation) -> None:
    """The owner is warned once, after a day, with the time at which the endpoint will be disabled."""
    webhook_id = fail_for_days(posthorn, MIN_UNDELIVERED)
    posthorn.clock.pass_seconds(WARN_AFTER_MS / 1000 - 61)
    run(posthorn)
    early = operational_events(posthorn)
    posthorn.clock.pass_seconds(1)
    run(posthorn, 3)

    (operational_event,) = operational_events(posthorn)

    assert early == []
    assert operational_event.type == "WEBHOOK_FAILING"
    assert json.loads(operational_event.data) == {
        "webhook": {"id": webhook_id, "kind": "webhook", "host": "hooks.example.com"},
        "failing_since": "2023-04-16T15:45:00Z",
        "will_be_disabled_at": "2023-04-21T15:45:00Z",
    }
    assert endpoint_of(posthorn, webhook_id).enabled


def test_five_days_of_failures_disable_it(posthorn: Installation) -> None:
    """With enough undelivered events, the next exhausted delivery disables the endpoint and publishes it."""
    webhook_id = fail_for_days(posthorn, MIN_UNDELIVERED - 1)
    posthorn.clock.pass_seconds(DISABLE_AFTER_MS / 1000 - 61)
    run(posthorn)
    before = endpoint_of(posthorn, webhook_id).enabled
    posthorn.clock.pass_seconds(1)
    run(posthorn)

    shown = posthorn.call("GET", f"/v1/webhooks/{webhook_id}").body["webhook"]
    told = max(operational_events(posthorn), key=lambda operational_event: operational_event.id)

    assert before is True
    assert (shown["enabled"], shown["disabledReason"]) == (False, "failing")
    assert (told.type, json.loads(told.data)["reason"]) == ("WEBHOOK_DISABLED", "failing")


def test_too_few_failures_do_not_disable_it(posthorn: Installation) -> None:
    """After five days with only a few events, the endpoint stays enabled until twenty are undelivered."""
    webhook_id = fail_for_days(posthorn, 1)
    posthorn.clock.pass_seconds(DISABLE_AFTER_MS / 1000)

    missing = MIN_UNDELIVERED - 1 - len(posthorn.network.received)
    run(posthorn, missing)
    before = endpoint_of(posthorn, webhook_id).enabled
    run(posthorn)

    assert before is True
    assert endpoint_of(posthorn, webhook_id).enabled is False


def test_enabling_again_resets_the_health(posthorn: Installation) -> None:
    """An endpoint that is enabled again is healthy until it fails again."""
    webhook_id = fail_for_days(posthorn, 1)
    for enabled in (False, True):
        posthorn.call("PUT", f"/v1/webhooks/{webhook_id}", {"enabled": enabled})

    endpoint = endpoint_of(posthorn, webhook_id)

    assert (endpoint.health, endpoint.health_since, endpoint.warned_at) == (Health.HEALTHY, None, None)


def test_a_change_by_the_owner_keeps_its_health(posthorn: Installation) -> None:
    """A PUT that does not enable the endpoint does not change its health."""
    webhook_id = fail_for_days(posthorn, 1)

    posthorn.call("PUT", f"/v1/webhooks/{webhook_id}", {"description": "new", "enabled": True})

    assert endpoint_of(posthorn, webhook_id).health is Health.FAILING


def test_a_failing_endpoint_is_queued(posthorn: Installation) -> None:
    """A failing endpoint is queued in its own message group; others are sent to at once."""
    failing_id = fail_for_days(posthorn, 1)
    posthorn.register("fine.example.com")
    posthorn.network.receivers["fine.example.com"] = answers(200)
    sent_before = len(posthorn.network.at("hooks.example.com"))
    event_id = posthorn.publish()

    posthorn.dispatch()

    row = posthorn.row(DeliveryKey(failing_id, event_id))
    assert len(posthorn.network.at("hooks.example.com")) == sent_before
    assert len(posthorn.network.at("fine.example.com")) == 1
    assert row is not None
    assert row.status is Status.QUEUED
    assert [message.group for message in posthorn.waiting("DeliverQueue")] == [failing_id]


def test_a_failed_write_is_made_up_for_by_the_next_attempt(posthorn: Installation) -> None:
    """If the health cannot be written, no record fails, and the next attempt writes it."""
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(404)
    states = posthorn.dispatcher._health_monitor._states
    states._config, kept = replace(states._config, name="nobodys"), states._config
    run(posthorn, FAILURES_IN_A_ROW + 1)
    missed = endpoint_of(posthorn, webhook["id"]).health
    states._config = kept

    run(posthorn)

    assert missed is Health.HEALTHY
    assert endpoint_of(posthorn, webhook["id"]).health is Health.FAILING
