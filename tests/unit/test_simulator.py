"""The simulator: which address causes what, told in SES's own shape, through a real topic to a real queue."""

from __future__ import annotations

import json
import random
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from moto import mock_aws

from posthorn.email.mail import Mail
from posthorn.email.mailbox import DOMAIN, Fate, reaction
from posthorn.email.notifications import HEADERS_LIMIT, notifications
from posthorn.email.simulator import MAX_BYTES, MAX_MESSAGES, SimulatorBackend, batches
from posthorn.email_types import MESSAGE_TAG, OWN_TAGS, SET_TAG, WORKSPACE_TAG, by_event_type
from posthorn.errors import RejectedMail, Unavailable
from posthorn.models import Suppression

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_sqs import SQSClient

REGION: Final = "us-east-1"
ACCOUNT: Final = "123456789012"
NOW: Final = 1_777_811_696_000  # 2026-05-03T12:34:56Z
EXAMPLES: Final = Path(__file__).parent.parent / "vectors" / "ses"

MAIL: Final = Mail(
    message_id="550e8400-e29b-41d4-a716-446655440000",
    workspace="wksp_01H3Z8V6R5N4M3K2J1H0G9F8E8",
    configuration_set="cs_01H3Z8V6R5N4M3K2J1H0G9F8E7",
    sender="Ann <ann@shop.example>",
    to=("bob@mail.example",),
    subject="Grüße ☕",
    html='<link href="https://shop.example/style.css"><p>Grüße, <a class="x" href="https://shop.example/?a=1&amp;b=2">hier</a></p>',
    tags=(("campaign", "spring"),),
)


@dataclass
class Topic:
    """moto's SNS with a queue behind the topic."""

    sqs: SQSClient
    queue: str
    backend: SimulatorBackend
    calls: list[str]

    def bodies(self) -> list[str]:
        """Take everything off the queue, oldest first."""
        found: list[str] = []
        while messages := self._receive():
            found += messages
        return found

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies()]

    def _receive(self) -> list[str]:
        answer = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        return [message["Body"] for message in answer.get("Messages", [])]


@contextmanager
def topic() -> Iterator[Topic]:
    with mock_aws():
        sns, sqs = boto3.client("sns", region_name=REGION), boto3.client("sqs", region_name=REGION)
        arn = sns.create_topic(Name="feedback")["TopicArn"]
        queue = sqs.create_queue(QueueName="feedback")["QueueUrl"]
        sns.subscribe(
            TopicArn=arn,
            Protocol="sqs",
            Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:feedback",
            Attributes={"RawMessageDelivery": "true"},
        )
        calls: list[str] = []
        sns.meta.events.register("before-call.sns", lambda model, **_: calls.append(model.name))
        dice = random.Random(7).randbytes  # noqa: S311 - a test's dice fall the same way every time
        yield Topic(sqs, queue, SimulatorBackend(sns, topic_arn=arn, clock=lambda: NOW, dice=dice), calls)


@pytest.fixture
def simulator() -> Iterator[Topic]:
    with topic() as made:
        yield made


def story(mail: Mail) -> list[dict[str, Any]]:
    """Return what would be published about a mail, as the JSON that it is."""
    dice = random.Random(7).randbytes  # noqa: S311 - as above
    arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:feedback"
    told: list[dict[str, Any]] = json.loads(
        json.dumps(notifications(mail, topic_arn=arn, now_ms=NOW, dice=dice))
    )
    return told


def own(told: dict[str, Any]) -> dict[str, Any]:
    """Return the event-specific object of a notification."""
    kind = by_event_type(told["eventType"])
    assert kind is not None
    found: dict[str, Any] = told[kind.key]
    return found


def whom(told: dict[str, Any]) -> list[str]:
    """Return the recipients that a notification names beside those of its mail."""
    found = own(told)
    named = found.get("bouncedRecipients", found.get("complainedRecipients", []))
    return found.get("recipients") or [one["emailAddress"] for one in named]


