"""From what SES tells to an event: nothing lost but what must be removed, nothing invented, nothing twice."""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import datetime
from typing import Any, Final

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from posthorn.email.events import event_of
from posthorn.email_types import EMAIL_TYPES
from posthorn.errors import Malformed
from posthorn.ids import EVENT, is_id, new_id
from posthorn.stores.events import MAX_DATA
from posthorn.wire.ecmascript import parse, stringify
from tests import ses_examples as ses
from tests.ses_consumer import consume
from tests.ses_examples import NAMES, Json, expected_of, parts, replaced, without

TYPES: Final = {
    "bounce": ("bounce", "2017-08-05T00:41:02.669Z"),
    "click": ("click", "2017-08-09T23:51:25.570Z"),
    "complaint": ("complaint", "2017-08-05T00:41:02.669Z"),
    "delivery": ("delivered", "2016-10-19T23:21:04.133Z"),
    "delivery-delay": ("delivery_delay", "2020-06-16T00:25:40.095Z"),
    "open": ("open", "2017-08-09T22:00:19.652Z"),
    "reject": ("reject", "2016-10-14T17:38:15.211Z"),
    "rendering-failure": ("rendering_failure", "2018-01-22T18:43:06.197Z"),
    "send": ("send", "2016-10-14T05:02:16.645Z"),
    "subscription": ("subscription", "2022-01-12T01:00:17.910Z"),
}
"""The type and the time of each example's event."""

KEYS: Final = {one.event_type: one.key for one in EMAIL_TYPES}

# what Posthorn cannot do without; everything else may be missing
NEEDED: Final = {"", "eventType", "mail", "mail/messageId", "mail/timestamp", "mail/tags"}
OUR_TAGS: Final = tuple(f"mail/tags/posthorn-{name}" for name in ("message", "set", "workspace"))


def data_of(told: Json) -> Json:
    data: Json = json.loads(event_of(told).data)
    return data


def _is_needed(path: str) -> bool:
    is_name = path.startswith("mail/headers/") and path.endswith("/name")  # a header is known by it here
    return path in NEEDED or path.startswith(OUR_TAGS) or is_name


# ---- the ten examples


def test_there_is_an_example_of_every_type() -> None:
    """AWS's ten kinds of events are the ten that destinations can subscribe to."""
    told = {ses.example(name)["eventType"] for name in NAMES}
    assert told == {one.event_type for one in EMAIL_TYPES}
    assert len(told) == 10


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost_but_what_must_be_removed_and_nothing_is_invented(name: str) -> None:
    """Field by field, an event is the example without the paths of a written list, under our message id."""
    told = ses.example(name)

    cleaned = data_of(told)

    assert parts(cleaned) == expected_of(name, told)
    removed = parts(told).keys() - parts(cleaned).keys()
    assert {path for path in removed if path.rpartition("/")[0] not in removed} == ses.REMOVED[name]


@pytest.mark.parametrize("name", NAMES)
def test_an_event_belongs_to_the_set_that_its_mail_was_sent_with(name: str) -> None:
    """Channel and workspace are those of our tags, the type is the name that destinations subscribe to."""
    event = event_of(ses.example(name))

    assert (event.channel, event.workspace) == (ses.SET_ID, ses.WORKSPACE)
    assert (event.type, event.created_at) == TYPES[name]
    assert is_id(event.id, EVENT)


@pytest.mark.parametrize("name", NAMES)
def test_the_data_begins_as_receivers_expect_it(name: str) -> None:
    """First eventType, then mail, then the event's own object, each in SES's own order."""
    told = ses.example(name)
    ordered = json.loads(event_of(told).data, object_pairs_hook=OrderedDict)

    assert list(ordered) == ["eventType", "mail", KEYS[told["eventType"]]]
    paths = list(parts(told["mail"]))
    assert list(parts(ordered["mail"])) == [path for path in paths if path in parts(ordered["mail"])]
    own = KEYS[told["eventType"]]
    assert list(parts(ordered[own])) == list(parts(told[own]))


@pytest.mark.parametrize("name", NAMES)
def test_the_data_is_what_javascript_would_write(name: str) -> None:
    """The body is signed as it is and verified after a round through JSON.parse and JSON.stringify."""
    data = event_of(ses.example(name)).data
    assert stringify(parse(data.encode())) == data


