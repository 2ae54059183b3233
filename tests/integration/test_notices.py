"""Notices: what the operator is told about failing endpoints, and that none of it is lost."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from posthorn.aws.notice_messages import NoticeMessage, write_notice_message
from posthorn.domain.health_policy import DISABLE_AFTER_MS, MIN_UNDELIVERED, WARN_AFTER_MS
from posthorn.domain.models import DeliveryKey, Failure, Status
from tests.configuration_sets import MAIL, deliver_all, new_destination, new_set
from tests.installation import running
from tests.integration.test_health import endpoint_of, fail_for_days, operational_events, run
from tests.network import answers, fails
from tests.notice_queue import NOTICE_TOPIC, create_notice_queue, taken_envelopes, taken_notices
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.installation import Installation

DOCUMENT = ROOT / "docs" / "notices.md"


@pytest.fixture
def told() -> Iterator[Installation]:
    """Give an installation whose operator has a topic for notices."""
    with running(NoticeTarget=NOTICE_TOPIC) as installation:
        create_notice_queue()
        yield installation


def gone(posthorn: Installation, **fields: Any) -> str:
    """Register a webhook, let it answer 410 to one event, and return the event's id."""
    posthorn.register(**fields)
    posthorn.network.receivers["hooks.example.com"] = answers(410)
    (event_id,) = run(posthorn)
    return event_id


def settle(posthorn: Installation) -> None:
    """Dispatch operational events, and process the messages of their notices."""
    assert posthorn.dispatch() == set()
    assert posthorn.deliver(posthorn.take("DeliverQueue")) == set()


def test_the_operator_hears_of_a_webhook_that_is_gone(told: Installation) -> None:
    """The notice names the workspace in the platform's own words, and has all that support needs but the URL."""
    event_id = gone(told, url="https://hooks.example.com/s3cret-path-of-mine")
    (endpoint,) = told.services.endpoints.of_channel(told.workspace).endpoints

    settle(told)

    (event,) = operational_events(told)
    (notice,) = taken_notices()
    workspace = told.services.workspaces.find(told.workspace)
    assert workspace is not None
    assert notice == {
        "id": event.id,
        "type": "WEBHOOK_DISABLED",
        "createdAt": "2023-04-16T15:45:00Z",
        "workspace": {"id": told.workspace, "uid": workspace.uid},
        "endpoint": {"id": endpoint.id, "kind": "webhook", "host": "hooks.example.com"},
        "reason": "gone",
        "since": "2023-04-16T15:45:00Z",
        "lastFailure": {"status": 410},
        "example": {"eventId": event_id},
        "action": notice["action"],
    }


def test_the_operator_hears_of_an_event_destination(told: Installation) -> None:
    """Event destinations are endpoints like webhooks, and their kind is named."""
    new_destination(told, new_set(told))
    told.network.receivers["yourapp.com"] = answers(410)
    assert told.call("POST", "/api/v1/partner/email/send", MAIL).status == 202
    deliver_all(told)

    settle(told)

    (notice,) = taken_notices()
    assert (notice["type"], notice["endpoint"]["kind"]) == ("WEBHOOK_DISABLED", "event_destination")
    assert notice["endpoint"]["host"] == "yourapp.com"


def test_the_operator_is_warned_after_a_day_and_told_after_five(told: Installation) -> None:
    """Both notices say since when; the warning says until when, and both have the last failure's cause."""
    fail_for_days(told, MIN_UNDELIVERED)
    told.network.receivers["hooks.example.com"] = fails(Failure.TIMEOUT)
    told.clock.pass_seconds(WARN_AFTER_MS / 1000)
    run(told)
    settle(told)
    (warning,) = taken_notices()
    told.network.receivers["hooks.example.com"] = answers(404)
    told.clock.pass_seconds((DISABLE_AFTER_MS - WARN_AFTER_MS) / 1000)
    run(told)
    settle(told)
    (end,) = taken_notices()

    begin = "2023-04-16T15:45:00Z"
    assert (warning["type"], warning["reason"], warning["since"]) == ("WEBHOOK_FAILING", "failing", begin)
    assert (warning["willBeDisabledAt"], warning["lastFailure"]) == (
        "2023-04-21T15:45:00Z",
        {"cause": "timeout"},
    )
    assert (end["type"], end["reason"], end["since"]) == ("WEBHOOK_DISABLED", "failing", begin)
    assert end["lastFailure"] == {"status": 404}
    assert "willBeDisabledAt" not in end


