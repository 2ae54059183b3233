"""A message on the FeedbackQueue becomes an event: once, complete, and without affecting its neighbors."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from posthorn import settings
from posthorn.aws import clients
from posthorn.domain.errors import Unavailable
from posthorn.handlers import feedback as feedback_handler
from posthorn.stores.events import Events, from_item
from tests import ses_examples as ses
from tests.aws import environment
from tests.installation import Waiting
from tests.network import answers
from tests.ses_consumer import consume
from tests.ses_examples import NAMES, enveloped, expected_of, parts, replaced

if TYPE_CHECKING:
    import io

    from posthorn.domain.models import Event
    from tests.installation import Installation

VALIDATION = "Successfully validated SNS topic for Amazon SES event publishing."


def message(told: Any, number: int = 0) -> Waiting:
    """Return a message of the FeedbackQueue; objects are sent as JSON."""
    body = told if isinstance(told, str) else json.dumps(told)
    return Waiting(body=body, delay=0, group=None, id=f"message-{number}")


def events(posthorn: Installation) -> list[Event]:
    """Return all events in the order of their ids."""
    rows = clients.client("dynamodb").scan(TableName=posthorn.tables["EventsTable"])["Items"]
    return sorted(map(from_item, rows), key=lambda event: event.id)


def dead_letters(posthorn: Installation) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in posthorn.waiting("FeedbackDeadLetterQueue")]


# ---- the examples


@pytest.mark.parametrize("envelope", [str, enveloped], ids=["raw", "wrapped"])
def test_every_example_becomes_an_event(posthorn: Installation, envelope: Any) -> None:
    """All ten in one batch, raw or enveloped, are stored field by field under their configuration set."""
    told = {name: ses.example(name) for name in NAMES}
    batch = [message(envelope(json.dumps(one)), number) for number, one in enumerate(told.values())]

    assert posthorn.notify(batch) == set()

    stored = {json.loads(event.data)["eventType"]: event for event in events(posthorn)}
    assert len(stored) == 10
    for name, one in told.items():
        event = stored[one["eventType"]]
        assert parts(json.loads(event.data)) == expected_of(name, one)
        assert (event.channel, event.workspace) == (ses.SET_ID, ses.WORKSPACE)
    assert dead_letters(posthorn) == []


def test_an_event_is_found_under_its_set(posthorn: Installation) -> None:
    """The event can be read by channel and id, as the API and the worker do."""
    posthorn.notify([message(ses.example("bounce"))])
    (event,) = events(posthorn)
    store = Events(clients.client("dynamodb"), posthorn.tables["EventsTable"], retention_days=30)
    assert store.get(ses.SET_ID, event.id) == event


def test_the_expiry_counts_from_the_arrival(posthorn: Installation) -> None:
    """A late notification is kept as long as any other, counted from its arrival."""
    posthorn.notify([message(ses.example("bounce"))])
    (row,) = clients.client("dynamodb").scan(TableName=posthorn.tables["EventsTable"])["Items"]
    assert row["expires_at"]["N"] == str(posthorn.clock() // 1000 + 30 * 86_400)


def test_from_the_topic_to_the_receiver(posthorn: Installation) -> None:
    """An event published by SES passes topic, queue, feedback and dispatch to a receiver, unchanged."""
    sets = "/api/v1/partner/email/configuration-sets"
    created = posthorn.call("POST", sets, {"name": "production", "suppression_options": "NONE"}).body
    set_id = created["config_set_id"]
    destination = {
        "name": "all",
        "destination_type": "WEBHOOK",
        "webhook_url": "https://hooks.example.com/ses",
        "webhook_secret": "your-shared-secret-32-chars-long",
        "matching_event_types": ["*"],
    }
    reply = posthorn.call("POST", f"{sets}/{set_id}/event-destinations", destination)
    assert reply.status == 201, reply
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    told = {}
    for name in NAMES:
        one = replaced(ses.example(name), "mail/tags/posthorn-set", [set_id])
        one = replaced(one, "mail/tags/posthorn-workspace", [posthorn.workspace])
        told[one["eventType"]] = (name, one)
        clients.client("sns").publish(TopicArn=posthorn.topics["FeedbackTopic"], Message=json.dumps(one))

    waiting = posthorn.take("FeedbackQueue")
    assert [json.loads(one.body)["eventType"] for one in waiting] == list(told)
    assert posthorn.notify(waiting) == set()
    assert posthorn.dispatch() == set()

    assert len(posthorn.network.received) == 10
    for received in posthorn.network.received:
        name, one = told.pop(received.headers["x-splashify-event"])
        assert parts(received.payload) == expected_of(name, one)
        assert consume(received.body.decode()).details == consume(json.dumps(one)).details


# ---- once


def test_the_same_notification_twice_is_one_event(posthorn: Installation) -> None:
    """In one batch or two, raw or enveloped, it is accepted once and not changed afterwards."""
    text = json.dumps(ses.example("bounce"))
    assert posthorn.notify([message(text, 1), message(text, 2), message(enveloped(text), 3)]) == set()
    (first,) = clients.client("dynamodb").scan(TableName=posthorn.tables["EventsTable"])["Items"]

    posthorn.clock.pass_seconds(3600)
    assert posthorn.notify([message(text, 4)]) == set()
    assert posthorn.notify([message(enveloped(text), 5)]) == set()

    assert clients.client("dynamodb").scan(TableName=posthorn.tables["EventsTable"])["Items"] == [first]
    assert dead_letters(posthorn) == []


def test_the_same_notification_at_many_functions_at_once_is_one_event(posthorn: Installation) -> None:
    """Concurrent invocations with copies of a notification store one event."""
    batch = [message(ses.example("click"), number) for number in range(10)]
    failed: list[set[str]] = []
    start = threading.Barrier(4)

    def invoke() -> None:
        start.wait()
        failed.append(posthorn.notify(batch))

    invocations = [threading.Thread(target=invoke) for _ in range(4)]
    for invocation in invocations:
        invocation.start()
    for invocation in invocations:
        invocation.join()

    assert failed == [set()] * 4
    assert len(events(posthorn)) == 1


def test_two_recipients_are_two_events(posthorn: Installation) -> None:
    """SES reports each recipient separately, possibly in the same millisecond."""
    told = ses.example("delivery")
    other = replaced(told, "delivery/recipients", ["another@example.com"])

    assert posthorn.notify([message(told, 1), message(other, 2)]) == set()

    recipients = [json.loads(event.data)["delivery"]["recipients"] for event in events(posthorn)]
    assert sorted(recipients) == [["another@example.com"], ["recipient@example.com"]]


def test_events_reported_out_of_order_are_sorted_by_their_time(posthorn: Installation) -> None:
    """A delivery may be reported before its send, and a click before its delivery; ids sort by event time."""
    mail = ses.example("send")["mail"]
    moments = {"Send": "10:00:00", "Delivery": "10:00:01", "Open": "10:05:00", "Click": "10:05:01"}
    told = [
        {
            "eventType": event_type,
            "mail": {**mail, "timestamp": f"2026-05-03T{moments['Send']}.000Z"},
            event_type.lower(): {} if event_type == "Send" else {"timestamp": f"2026-05-03T{moment}.000Z"},
        }
        for event_type, moment in moments.items()
    ]
    for one in reversed(told):
        assert posthorn.notify([message(one)]) == set()

    assert [json.loads(event.data)["eventType"] for event in events(posthorn)] == list(moments)


# ---- malformed messages


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[" * 100_000,
        '{"eventType":"Send"}',
        '{"s":"\ud83d"}',
        json.dumps(replaced(ses.example("send"), "mail/tags/posthorn-set", ["cs_x"])),
        json.dumps(ses.example("send") | {"big": "x" * 300_000}),
    ],
    ids=lambda body: ascii(body[:20]),
)
def test_a_malformed_message_is_dead_lettered_and_its_neighbors_become_events(
    posthorn: Installation, body: str, place: int
) -> None:
    """A malformed message becomes a dead letter, complete with its reason, and delays nothing."""
    batch = [message(ses.example("send"), 1), message(ses.example("open"), 2)]
    batch.insert(place, Waiting(body=body, delay=0, group=None, id="odd"))

    assert posthorn.notify(batch) == set()

    assert sorted(event.type for event in events(posthorn)) == ["open", "send"]
    (told,) = dead_letters(posthorn)
    assert (told["kind"], told["message_id"], told["body"]) == ("notification", "odd", body)
    assert told["reason"]


def test_a_dead_letter_logs_its_reason_and_nothing_of_the_mail(
    posthorn: Installation, log_lines: io.StringIO
) -> None:
    """The log has the message's id and the reason; the addresses stay in the queue."""
    posthorn.notify([message(replaced(ses.example("bounce"), "mail/tags/posthorn-set", ["cs_x"]))])

    (line,) = map(json.loads, log_lines.getvalue().splitlines())
    said = (line["message"], line["kind"], line["id"])
    assert said == ("message.dead_lettered", "notification", "message-0")
    assert line["reason"] == dead_letters(posthorn)[0]["reason"]
    assert "posthorn-set" in line["reason"]
    assert "@" not in log_lines.getvalue()