@pytest.mark.parametrize("name", NAMES)
def test_a_consumer_of_sns_reads_the_same_from_an_event(name: str) -> None:
    """Code written for SES over SNS finds every field where it was; only the message's id is another."""
    told = ses.example(name)

    read, before = consume(event_of(told).data), consume(json.dumps(told))

    assert read.message_id == ses.MESSAGE_ID
    assert before.message_id.startswith("EXAMPLE")
    for field in ("event_type", "sent_at", "sender", "destination", "subject", "campaign", "details"):
        assert getattr(read, field) == getattr(before, field), field


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_operator_remains(name: str) -> None:
    """No account, no ARN, no tag of SES or of Posthorn and no id of SES's is in any event."""
    told = ses.example(name)
    data = event_of(told).data
    hidden = (ses.ACCOUNT, "arn:aws", "ses:", "posthorn", "X-SES-", "ses_user", "IAM_user", "ConfigSet")
    assert [word for word in (*hidden, told["mail"]["messageId"]) if word in data] == []
    assert [word for word in hidden if word in json.dumps(told)] != []


# ---- one event per happening


@pytest.mark.parametrize("name", NAMES)
def test_the_same_notification_gives_the_same_event(name: str) -> None:
    """Whenever it comes and in whatever order its keys are, it is the same event under the same id."""
    told = ses.example(name)
    backwards = _backwards(told)
    assert list(backwards) != list(told)
    assert event_of(ses.example(name)) == event_of(told)
    assert event_of(backwards).id == event_of(told).id


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (name, path)
        for name in NAMES
        for path, value in expected_of(name, ses.example(name)).items()
        if isinstance(value, str | int) and path not in {"eventType", *ses.RENAMED}
    ],
)
def test_whatever_a_receiver_could_tell_apart_is_two_events(name: str, path: str) -> None:
    """Another recipient, feedback id, link, response or header makes another event."""
    told = ses.example(name)
    value = parts(told)[path]
    longer = value.replace("Z", "9Z") if path.endswith("/timestamp") else f"{value}x"
    other = longer if isinstance(value, str) else value + 1
    assert event_of(replaced(told, path, other)).id != event_of(told).id


def test_two_mails_have_two_events() -> None:
    """The same happening to another mail is another event."""
    told = ses.example("send")
    other = replaced(told, "mail/tags/posthorn-message", ["550e8400-e29b-41d4-a716-446655440001"])
    assert event_of(other).id != event_of(told).id


@pytest.mark.parametrize(
    ("name", "path"), [(name, path) for name in NAMES for path in sorted(ses.REMOVED[name] - {*OUR_TAGS})]
)
def test_what_no_receiver_sees_makes_no_event(name: str, path: str) -> None:
    """A notification that differs in what is removed anyway is the same event again."""
    told = ses.example(name)
    assert event_of(without(told, {path})).id == event_of(told).id


@pytest.mark.parametrize("name", NAMES)
def test_an_id_is_of_the_events_own_time(name: str) -> None:
    """Ids are in the order in which things happened, whenever they were told."""
    moment = datetime.fromisoformat(TYPES[name][1])
    now_ms = round(moment.timestamp() * 1000)
    time = len("evt_") + 10  # a ULID's first ten characters
    assert event_of(ses.example(name)).id[:time] == new_id(EVENT, now_ms=now_ms, entropy=bytes(10))[:time]


# ---- the time of an event