def test_subscribers_of_the_topic_can_filter(told: Installation) -> None:
    """The subject is for people, the attributes are for filter policies."""
    gone(told)
    settle(told)

    (envelope,) = taken_envelopes()

    workspace = told.services.workspaces.find(told.workspace)
    assert workspace is not None
    assert envelope["Subject"] == "WEBHOOK_DISABLED: hooks.example.com"
    assert {name: one["Value"] for name, one in envelope["MessageAttributes"].items()} == {
        "type": "WEBHOOK_DISABLED",
        "workspace": told.workspace,
        "uid": workspace.uid,
        "kind": "webhook",
        "reason": "gone",
    }


def test_what_an_owner_does_is_no_notice(told: Installation) -> None:
    """Disabling by hand publishes the event to the workspace, and tells the operator nothing."""
    webhook = told.register()
    told.call("PUT", f"/v1/webhooks/{webhook['id']}", {"enabled": False})

    settle(told)

    assert len(operational_events(told)) == 1
    assert taken_notices() == []


def test_without_a_target_nothing_is_stored_or_queued(posthorn: Installation) -> None:
    """An installation without a target pays for no message and no attribute."""
    gone(posthorn)
    assert posthorn.dispatch() == set()

    (event,) = operational_events(posthorn)
    assert event.notice is None
    assert posthorn.take("DeliverQueue") == []


def test_a_target_that_is_down_delays_no_delivery(told: Installation) -> None:
    """While the topic refuses, the message comes again, and the attempts beside it are made."""
    gone(told)
    assert told.dispatch() == set()
    told.register("slow.example.com", events=["CONTACT_DELETED"])
    told.network.receivers["slow.example.com"] = answers(200)
    event_id = told.publish("CONTACT_DELETED")
    told.dispatch(remaining_ms=15_000)
    notice, attempt = sorted(told.take("DeliverQueue"), key=lambda one: "notice" not in one.task)

    with refused("Publish"):
        failed = told.deliver([notice, attempt])
    unsent = taken_notices()
    row = told.row(DeliveryKey(attempt.task["endpoint"], event_id))
    again = told.deliver([notice])

    assert (failed, unsent, again) == ({notice.id}, [], set())
    assert row is not None
    assert row.status is Status.DELIVERED
    assert len(taken_notices()) == 1


def test_a_queue_that_is_down_fails_the_record(told: Installation) -> None:
    """If the message cannot be sent, the record comes again; the endpoint stays disabled."""
    gone(told)
    records = told.stream()

    with refused("SendMessage"):
        failed = told.dispatch(records)
    again = told.dispatch(records)
    settle(told)

    assert (len(failed), again) == (1, set())
    assert len(taken_notices()) == 1


