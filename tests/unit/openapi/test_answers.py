"""The description of what is answered: whatever state a thing is in, it is shown with the described fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]

from posthorn.api.problems import FieldError, Problem
from posthorn.api.routes import (
    delivery_views,
    event_views,
    purge_views,
    replay_views,
    sent_requests,
    webhook_views,
)
from posthorn.api.routes.endpoint_kinds import DESTINATIONS, WEBHOOKS, EndpointResource
from posthorn.api.routes.match_explanations import DeliveryRecord, MatchExplanation
from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.ids import EVENT, lower_bound
from posthorn.domain.matching import MatchReason
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
)
from posthorn.domain.purge_job import PurgeJob, PurgeState
from posthorn.domain.replay_job import JobState, ReplayJob, ReplaySelection
from posthorn.stores.deleted_endpoints import DeletedEndpoint
from posthorn.stores.delivery_log import LogEntry
from tests.unit.openapi.description import check, component

WEBHOOK: Final = Endpoint(
    id="wh_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    channel="wksp_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    workspace="wksp_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    kind=EndpointKind.WEBHOOK,
    format=PayloadFormat.EVENT_JSON,
    url="https://hooks.example.com/hook",
    events=("CONTACT_CREATED",),
    secret=SealedSecret(b"sealed", 1),
    created_at=1_681_659_900_000,
)
DELETED: Final = DeletedEndpoint(
    id=WEBHOOK.id,
    events=WEBHOOK.events,
    created_at=WEBHOOK.created_at,
    deleted_at=WEBHOOK.created_at + 1,
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
    check(webhook_views.webhook(webhook), component("Webhook"))
    with_token = webhook_views.webhook_with_token(webhook, "token")
    check(with_token, component("WebhookWithToken"))
    for token in (None, "token"):
        check(webhook_views.created_webhook(webhook, token), component("CreatedWebhook"))
    with pytest.raises(ValidationError):
        check(with_token, component("Webhook"))


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
        for resource, kind in ((WEBHOOKS, ""), (DESTINATIONS, "EventDestination")):
            check(delivery_views.delivery(resource, row), component(f"{kind}Delivery"))
            listed = [
                delivery_views.entry(resource, one)
                for one in (LogEntry(row.key, row), LogEntry(row.key, None))
            ]
            check({"deliveries": listed}, component(f"{kind}DeliveryList"))
            made = [
                delivery_views.whole_attempt(resource, row.attempts[0], None),
                delivery_views.whole_attempt(resource, row.attempts[0], sent),
            ]
            whole = delivery_views.whole_delivery(
                resource, row, attempts=made, request_body=None, curl=None, notes=[]
            )
            check(whole, component(f"{kind}DeliveryDetail"))
        for record in (DeliveryRecord(row), DeliveryRecord(None)):
            for endpoint in (WEBHOOK, DELETED):
                check_of_event(endpoint, record)


def check_of_event(endpoint: Endpoint | DeletedEndpoint, record: DeliveryRecord) -> None:
    """Check what the log of events shows of a delivery."""
    event = {
        "id": "evt_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
        "event": "CONTACT_CREATED",
        "created_at": "2023-04-16T15:45:00Z",
    }
    summary = {**event, "isTest": False}
    told = {**summary, "matched": True}
    check({**told, "deliveries": [event_views.delivery(endpoint, record)]}, component("EventInList"))
    detail = event_views.delivery_detail(endpoint, record)
    check({**told, "data": {}, "deliveries": [detail]}, component("Event"))
    for explanation in (
        MatchExplanation(matched=True, reason=MatchReason.MATCHED, pattern="*"),
        MatchExplanation(matched=False, reason=MatchReason.DELETED),
    ):
        for one in (record, None):
            check(event_views.match(endpoint, one, explanation), component("Match"))


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


@pytest.mark.parametrize("state", PurgeState)
def test_a_purge_fits_its_description(state: PurgeState) -> None:
    """Before it has removed anything, and with its end."""
    finished = WEBHOOK.created_at if state is PurgeState.DONE else None
    job = PurgeJob(
        WEBHOOK.workspace, "cust_1", created_at=1, updated_at=2, sent_at=2, state=state, finished_at=finished
    )
    check(purge_views.purge(job), component("Purge"))


def test_a_problem_fits_its_description() -> None:
    """Errors are described with and without the places that they point at."""
    check(Problem(404, "not_found", "No such thing.").document(), component("Problem"))
    check(
        Problem(422, "invalid_input", "No.", errors=[FieldError("/url", "No.")]).document(),
        component("Problem"),
    )