# ---- who causes what

BOUNCE: Final = "Bounce Permanent/General"
SUPPRESSED: Final = "Bounce Permanent/Suppressed"
ANSWER: Final = "Bounce Transient/General"

CAUSES: Final = {
    "bob@mail.example": ["Send", "Delivery"],
    "Bob <bob@mail.example>": ["Send", "Delivery"],
    "success@simulator.amazonses.com": ["Send", "Delivery"],
    "success+order-7@simulator.amazonses.com": ["Send", "Delivery"],
    "anything@simulator.amazonses.com": ["Send", "Delivery"],
    "bounce@simulator.amazonses.com": ["Send", BOUNCE],
    "bounce+order-7@simulator.amazonses.com": ["Send", BOUNCE],
    "Bounce@Simulator.AmazonSES.com": ["Send", BOUNCE],
    "No One <bounce@simulator.amazonses.com>": ["Send", BOUNCE],
    "suppressionlist@simulator.amazonses.com": ["Send", SUPPRESSED],
    "suppressionlist+7@simulator.amazonses.com": ["Send", SUPPRESSED],
    "complaint@simulator.amazonses.com": ["Send", "Delivery", "Complaint"],
    "complaint+order-7@simulator.amazonses.com": ["Send", "Delivery", "Complaint"],
    "ooto@simulator.amazonses.com": ["Send", "Delivery", ANSWER],
    "ooto+order-7@simulator.amazonses.com": ["Send", "Delivery", ANSWER],
    # opened and clicked
    "success+open@simulator.amazonses.com": ["Send", "Delivery", "Open"],
    "success+click@simulator.amazonses.com": ["Send", "Delivery", "Click"],
    "success+open+order-7@simulator.amazonses.com": ["Send", "Delivery", "Open"],
    "success+order-7+click@simulator.amazonses.com": ["Send", "Delivery", "Click"],
    "success+open+click@simulator.amazonses.com": ["Send", "Delivery", "Open", "Click"],
    "open+order-7@simulator.amazonses.com": ["Send", "Delivery", "Open"],
    "open@simulator.amazonses.com": ["Send", "Delivery", "Open"],
    "Click+order-7@simulator.amazonses.com": ["Send", "Delivery", "Click"],
    "open+click@simulator.amazonses.com": ["Send", "Delivery", "Open", "Click"],
    "complaint+open@simulator.amazonses.com": ["Send", "Delivery", "Complaint", "Open"],
    "ooto+click@simulator.amazonses.com": ["Send", "Delivery", ANSWER, "Click"],
    # what does not arrive is not read
    "bounce+open@simulator.amazonses.com": ["Send", BOUNCE],
    "suppressionlist+click@simulator.amazonses.com": ["Send", SUPPRESSED],
    # not the words, or not the place
    "success+opened@simulator.amazonses.com": ["Send", "Delivery"],
    "bouncer@simulator.amazonses.com": ["Send", "Delivery"],
    "success+bounce@simulator.amazonses.com": ["Send", "Delivery"],
    "bounce@mail.example": ["Send", "Delivery"],
    "open+click@mail.example": ["Send", "Delivery"],
    "bounce@simulator.amazonses.com.mail.example": ["Send", "Delivery"],
}


@pytest.mark.parametrize(("address", "causes"), CAUSES.items())
def test_an_address_causes_what_it_says(simulator: Topic, address: str, causes: list[str]) -> None:
    """Each address brings its events to the queue, in this order, about this recipient and no other."""
    simulator.backend.send(replace(MAIL, to=(address,)))

    told = simulator.told()
    kinds = [
        f"Bounce {own(one)['bounceType']}/{own(one)['bounceSubType']}"
        if one["eventType"] == "Bounce"
        else one["eventType"]
        for one in told
    ]
    assert kinds == causes
    plain = address.rpartition("<")[2].rstrip(">")
    assert all(one["mail"]["destination"] == [plain] for one in told)
    assert {name for one in told for name in whom(one)} == {plain}