def test_a_target_that_was_removed_ends_its_notices(posthorn: Installation) -> None:
    """A message that is left when the parameter becomes empty is dropped."""
    message = NoticeMessage(posthorn.workspace, gone(posthorn))
    record = {"messageId": "1", "body": write_notice_message(message)}

    assert posthorn.deliverer.deliver([record]) == set()
    assert posthorn.take("DispatchDeadLetterQueue") == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"v":1,"notice":"evt_1","channel":"wksp_1"}', "notice is not an event id"),
        ('{"v":2,"notice":"evt_01GY5BVC30BPC335BN0KCGXRQ8"}', "the message has an unknown version"),
        ('{"notice"', "the message is not JSON"),
        ('["notice"]', "the message is not an object"),
        (
            '{"v":1,"notice":"evt_01GY5BVC30BPC335BN0KCGXRQ8","channel":7}',
            "channel is not the id of a workspace",
        ),
        (
            '{"v":1,"notice":"evt_01GY5BVC30BPC335BN0KCGXRQ8","channel":"wksp_01GY5BVC309NNKZNNKZNNKZNNK"}',
            "there is no such notice",
        ),
    ],
)
def test_a_message_without_a_notice_is_a_dead_letter(told: Installation, body: str, reason: str) -> None:
    """A message that can never be processed is kept with the reason."""
    failed = told.deliverer.deliver([{"messageId": "1", "body": body}])

    (letter,) = told.take("DispatchDeadLetterQueue")  # as the settings of an installation have it
    assert failed == set()
    assert (letter.task["body"], letter.task["reason"]) == (body, reason)


def test_the_uid_is_looked_up_once(told: Installation) -> None:
    """A process that sends many notices for a workspace reads its row once."""
    names: list[str] = []
    plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def note(self: BaseClient, name: str, parameters: Any) -> Any:
        if name == "BatchGetItem" and told.tables["ConfigTable"] in parameters["RequestItems"]:
            names.append(name)
        return plain(self, name, parameters)

    for number in range(3):
        told.register(f"hooks{number}.example.com")
        told.network.receivers[f"hooks{number}.example.com"] = answers(410)
    run(told)
    told.dispatch()
    with mock.patch.object(BaseClient, "_make_api_call", note):
        for message in told.take("DeliverQueue"):
            told.deliver([message])

    assert len(taken_notices()) == 3
    assert len(names) == 1


def test_a_deleted_workspace_has_no_uid(told: Installation) -> None:
    """A notice that outlives its workspace is sent all the same."""
    gone(told)
    told.dispatch()
    with mock.patch.object(type(told.services.workspaces.store), "states", return_value={}):
        told.deliver(told.take("DeliverQueue"))

    (envelope,) = taken_envelopes()
    assert json.loads(envelope["Message"])["workspace"] == {"id": told.workspace, "uid": None}
    assert "uid" not in envelope["MessageAttributes"]


def test_the_documented_example_is_what_is_sent(told: Installation) -> None:
    """The example of the document has the fields, the types and the words of a real warning."""
    fail_for_days(told, 1)
    told.clock.pass_seconds(WARN_AFTER_MS / 1000)
    run(told)
    settle(told)
    (sent,) = taken_notices()
    (text,) = re.findall(r"```json\n(.+?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    shown = json.loads(text)

    def shape(value: Any) -> Any:
        return {name: shape(one) for name, one in value.items()} if isinstance(value, dict) else type(value)

    same = ("type", "reason", "since", "willBeDisabledAt", "action", "lastFailure")
    assert shape(shown) == shape(sent)
    assert list(shown) == list(sent)
    assert {name: shown[name] for name in same} == {name: sent[name] for name in same}


def test_the_endpoint_is_disabled_before_the_operator_hears_of_it(told: Installation) -> None:
    """The change comes first: a notice never describes what did not happen."""
    webhook = told.register()
    told.network.receivers["hooks.example.com"] = answers(410)
    told.publish()
    told.dispatch()

    assert not endpoint_of(told, webhook["id"]).enabled
    assert taken_notices() == []


class refused:  # noqa: N801 - reads as a sentence
    """Let AWS refuse one operation inside the block."""

    def __init__(self, operation: str) -> None:
        plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

        def call(client: BaseClient, name: str, parameters: Any) -> Any:
            if name == operation:
                error: Any = {
                    "Error": {"Code": "Throttling"},
                    "ResponseMetadata": {"HTTPStatusCode": 400},
                }
                raise ClientError(error, name)
            return plain(client, name, parameters)

        self._patch = mock.patch.object(BaseClient, "_make_api_call", call)

    def __enter__(self) -> None:
        self._patch.start()

    def __exit__(self, *_: object) -> None:
        self._patch.stop()
