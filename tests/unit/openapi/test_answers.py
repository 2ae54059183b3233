"""The description of what is answered: whatever state a thing is in, it is shown with the described fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]

from posthorn.api.problems import FieldError, Problem
from posthorn.api.routes import delivery_views, replay_views, sent_requests, webhooks
from posthorn.api.routes.endpoint_kinds import DESTINATIONS, WEBHOOKS, EndpointResource
from posthorn.domain.ids import EVENT, lower_bound
from posthorn.domain.models import (
    Attempt,
    Delivery,
    DeliveryKey,
    DisabledReason,
    Endpoint,
    Failure,
    Outcome,
    Reason,
    SealedSecret,
    Status,
    Timings,
    Wire,
)
from posthorn.domain.replay_job import JobState, ReplayJob, ReplaySelection
from posthorn.stores.delivery_log import LogEntry
from tests.unit.openapi.description import check, component

WEBHOOK: Final = Endpoint(
    id="wh_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    channel="wksp_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    workspace="wksp_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    wire=Wire.SMASHSEND,
    url="https://hooks.example.com/hook",
    events=("CONTACT_CREATED",),
    secret=SealedSecret(b"sealed", 1),
    created_at=1_681_659_900_000,
)


@pytest.mark.parametrize("reason", [None, *DisabledReason])
@pytest.mark.parametrize("description", [None, "a text"])
def test_a_webhook_fits_its_description(reason: DisabledReason | None, description: str | None) -> None:
    """With and without its token, enabled or not, an answer has the described fields and no more."""
    webhook = replace(
        WEBHOOK,
        enabled=reason is None,
        disabled_reason=reason,
        disabled_at=None if reason is None else 1_681_659_900_000,
        description=description,
    )
    check(webhooks._shown(webhook), component("Webhook"))
    check(webhooks._shown(webhook, "token"), component("WebhookWithToken"))
    with pytest.raises(ValidationError):
        check(webhooks._shown(webhook, "token"), component("Webhook"))


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("failure", [None, *Failure])
def test_a_delivery_fits_its_description(status: Status, failure: Failure | None) -> None:
    """Wherever a delivery stands, and whatever came of its attempts, both faces show it with the described fields."""
    outcome = Outcome(
        Timings(1, 2, 3, 4, 5),
        status=None if failure else 200,
        failure=failure,
        error="no answer" if failure else None,
    )
    sent = sent_requests.SentRequest("https://hooks.example.com/", (("Host", "hooks.example.com"),), ())
    for reason in (None, *Reason):
        row = Delivery(
            key=DeliveryKey(WEBHOOK.id, "evt_01GY5BMP7FBC0DKZTXDZJ7EQ6S"),
            channel=WEBHOOK.channel,
            event_type="CONTACT_CREATED",
            status=status,
            attempt=1,
            reason=reason,
            next_attempt_at=1_681_659_960_000 if status.is_open else None,
            attempts=(Attempt(1, 1_681_659_900_000, outcome),),
            replay="rpl_01GY5BMP7FBC0DKZTXDZJ7EQ6S" if reason else None,
        )
        for resource, name in ((WEBHOOKS, "Webhook"), (DESTINATIONS, "EventDestination")):
            shown = delivery_views.delivery(resource, row)
            check(shown, component(f"{name}Delivery"))
            for one in (LogEntry(row.key, row), LogEntry(row.key, None)):
                check(delivery_views.entry(resource, one), component(f"{name}DeliveryInList"))
            made = [
                delivery_views.whole_attempt(resource, row.attempts[0], None),
                delivery_views.whole_attempt(resource, row.attempts[0], sent),
            ]
            whole = {"attempts": made, "request_body": None, "curl": None, "notes": []}
            check(shown | resource.write(whole), component(f"{name}DeliveryInFull"))


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize(
    ("resource", "name"),
    [(WEBHOOKS, "Replay"), (DESTINATIONS, "EventDestinationReplay")],
    ids=["webhook", "email"],
)
def test_a_replay_fits_its_description(resource: EndpointResource, name: str, state: JobState) -> None:
    """Wherever a job stands, an answer has the described fields, in the spelling of its face only."""
    job = ReplayJob(
        id="rpl_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
        endpoint_id=WEBHOOK.id,
        channel=WEBHOOK.channel,
        since=WEBHOOK.created_at,
        until=WEBHOOK.created_at + 3,
        wanted=ReplaySelection.ALL,
        dry_run=False,
        created_at=WEBHOOK.created_at,
        updated_at=WEBHOOK.created_at,
        sent_at=WEBHOOK.created_at,
        position=lower_bound(EVENT, now_ms=WEBHOOK.created_at + 1),
        end=lower_bound(EVENT, now_ms=WEBHOOK.created_at + 3),
        state=state,
        reason=Reason.ENDPOINT_DISABLED if state is JobState.STOPPED else None,
        finished_at=None if state.is_live else WEBHOOK.created_at,
    )
    check(replay_views.replay(resource, job), component(name))
    other = "Replay" if resource is DESTINATIONS else "EventDestinationReplay"
    with pytest.raises(ValidationError):
        check(replay_views.replay(resource, job), component(other))


def test_a_problem_fits_its_description() -> None:
    """Errors are described with and without the places that they point at."""
    check(Problem(404, "not_found", "No such thing.").document(), component("Problem"))
    check(
        Problem(422, "invalid_input", "No.", errors=[FieldError("/url", "No.")]).document(),
        component("Problem"),
    )