def test_every_recipient_has_a_fate_of_its_own() -> None:
    """One mail is sent once; deliveries are told one by one, the bounces of a mail together."""
    told = story(
        replace(
            MAIL,
            to=("bob@mail.example", "bounce+1@simulator.amazonses.com", "ooto@simulator.amazonses.com"),
            cc=("Complaint <complaint@simulator.amazonses.com>", "bob@mail.example"),
            bcc=("bounce+2@simulator.amazonses.com", "suppressionlist@simulator.amazonses.com"),
        )
    )

    assert [(one["eventType"], whom(one)) for one in told] == [
        ("Send", []),
        ("Delivery", ["bob@mail.example"]),
        ("Delivery", ["ooto@simulator.amazonses.com"]),
        ("Delivery", ["complaint@simulator.amazonses.com"]),
        ("Bounce", ["bounce+1@simulator.amazonses.com", "bounce+2@simulator.amazonses.com"]),
        ("Bounce", ["suppressionlist@simulator.amazonses.com"]),
        ("Bounce", ["ooto@simulator.amazonses.com"]),
        ("Complaint", ["complaint@simulator.amazonses.com"]),
    ]
    assert told[0]["mail"]["destination"] == [
        "bob@mail.example",
        "bounce+1@simulator.amazonses.com",
        "ooto@simulator.amazonses.com",
        "complaint@simulator.amazonses.com",
        "bounce+2@simulator.amazonses.com",
        "suppressionlist@simulator.amazonses.com",
    ]


LABELS: Final = st.lists(
    st.sampled_from(["open", "click", "order-7", "bounce", "Open"]) | st.from_regex(r"\A[a-z0-9-]{0,8}\Z"),
    max_size=4,
)
ADDRESSES: Final = st.builds(
    lambda box, labels, domain: "+".join([box, *labels]) + "@" + domain,
    st.sampled_from(["success", "bounce", "complaint", "ooto", "suppressionlist", "open", "click", "ann"]),
    LABELS,
    st.sampled_from([DOMAIN, DOMAIN.upper(), "mail.example"]),
)


@given(to=st.lists(ADDRESSES, min_size=1, max_size=30), cc=st.lists(ADDRESSES, max_size=20))
def test_whoever_gets_a_mail_gets_exactly_one_fate(to: list[str], cc: list[str]) -> None:
    """Every recipient is delivered to once or bounces once for good, and nothing is told twice."""
    told = story(replace(MAIL, to=tuple(to), cc=tuple(cc)))

    assert [one["eventType"] for one in told].count("Send") == 1
    recipients = list(dict.fromkeys((*to, *cc)))
    assert told[0]["mail"]["destination"] == recipients
    delivered = [name for one in told if one["eventType"] == "Delivery" for name in whom(one)]
    lost = [
        name
        for one in told
        if one["eventType"] == "Bounce" and own(one)["bounceType"] == "Permanent"
        for name in whom(one)
    ]
    assert sorted([*delivered, *lost]) == sorted(recipients)
    told_later = {name for one in told for name in whom(one) if one["eventType"] != "Delivery"}
    assert told_later <= {name for name in recipients if name.lower().endswith(DOMAIN)}
    # the feedback takes two that are the same for one, so two readers have to differ
    essences = [json.dumps([one["eventType"], own(one)], sort_keys=True) for one in told]
    assert len(set(essences)) == len(told)


@given(address=ADDRESSES)
def test_only_what_arrives_is_read(address: str) -> None:
    """No address opens or clicks a mail that bounced or was suppressed, and none outside the simulator."""
    found = reaction(address)

    assert found.fate.arrives or not (found.opens or found.clicks)
    assert address.lower().endswith(DOMAIN) or (found.fate, found.opens, found.clicks) == (
        Fate.DELIVERED,
        False,
        False,
    )


