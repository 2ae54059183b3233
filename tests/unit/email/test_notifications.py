"""The simulator's notifications have SES's shape and describe the mail that was sent."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from posthorn.domain.email_types import MESSAGE_TAG, OWN_TAGS, SET_TAG, WORKSPACE_TAG
from posthorn.email.notifications import HEADERS_LIMIT
from tests.ses_examples import FOLDER as EXAMPLES
from tests.unit.email.simulation import ACCOUNT, MAIL, REGION, Topic, own, story

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_a_notification_identifies_its_mail(simulator: Topic) -> None:
    """Every notification carries our three tags, the caller's, SES's own, and an SES message id."""
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
    """A caller's tag with a reserved name cannot claim another workspace."""
    told = story(replace(MAIL, tags=tuple((name, "stolen") for name in OWN_TAGS)))

    assert "stolen" not in json.dumps(told)
    assert told[0]["mail"]["tags"][WORKSPACE_TAG] == [MAIL.workspace]


@pytest.mark.parametrize("kind", ["send", "delivery", "bounce", "complaint", "open", "click"])
def test_the_shape_is_the_one_that_aws_publishes(kind: str) -> None:
    """Every field of AWS's own example is present, with a value of the same type."""
    published = json.loads((EXAMPLES / f"{kind}.json").read_text("utf-8"))
    everything = ("bounce@simulator.amazonses.com", "complaint+open+click@simulator.amazonses.com")
    told = story(replace(MAIL, to=everything))
    ours = next(one for one in told if one["eventType"] == published["eventType"])

    assert list(_lacking(published, ours)) == []


# a value of the customer's mail, different for each; a link without tags has none
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
    """Hard bounces carry the server response that SES documents; automatic replies carry none."""
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


def test_events_follow_each_other_in_time() -> None:
    """A mail is sent at the clock's time, delivered later, and opened or complained about later still."""
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
    """The click is on the first web link of the mail; a mail without links is clicked too."""
    told = story(replace(MAIL, html=html, text="x", to=("click@simulator.amazonses.com",)))

    assert own(told[-1])["link"] == link


def test_the_headers_are_those_of_the_mail() -> None:
    """All recipients except bcc are in a header, and two bodies make a multipart mail."""
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
def test_a_single_body_is_not_multipart(html: str | None, text: str | None, kind: str) -> None:
    """A mail with a single body has that body's content type."""
    headers = story(replace(MAIL, html=html, text=text))[0]["mail"]["headers"]

    assert [one["value"].partition(";")[0] for one in headers if one["name"] == "Content-Type"] == [kind]


def test_long_headers_are_cut_as_ses_does() -> None:
    """Headers beyond 10 KB are omitted, and the notification says so."""
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