@pytest.mark.parametrize(
    ("text", "created_at"),
    [
        ("2026-05-03T12:34:57Z", "2026-05-03T12:34:57.000Z"),
        ("2026-05-03T12:34:57.1239Z", "2026-05-03T12:34:57.123Z"),
        ("2026-05-03T14:34:57.123+02:00", "2026-05-03T12:34:57.123Z"),
        ("2026-05-03T12:34:57.123", "2026-05-03T12:34:57.123Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_the_time_is_the_events_own_in_utc(text: str, created_at: str) -> None:
    """Whatever ISO 8601 allows becomes RFC 3339 in UTC, and the id's time is the same."""
    event = event_of(replaced(ses.example("bounce"), "bounce/timestamp", text))
    assert event.created_at == created_at
    assert json.loads(event.data)["bounce"]["timestamp"] == text


@pytest.mark.parametrize("own", [{}, {"timestamp": None}, None, [], "text"])
def test_an_event_without_a_time_of_its_own_has_that_of_its_mail(own: Any) -> None:
    """Send, Reject and Rendering Failure have none, and others may lose theirs."""
    told = ses.example("bounce") | {"bounce": own}
    assert event_of(told).created_at == "2017-08-05T00:40:02.012Z"


@pytest.mark.parametrize(
    "time",
    [
        "",
        "yesterday",
        "2026-02-30T00:00:00Z",
        "1969-12-31T23:59:59.999Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        1501893662669,
        True,
        ["2026-05-03T12:34:57Z"],
    ],
)
def test_a_time_that_is_none_is_malformed(time: Any) -> None:
    """An id cannot be made of it, and nobody knows when the event was."""
    with pytest.raises(Malformed):
        event_of(replaced(ses.example("bounce"), "bounce/timestamp", time))
    with pytest.raises(Malformed):
        event_of(replaced(ses.example("send"), "mail/timestamp", time))


def test_an_event_without_any_time_is_malformed() -> None:
    """The clock of this machine is not the event's."""
    with pytest.raises(Malformed, match="no time"):
        event_of(without(ses.example("send"), {"mail/timestamp"}))


# ---- what is missing, what is new


@settings(max_examples=300)
@given(st.data())
def test_missing_optional_fields_do_no_harm(data: st.DataObject) -> None:
    """Whatever SES leaves out is left out of the event, too, and everything else is still there."""
    name = data.draw(st.sampled_from(NAMES))
    whole = ses.example(name)
    optional = sorted(path for path in parts(whole) if not _is_needed(path))
    told = without(whole, data.draw(st.sets(st.sampled_from(optional))))

    assert parts(data_of(told)) == expected_of(name, told)


@pytest.mark.parametrize("header", ["From", {"name": None}, {"value": "x"}, {"name": "Message-ID"}, None, 5])
def test_a_header_of_another_shape_passes(header: Any) -> None:
    """A list of headers is looked through for what must go, and whatever is not understood stays."""
    told = replaced(ses.example("send"), "mail/headers", [header, {"name": "x-ses-Anything", "value": "x"}])
    assert data_of(told)["mail"]["headers"] == [header]


@pytest.mark.parametrize(
    "path", ["mail/headers", "mail/commonHeaders", "mail/messageId", "send", "mail/destination"]
)
@pytest.mark.parametrize("value", [None, "text", 5, [], {}, [[]]])
def test_a_field_of_another_shape_passes(path: str, value: Any) -> None:
    """Fields that Posthorn has no need for may be anything."""
    told = replaced(ses.example("send"), path, value)
    expected = ses.MESSAGE_ID if path == "mail/messageId" else value
    found: Any = data_of(told)
    for step in path.split("/"):
        found = found[step]
    assert found == expected


@pytest.mark.parametrize("value", ["<own-id-17@example.com>", "another id", "", None], ids=repr)
def test_a_message_id_of_the_senders_own_stays(value: Any) -> None:
    """Only SES's id is replaced, since the header is otherwise the sender's."""
    told = replaced(ses.example("click"), "mail/headers/Message-ID/value", value)
    told = replaced(told, "mail/commonHeaders/messageId", value)
    mail = data_of(told)["mail"]
    assert mail["headers"][-1] == {"name": "Message-ID", "value": value}
    assert mail["commonHeaders"]["messageId"] == value


@pytest.mark.parametrize("ses_id", ["", None, 5])
def test_without_an_id_of_ses_no_other_id_changes(ses_id: Any) -> None:
    """Where SES names no id, the mail still has ours, and its headers stay as they are."""
    told = ses.example("click")
    mail = data_of(replaced(told, "mail/messageId", ses_id))["mail"]
    assert mail["messageId"] == ses.MESSAGE_ID
    assert mail["commonHeaders"] == told["mail"]["commonHeaders"]
    assert mail["headers"][-1] == told["mail"]["headers"][-1]


def test_the_id_of_ses_is_replaced_inside_a_message_id_too() -> None:
    """On its way out, a mail's Message-ID is SES's id at a host of SES."""
    told = ses.example("click")
    ses_id = told["mail"]["messageId"]
    told = replaced(told, "mail/headers/Message-ID/value", f"<{ses_id}@eu-west-1.amazonses.com>")
    assert ses_id not in event_of(told).data
    assert f"<{ses.MESSAGE_ID}@eu-west-1.amazonses.com>" in event_of(told).data


@pytest.mark.parametrize(
    ("event_type", "name", "key"),
    [
        ("Inbox Placement", "inbox_placement", "inboxPlacement"),
        ("DeliveryRetried", "delivery_retried", "deliveryRetried"),
        ("SMSSent", "sms_sent", "smsSent"),
        ("archived", "archived", "archived"),
        ("List-Help", "list_help", "listHelp"),
        ("Phase 2 Bounce", "phase_2_bounce", "phase2Bounce"),
        ("X" + "a" * 63, "x" + "a" * 63, "x" + "a" * 63),
    ],
)
def test_an_unknown_type_passes_unharmed(event_type: str, name: str, key: str) -> None:
    """A kind of event that is new gets its name in snake case, and its own time where it has one."""
    told = {"detail": {"n": 1.5}, key: {"timestamp": "2026-05-03T12:34:57.000Z", "list": [{}, None]}}
    told |= {"eventType": event_type, "mail": ses.example("send")["mail"], "more": True}

    event = event_of(told)

    assert (event.type, event.created_at) == (name, "2026-05-03T12:34:57.000Z")
    found = json.loads(event.data)
    assert list(found) == ["eventType", "mail", key, "detail", "more"]
    assert {**found, "mail": None} == {**told, "mail": None}


def test_an_unknown_field_of_a_mail_passes() -> None:
    """What AWS adds to a mail tomorrow reaches receivers tomorrow."""
    told = ses.example("send")
    told["mail"]["dkim"] = {"selectors": ["a", "b"], "bits": 2048}
    assert data_of(told)["mail"]["dkim"] == {"selectors": ["a", "b"], "bits": 2048}


@pytest.mark.parametrize(
    "event_type",
    [
        None,
        "",
        5,
        ["Send"],
        " Send",
        "Send ",
        "Se\r\nnd: x",
        "Send\n",
        "Zustellung für",
        "a" * 65,
        "--",
        "2FA",
        "A1" * 32,
    ],
)
def test_a_type_that_no_header_could_carry_is_malformed(event_type: Any) -> None:
    """The type is the value of a header at every attempt, and its name one that endpoints can match."""
    with pytest.raises(Malformed, match="eventType"):
        event_of(ses.example("send") | {"eventType": event_type})


def test_what_has_no_type_is_malformed() -> None:
    """Notifications of an identity say notificationType and come without tags; they are none of ours."""
    told = without(ses.example("bounce"), {"eventType"}) | {"notificationType": "Bounce"}
    with pytest.raises(Malformed, match="eventType"):
        event_of(told)


# ---- whose mail it is


@pytest.mark.parametrize("tag", OUR_TAGS)
@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "text",
        [None],
        [""],
        ["x"],
        ["wh_01GY5BMP7FBC0DKZTXDZJ7EQ6S"],
        [ses.SET_ID, ses.SET_ID],
        [ses.WORKSPACE, ses.WORKSPACE],
        [ses.MESSAGE_ID, ses.MESSAGE_ID],
        [ses.MESSAGE_ID.upper()],
        [f"{ses.SET_ID}#1"],
        [f"{ses.WORKSPACE}\n"],
    ],
    ids=repr,
)
def test_a_mail_that_is_not_ours_is_malformed(tag: str, value: Any) -> None:
    """Each tag has exactly one value, in the shape that Posthorn gives it; nothing is guessed."""
    with pytest.raises(Malformed, match="tag"):
        event_of(replaced(ses.example("send"), tag, value))
    with pytest.raises(Malformed, match="tag"):
        event_of(without(ses.example("send"), {tag}))


@pytest.mark.parametrize("path", ["mail", "mail/tags"])
@pytest.mark.parametrize("value", [None, [], "text", 5])
def test_without_a_mail_with_tags_it_is_malformed(path: str, value: Any) -> None:
    """Nobody knows whose event it is."""
    with pytest.raises(Malformed, match="tags"):
        event_of(replaced(ses.example("send"), path, value))


def test_a_reason_holds_nothing_of_the_mail() -> None:
    """Reasons are logged, and addresses and subjects are nothing for a log."""
    told = ses.example("bounce")
    secret = "someone@private.example"
    reasons = []
    for path in parts(told):
        for value in (secret, [secret], {secret: secret}):
            try:
                event_of(replaced(told, path, value) if path else {secret: secret})
            except Malformed as error:
                reasons.append(str(error))
    assert len(set(reasons)) > 5
    assert [reason for reason in reasons if secret in reason] == []


# ---- the operator's account


@pytest.mark.parametrize(
    "value",
    [
        ses.ACCOUNT,
        f"arn:aws:ses:eu-west-1:{ses.ACCOUNT}:tenant/acme/tn-1",
        f"arn:aws-cn:iam::{ses.ACCOUNT}:role/PosthornApi",
        f"arn:aws-us-gov:sns:us-gov-west-1:{ses.ACCOUNT}:topic",
    ],
)
def test_the_account_goes_from_fields_that_are_new_to_us(value: str) -> None:
    """A field that AWS adds tomorrow does not tell whose account it is, wherever it stands."""
    told = ses.example("delivery") | {"account": value, "resources": [value, "kept"]}
    told["mail"]["tenantArn"] = value
    told["delivery"]["via"] = {"pool": value, "kind": "shared"}

    found = data_of(told)

    assert value not in json.dumps(found)
    assert found["resources"] == ["kept"]
    assert found["delivery"]["via"] == {"kind": "shared"}


def test_the_account_that_owns_the_sender_goes_too() -> None:
    """With sending authorization, the sender's identity belongs to another account than the mail."""
    told = ses.example("delivery")
    told["mail"]["sourceArn"] = "arn:aws:ses:us-east-1:210987654321:identity/example.com"
    told["mail"]["others"] = ["210987654321", ses.ACCOUNT, "x"]
    assert data_of(told)["mail"]["others"] == ["x"]


@pytest.mark.parametrize(
    "subject",
    [
        "Alarm: arn:aws:sns:us-east-1:111122223333:topic",
        "arn:aws:sns:us-east-1:111122223333:topic",
        "111122223333",
        f"Order {ses.ACCOUNT}",
        "arn:aws",
        "",
    ],
)
def test_what_others_wrote_stays(subject: str) -> None:
    """Somebody else's account and ARN in a mail is content."""
    told = replaced(ses.example("send"), "mail/commonHeaders/subject", subject)
    assert data_of(told)["mail"]["commonHeaders"]["subject"] == subject


@pytest.mark.parametrize("account", [None, "", 5, []])
def test_without_an_account_nothing_else_goes(account: Any) -> None:
    """An account that SES does not name takes nothing along."""
    told = replaced(without(ses.example("send"), {"mail/sourceArn"}), "mail/commonHeaders/subject", "")
    told["mail"]["sendingAccountId"] = account
    assert parts(data_of(told)) == expected_of("send", told)


@pytest.mark.parametrize("field", ["sourceArn", "sendingAccountId", "callerIdentity"])
@pytest.mark.parametrize("value", ["ses_user", None, 5, {"role": "admin"}])
def test_fields_about_the_operator_go_whatever_they_hold(field: str, value: Any) -> None:
    """A field that is there to name the operator goes by its name, too."""
    told = ses.example("send")
    told["mail"][field] = value
    assert field not in data_of(told)["mail"]


# ---- limits


def test_an_event_may_have_as_much_as_the_table_takes() -> None:
    """What just fits is kept whole, and one byte more is malformed."""
    told = ses.example("bounce")
    size = len(event_of(told).data.encode())
    path = "bounce/reportingMTA"
    filled = parts(told)[path] + "ü" * ((MAX_DATA - size) // 2) + "x" * ((MAX_DATA - size) % 2)

    assert len(event_of(replaced(told, path, filled)).data.encode()) == MAX_DATA
    with pytest.raises(Malformed, match="larger"):
        event_of(replaced(told, path, filled + "x"))


@pytest.mark.parametrize("depth", [40, 900, 2000, 20_000])
def test_a_depth_that_no_event_has_is_malformed(depth: int) -> None:
    """However deep it is nested, it takes nothing else down."""
    deep: Any = 1
    for _ in range(depth):
        deep = [deep]
    with pytest.raises(Malformed, match="deep"):
        event_of(ses.example("send") | {"deep": deep})


def test_a_key_that_javascript_would_put_first_is_malformed() -> None:
    """The body begins with eventType or it is no event of a mail."""
    with pytest.raises(Malformed, match="eventType"):
        event_of(ses.example("send") | {"7": True})


_json: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=500)
@given(
    name=st.sampled_from(NAMES),
    changes=st.lists(st.tuples(st.integers(0, 10_000), _json), min_size=1, max_size=3),
)
@example(name="send", changes=[(0, {})])
def test_any_json_is_an_event_or_malformed(name: str, changes: list[tuple[int, Any]]) -> None:
    """Whatever stands where, no other error comes of it, and whatever becomes an event can be sent."""
    told = ses.example(name)
    for number, value in changes:
        assume(isinstance(told, dict))
        paths = list(parts(told))
        told = replaced(told, paths[number % len(paths)], value)
    assume(isinstance(told, dict))
    try:
        event = event_of(told)
    except Malformed:
        return
    assert event.data.startswith('{"eventType":"')
    assert stringify(parse(event.data.encode())) == event.data


def _backwards(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _backwards(value[name]) for name in reversed(value)}
    return [_backwards(one) for one in value] if isinstance(value, list) else value