# ---- what is told


def test_a_notification_finds_back_to_its_mail(simulator: Topic) -> None:
    """All carry our three tags, the caller's and SES's own, and an id of SES that is not ours."""
    simulator.backend.send(replace(MAIL, to=("complaint+open+click@simulator.amazonses.com",)))

    told = simulator.told()
    assert len(told) == 5
    ids = set()
    for one in told:
        tags = one["mail"]["tags"]
        assert tags[MESSAGE_TAG] == [MAIL.message_id]
        assert tags[SET_TAG] == [MAIL.configuration_set]
        assert tags[WORKSPACE_TAG] == [MAIL.workspace]
        assert tags["campaign"] == ["spring"]
        assert tags["ses:from-domain"] == ["shop.example"]
        assert {"ses:configuration-set", "ses:source-ip", "ses:caller-identity"} < tags.keys()
        assert one["mail"]["sourceArn"] == f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/shop.example"
        assert one["mail"]["sendingAccountId"] == ACCOUNT
        ids.add(one["mail"]["messageId"])
    assert len(ids) == 1
    assert MAIL.message_id not in ids


def test_no_tag_of_a_caller_passes_for_ours() -> None:
    """A caller who names a tag as ours is named does not speak for another workspace."""
    told = story(replace(MAIL, tags=tuple((name, "stolen") for name in OWN_TAGS)))

    assert "stolen" not in json.dumps(told)
    assert told[0]["mail"]["tags"][WORKSPACE_TAG] == [MAIL.workspace]


@pytest.mark.parametrize("kind", ["send", "delivery", "bounce", "complaint", "open", "click"])
def test_the_shape_is_the_one_that_aws_publishes(kind: str) -> None:
    """Whatever AWS's own example of an event has, ours has, with the same type of value."""
    published = json.loads((EXAMPLES / f"{kind}.json").read_text("utf-8"))
    everything = ("bounce@simulator.amazonses.com", "complaint+open+click@simulator.amazonses.com")
    told = story(replace(MAIL, to=everything))
    ours = next(one for one in told if one["eventType"] == published["eventType"])

    assert list(_lacking(published, ours)) == []


# a value that is the customer's: no two mails have the same, and a link without tags has none
FREE: Final = {"tags", "linkTags"}


def _lacking(published: Any, ours: Any, path: str = "$") -> Iterator[str]:
    if type(published) is not type(ours):
        yield f"{path}: {type(ours).__name__} instead of {type(published).__name__}"
    elif isinstance(published, dict):
        for name, value in published.items():
            if name not in ours:
                yield f"{path}.{name} is missing"
            elif name not in FREE:
                yield from _lacking(value, ours[name], f"{path}.{name}")
    elif isinstance(published, list) and published:
        yield from _lacking(published[0], ours[0], f"{path}[]")


def test_a_bounce_says_why() -> None:
    """Hard bounces carry the answer of the server that SES documents, automatic answers carry none."""
    boxes = ("bounce", "suppressionlist", "ooto")
    told = story(replace(MAIL, to=tuple(f"{box}@simulator.amazonses.com" for box in boxes)))

    bounce, suppression, answer = [own(one) for one in told if one["eventType"] == "Bounce"]
    assert bounce["bouncedRecipients"] == [
        {
            "emailAddress": "bounce@simulator.amazonses.com",
            "action": "failed",
            "status": "5.1.1",
            "diagnosticCode": "smtp; 550 5.1.1 user unknown",
        }
    ]
    assert "suppressed" in suppression["bouncedRecipients"][0]["diagnosticCode"]
    assert answer["bouncedRecipients"] == [{"emailAddress": "ooto@simulator.amazonses.com"}]
    assert len({one["feedbackId"] for one in (bounce, suppression, answer)}) == 3