@pytest.mark.parametrize(
    ("body", "operational_event"),
    [
        (VALIDATION, "TopicValidation"),
        (enveloped(VALIDATION), "TopicValidation"),
        (enveloped("Confirm", "SubscriptionConfirmation"), "SubscriptionConfirmation"),
        (enveloped("Confirm", "UnsubscribeConfirmation"), "UnsubscribeConfirmation"),
    ],
    ids=["raw", "wrapped", "subscribed", "unsubscribed"],
)
def test_a_message_about_the_topic_is_acknowledged_and_logged(
    posthorn: Installation, log_lines: io.StringIO, body: str, operational_event: str
) -> None:
    """Messages about new sets and subscriptions raise no alarm, and the event beside them is stored."""
    assert posthorn.notify([message(body, 1), message(ses.example("send"), 2)]) == set()

    assert [event.type for event in events(posthorn)] == ["send"]
    assert dead_letters(posthorn) == []
    (line,) = map(json.loads, log_lines.getvalue().splitlines())
    assert (line["message"], line["level"]) == ("notification.ignored", "INFO")
    assert (line["id"], line["kind"]) == ("message-1", operational_event)


# ---- outages


def test_an_outage_of_dynamodb_fails_only_the_affected_messages(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the messages whose events were not written are received again, and then written."""
    batch = [message(ses.example(name), number) for number, name in enumerate(NAMES)]
    accept = Events.accept

    def fail_for_bounces(self: Events, accepted: list[Event], *, now_ms: int) -> None:
        if accepted[0].type == "bounce":
            raise Unavailable("put_item", "ProvisionedThroughputExceededException")
        accept(self, accepted, now_ms=now_ms)

    with monkeypatch.context() as broken:
        broken.setattr(Events, "accept", fail_for_bounces)
        failed = posthorn.notify(batch)
    before = len(events(posthorn))
    again = posthorn.notify([one for one in batch if one.id in failed])

    assert (failed, before, again) == ({f"message-{NAMES.index('bounce')}"}, 9, set())
    assert len(events(posthorn)) == 10


def test_a_message_that_cannot_be_dead_lettered_comes_again(posthorn: Installation) -> None:
    """A malformed message that cannot be dead-lettered is not acknowledged; its neighbor is."""
    sqs = clients.client("sqs")
    url = posthorn.queues["FeedbackDeadLetterQueue"]
    sqs.delete_queue(QueueUrl=url)
    batch = [message("odd", 1), message(ses.example("send"), 2)]

    assert posthorn.notify(batch) == {"message-1"}

    assert [event.type for event in events(posthorn)] == ["send"]
    sqs.create_queue(QueueName=url.rsplit("/", 1)[1])
    assert posthorn.notify(batch) == set()
    assert [told["message_id"] for told in dead_letters(posthorn)] == ["message-1"]


# ---- the handler


def test_the_handler_reports_failed_messages(posthorn: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """FeedbackFunction works with its own environment, and reports failed messages by id."""
    physical = {**posthorn.tables, **posthorn.queues}
    for name, value in environment("FeedbackFunction", physical).items():
        monkeypatch.setenv(name, value)
    caches = (settings.feedback_settings, feedback_handler.feedback)
    for cache in caches:
        cache.cache_clear()
    clients.client("sqs").delete_queue(QueueUrl=posthorn.queues["FeedbackDeadLetterQueue"])
    batch = [message("odd", 2), message(ses.example("send"), 1), message("also odd", 0)]

    answer = feedback_handler.handler({"Records": [one.record() for one in batch]}, object())

    for cache in caches:
        cache.cache_clear()
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-0"}, {"itemIdentifier": "message-2"}]}
    assert [event.type for event in events(posthorn)] == ["send"]
