"""DynamoDB writes whose response was lost: botocore retries, and the condition fails on our own write."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from botocore.client import BaseClient

from posthorn.domain.models import DeliveryKey, Status
from tests.network import answers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.installation import Installation

SETS = "/api/v1/partner/email/configuration-sets"


@contextmanager
def lost_answers(*operations: str) -> Iterator[None]:
    """Execute each of these operations twice, as after a lost response."""
    once = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def twice(self: BaseClient, name: str, parameters: Any) -> Any:
        if name in operations:
            once(self, name, parameters)
        return once(self, name, parameters)

    with mock.patch.object(BaseClient, "_make_api_call", twice):
        yield


def _failing(posthorn: Installation) -> DeliveryKey:
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(500)
    return DeliveryKey(webhook["id"], posthorn.publish())


def test_the_row_of_a_first_attempt(posthorn: Installation) -> None:
    """The row is ours, so its message is sent."""
    key = _failing(posthorn)
    records = posthorn.stream()

    with lost_answers("PutItem"):
        failed = posthorn.dispatch(records)

    row = posthorn.row(key)
    assert failed == set()
    assert row is not None
    assert row.status is Status.RETRYING
    assert [message.task["attempt"] for message in posthorn.waiting("Retry1MinQueue")] == [2]


def test_the_row_of_a_queued_attempt(posthorn: Installation) -> None:
    """An attempt that did not fit into the invocation is queued all the same."""
    key = _failing(posthorn)
    records = posthorn.stream()

    with lost_answers("PutItem"):
        failed = posthorn.dispatch(records, remaining_ms=15_000)

    assert failed == set()
    assert [message.group for message in posthorn.waiting("DeliverQueue")] == [key.endpoint_id]


@pytest.mark.parametrize("status", [500, 410])
def test_the_row_of_a_retry(posthorn: Installation, status: int) -> None:
    """The row is ours, so the next step of the retry follows."""
    key = _failing(posthorn)
    posthorn.dispatch()
    (message,) = posthorn.take("Retry1MinQueue")
    posthorn.network.receivers["hooks.example.com"] = answers(status)
    claims = iter([True])

    once = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def second_update_twice(self: BaseClient, name: str, parameters: Any) -> Any:
        if name == "UpdateItem" and not next(claims, False):  # the first one is the claim
            once(self, name, parameters)
        return once(self, name, parameters)

    with mock.patch.object(BaseClient, "_make_api_call", second_update_twice):
        failed = posthorn.deliver([message])

    shown = posthorn.call("GET", f"/v1/webhooks/{key.endpoint_id}").body["webhook"]
    assert failed == set()
    assert len(posthorn.waiting("Retry5MinQueue")) == (1 if status == 500 else 0)
    assert shown["enabled"] is (status == 500)


def test_the_decision_of_a_mail(posthorn: Installation) -> None:
    """The idempotency key is ours, so the mail is sent."""
    posthorn.call("POST", SETS, {"name": "production"})
    mail = {
        "from": "hello@yourcompany.com",
        "to": ["customer@example.com"],
        "subject": "Welcome",
        "text_body": "Hi",
        "configuration_set_name": "production",
    }

    with lost_answers("PutItem"):
        reply = posthorn.call(
            "POST", "/api/v1/partner/email/send", mail, headers={"idempotency-key": "welcome-1"}
        )

    assert reply.status == 202
    assert len(posthorn.waiting("FeedbackQueue")) == 2


def test_the_rotation_of_a_secret(posthorn: Installation) -> None:
    """The change is ours, and the old secret still signs beside the new one."""
    set_id = posthorn.call("POST", SETS, {"name": "production"}).body["config_set_id"]
    path = f"{SETS}/{set_id}/event-destinations"
    wanted = {
        "name": "webhook",
        "destination_type": "WEBHOOK",
        "webhook_url": "https://yourapp.com/hook",
        "webhook_secret": "the-first-shared-secret",
        "matching_event_types": ["send"],
    }
    destination = posthorn.call("POST", path, wanted).body["destination_id"]

    with lost_answers("PutItem"):
        first = posthorn.call("PATCH", f"{path}/{destination}", {"webhook_secret": "the-other-shared-secret"})
    again = posthorn.call("PATCH", f"{path}/{destination}", {"webhook_secret": "the-other-shared-secret"})

    endpoint = posthorn.services.endpoints.get(set_id, destination)
    assert endpoint is not None
    assert (first.status, again.status) == (200, 200)
    assert posthorn.services.unsealer.secrets_of(endpoint, now_ms=posthorn.clock()) == (
        b"the-other-shared-secret",
        b"the-first-shared-secret",
    )