def test_time_goes_by_between_the_events() -> None:
    """A mail is sent at the clock's time, delivered after that, and read and complained about still later."""
    told = story(replace(MAIL, to=("complaint+open+click@simulator.amazonses.com",)))

    sent = told[0]["mail"]["timestamp"]
    assert sent == "2026-05-03T12:34:56.000Z"
    times = [own(one)["timestamp"] for one in told[1:]]
    assert [sent, *times] == sorted({sent, *times})
    assert own(told[1])["processingTimeMillis"] > 0


@pytest.mark.parametrize(
    ("html", "link"),
    [
        (MAIL.html, "https://shop.example/?a=1&b=2"),
        ("<A HREF='http://shop.example/x'>", "http://shop.example/x"),
        ("<a href=https://shop.example/y>", "https://shop.example/y"),
        (
            '<a href="mailto:ann@shop.example"><a id=1 href = "https://shop.example/z">',
            "https://shop.example/z",
        ),
        ("<p>none</p>", "https://example.com/"),
        (None, "https://example.com/"),
        ("<a " * 50_000, "https://example.com/"),
    ],
    ids=["first", "shouting", "bare", "mailto", "none", "text", "broken"],
)
def test_a_click_goes_to_the_first_link_of_the_mail(html: str | None, link: str) -> None:
    """The first web address that an anchor leads to is clicked; a mail without one still is."""
    told = story(replace(MAIL, html=html, text="x", to=("click@simulator.amazonses.com",)))

    assert own(told[-1])["link"] == link


def test_the_headers_are_those_of_the_mail() -> None:
    """Everybody but the bcc is in a header, and both bodies make one multipart."""
    mail = replace(
        MAIL,
        cc=("Carl <carl@mail.example>",),
        bcc=("dora@mail.example",),
        reply_to=("help@shop.example",),
        text="Grüße",
        headers=(("X-Order", "7"),),
    )
    about = story(mail)[0]["mail"]

    headers = {header["name"]: header["value"] for header in about["headers"]}
    assert headers.pop("Content-Type").startswith("multipart/alternative")
    assert headers == {
        "From": "Ann <ann@shop.example>",
        "Reply-To": "help@shop.example",
        "To": "bob@mail.example",
        "Cc": "Carl <carl@mail.example>",
        "Subject": "Grüße ☕",
        "X-Order": "7",
        "MIME-Version": "1.0",
    }
    assert about["headersTruncated"] is False
    assert about["commonHeaders"] == {
        "from": ["Ann <ann@shop.example>"],
        "to": ["bob@mail.example"],
        "cc": ["Carl <carl@mail.example>"],
        "messageId": about["messageId"],
        "subject": "Grüße ☕",
    }
    assert about["destination"] == ["bob@mail.example", "carl@mail.example", "dora@mail.example"]


@pytest.mark.parametrize(("html", "text", "kind"), [("x", None, "text/html"), (None, "x", "text/plain")])
def test_one_body_is_no_multipart(html: str | None, text: str | None, kind: str) -> None:
    """A mail with one body says what that is."""
    headers = story(replace(MAIL, html=html, text=text))[0]["mail"]["headers"]

    assert [one["value"].partition(";")[0] for one in headers if one["name"] == "Content-Type"] == [kind]


def test_long_headers_are_cut_as_ses_does() -> None:
    """From 10 KB on headers are left out, and the notification says so."""
    headers = tuple((f"X-{number}", "x" * 900) for number in range(15))
    about = story(replace(MAIL, headers=headers))[0]["mail"]

    assert about["headersTruncated"] is True
    kept = [(one["name"], one["value"]) for one in about["headers"]]
    assert kept[-1] in headers
    assert kept[-1] != headers[-1]
    assert (
        HEADERS_LIMIT - 1000
        < sum(len(f"{name}: {value}\r\n".encode()) for name, value in kept)
        < HEADERS_LIMIT
    )


# ---- the topic


def test_without_a_set_nothing_is_told(simulator: Topic) -> None:
    """A mail without a configuration set is taken and causes no event."""
    simulator.backend.send(replace(MAIL, configuration_set=None, to=("bounce@simulator.amazonses.com",)))

    assert simulator.told() == []


