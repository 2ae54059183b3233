"""Mails sent to SES: every field arrives, and callers cannot set what is reserved for Posthorn."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Final

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from moto.ses.models import ses_backends

from posthorn.domain.email_types import MESSAGE_TAG, OWN_TAGS, SET_TAG, WORKSPACE_TAG
from posthorn.domain.errors import RejectedMail
from posthorn.email.ses import SesBackend
from tests.unit.email.ses import ACCOUNT, MAIL, NAME, REGION, SET, TOPIC, Ses

TAG: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")  # SES's rule for names and values

FULL: Final = replace(
    MAIL,
    to=("bob@mail.example", "Bea <bea@mail.example>"),
    cc=("carl@mail.example",),
    bcc=("dora@mail.example",),
    reply_to=("help@shop.example",),
    text="Grüße",
    headers=(("List-Unsubscribe", "<https://shop.example/u>"), ("X-Order", "7")),
    tags=(("campaign", "spring"), ("ab", "B")),
)


def test_everything_of_a_mail_reaches_ses(ses: Ses) -> None:
    """Addresses, both bodies, headers, tags and the configuration set are where SES expects them."""
    ses.backend.send(FULL)

    (sent,) = ses.sent
    tags = sent.pop("EmailTags")
    assert sent == {
        "FromEmailAddress": "Ann <ann@shop.example>",
        "Destination": {
            "ToAddresses": ("bob@mail.example", "Bea <bea@mail.example>"),
            "CcAddresses": ("carl@mail.example",),
            "BccAddresses": ("dora@mail.example",),
        },
        "ReplyToAddresses": ("help@shop.example",),
        "Content": {
            "Simple": {
                "Subject": {"Data": "Grüße", "Charset": "UTF-8"},
                "Body": {
                    "Html": {"Data": "<p>Grüße</p>", "Charset": "UTF-8"},
                    "Text": {"Data": "Grüße", "Charset": "UTF-8"},
                },
                "Headers": [
                    {"Name": "List-Unsubscribe", "Value": "<https://shop.example/u>"},
                    {"Name": "X-Order", "Value": "7"},
                ],
            }
        },
        "ConfigurationSetName": NAME,
    }
    assert {tag["Name"]: tag["Value"] for tag in tags} == {
        "campaign": "spring",
        "ab": "B",
        MESSAGE_TAG: MAIL.message_id,
        WORKSPACE_TAG: MAIL.workspace,
        SET_TAG: SET,
    }
    assert len(tags) == 5


def test_missing_fields_are_not_sent(ses: Ses) -> None:
    """A minimal mail names no set, has no empty list and no HTML."""
    ses.backend.send(replace(MAIL, configuration_set=None, html=None, text="Hi"))

    (sent,) = ses.sent
    assert sent.keys() == {"FromEmailAddress", "Destination", "Content", "EmailTags"}
    assert sent["Destination"] == {"ToAddresses": ("bob@mail.example",)}
    assert sent["Content"]["Simple"].keys() == {"Subject", "Body"}
    assert sent["Content"]["Simple"]["Body"].keys() == {"Text"}
    assert SET_TAG not in {tag["Name"] for tag in sent["EmailTags"]}


@cache
def _ses_of_all_examples() -> Ses:
    return Ses()  # creating a client takes longer than a hundred sends


@given(
    tags=st.dictionaries(
        st.sampled_from(sorted(OWN_TAGS)) | st.from_regex(r"\A[A-Za-z0-9_-]{1,256}\Z"),
        st.from_regex(r"\A[A-Za-z0-9_-]{1,256}\Z"),
        max_size=10,
    ),
    with_set=st.booleans(),
)
def test_no_tag_of_a_caller_passes_for_ours(tags: dict[str, str], *, with_set: bool) -> None:
    """Every tag name is sent once, ours keep our values, and all obey SES's rules."""
    ses = _ses_of_all_examples()
    ses.sent.clear()
    own = {MESSAGE_TAG: MAIL.message_id, WORKSPACE_TAG: MAIL.workspace} | ({SET_TAG: SET} if with_set else {})

    ses.backend.send(replace(MAIL, configuration_set=SET if with_set else None, tags=tuple(tags.items())))

    sent = ses.sent[0]["EmailTags"]
    names = [tag["Name"] for tag in sent]
    assert len(names) == len(set(names))
    assert all(TAG.fullmatch(tag["Name"]) and TAG.fullmatch(tag["Value"]) for tag in sent)
    others = {name: value for name, value in tags.items() if name not in OWN_TAGS}
    assert {tag["Name"]: tag["Value"] for tag in sent} == others | own


@pytest.mark.parametrize("name", ["X-SES-CONFIGURATION-SET", "x-ses-message-tags", "X-Ses-Source-Arn"])
def test_headers_that_command_ses_are_refused(ses: Ses, name: str) -> None:
    """Headers that would set another configuration set, tags or sender are refused, in any spelling."""
    with pytest.raises(RejectedMail) as raised:
        ses.backend.send(replace(MAIL, headers=((name, "posthorn-cs_other"),)))

    assert (raised.value.code, raised.value.pointer) == ("reserved_header", "/headers")
    assert ses.sent == []


def test_a_mail_goes_through_moto() -> None:
    """An independent implementation of SES finds sender, addresses, subject and body."""
    with mock_aws():
        client = boto3.client("sesv2", region_name=REGION)
        client.create_email_identity(EmailIdentity="shop.example")
        SesBackend(client, topic_arn=TOPIC).send(FULL)
        (sent,) = ses_backends[ACCOUNT][REGION].sent_messages

    assert (sent.source, sent.subject, sent.body) == (FULL.sender, FULL.subject, FULL.html)
    assert {kind: tuple(found) for kind, found in sent.destinations.items()} == {
        "ToAddresses": FULL.to,
        "CcAddresses": FULL.cc,
        "BccAddresses": FULL.bcc,
    }