def test_sets_need_nothing(simulator: Topic) -> None:
    """Sets come, change and go without a call, and sending does not ask for one."""
    simulator.backend.create_set("cs_1", Suppression.BOUNCE)
    simulator.backend.change_set("cs_1", Suppression.NONE)
    simulator.backend.delete_set("cs_1")

    assert simulator.calls == []


def test_many_recipients_take_few_calls(simulator: Topic) -> None:
    """Fifty deliveries and the send arrive, complete and in order, in batches of ten."""
    everybody = tuple(f"reader-{number}@mail.example" for number in range(50))
    simulator.backend.send(replace(MAIL, to=everybody))

    told = simulator.told()
    assert [whom(one) for one in told] == [[], *([address] for address in everybody)]
    assert simulator.calls == ["PublishBatch"] * 6


@example(lengths=[MAX_BYTES // 2, MAX_BYTES // 2, 1])
@given(lengths=st.lists(st.integers(min_value=1, max_value=MAX_BYTES), max_size=40))
def test_batches_keep_the_limits_of_sns(lengths: list[int]) -> None:
    """No batch is empty, too many or too much, none could have taken its successor's first, nothing is lost."""
    messages = ["x" * length for length in lengths]
    made = list(batches(messages))

    assert [message for batch in made for message in batch] == messages
    assert all(0 < len(batch) <= MAX_MESSAGES and sum(map(len, batch)) <= MAX_BYTES for batch in made)
    for batch, following in pairwise(made):
        assert len(batch) == MAX_MESSAGES or sum(map(len, batch)) + len(following[0]) > MAX_BYTES


@pytest.mark.parametrize("subject", ["\ufffe\uffff", "\x80\x9f", "\u2028", "😀", '"\\'], ids=ascii)
def test_no_character_is_too_much_for_a_queue(simulator: Topic, subject: str) -> None:
    """What SQS refuses, such as U+FFFF, goes there as an escape and comes back as it was."""
    simulator.backend.send(replace(MAIL, subject=subject))

    bodies = simulator.bodies()
    assert len(bodies) == 2
    for body in bodies:
        assert body.isascii()
        assert body.isprintable()
        assert json.loads(body)["mail"]["commonHeaders"]["subject"] == subject


def test_addresses_that_fit_no_message_are_rejected(simulator: Topic) -> None:
    """A mail that could never be told of is the customer's to change, and no part of it is told."""
    everybody = tuple("😀" * 300 + f"{number}@mail.example" for number in range(50))
    with pytest.raises(RejectedMail) as raised:
        simulator.backend.send(replace(MAIL, to=everybody))

    assert raised.value.code == "invalid_mail"
    assert simulator.told() == []


def test_a_message_that_sns_did_not_take_is_not_forgotten(simulator: Topic) -> None:
    """PublishBatch can answer 200 and still have failed; that is an outage, and not known to be none."""

    def one_failed(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Successful"].pop()
        parsed["Failed"] = [{"Id": "1", "Code": "InternalError", "SenderFault": False}]

    simulator.backend._sns.meta.events.register("after-call.sns.PublishBatch", one_failed)
    with pytest.raises(Unavailable) as raised:
        simulator.backend.send(MAIL)

    assert (raised.value.operation, raised.value.code) == ("publish_batch", "InternalError")
    assert not raised.value.refused


def test_a_topic_that_is_gone_is_an_outage() -> None:
    """The simulator, too, says that it cannot tell anybody about a mail."""
    with mock_aws():
        arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:gone"
        backend = SimulatorBackend(
            boto3.client("sns", region_name=REGION), topic_arn=arn, clock=lambda: NOW, dice=bytes
        )
        with pytest.raises(Unavailable) as raised:
            backend.send(MAIL)

    assert raised.value.code == "NotFound"
