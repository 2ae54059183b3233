"""Each simulator address triggers its events, for each recipient of a mail separately."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthorn.email.mailbox import DOMAIN, Fate, reaction
from tests.unit.email.simulation import MAIL, Topic, own, story, whom

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
    # a mail that is not delivered is not opened
    "bounce+open@simulator.amazonses.com": ["Send", BOUNCE],
    "suppressionlist+click@simulator.amazonses.com": ["Send", SUPPRESSED],
    # the wrong local part or the wrong domain
    "success+opened@simulator.amazonses.com": ["Send", "Delivery"],
    "bouncer@simulator.amazonses.com": ["Send", "Delivery"],
    "success+bounce@simulator.amazonses.com": ["Send", "Delivery"],
    "bounce@mail.example": ["Send", "Delivery"],
    "open+click@mail.example": ["Send", "Delivery"],
    "bounce@simulator.amazonses.com.mail.example": ["Send", "Delivery"],
}


@pytest.mark.parametrize(("address", "causes"), CAUSES.items())
def test_an_address_causes_what_it_says(simulator: Topic, address: str, causes: list[str]) -> None:
    """Each address sends its events to the queue, in this order, about this recipient only."""
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


def test_every_recipient_is_reported_separately() -> None:
    """A mail is sent once; deliveries are reported one by one, bounces of a mail together."""
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
def test_every_recipient_has_exactly_one_outcome(to: list[str], cc: list[str]) -> None:
    """Each recipient gets one delivery or one permanent bounce, and no event is reported twice."""
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
    # feedback treats two equal events as one, so the two readers must differ
    essences = [json.dumps([one["eventType"], own(one)], sort_keys=True) for one in told]
    assert len(set(essences)) == len(told)


@given(address=ADDRESSES)
def test_only_delivered_mails_are_opened(address: str) -> None:
    """No address opens or clicks a mail that bounced or was suppressed, and none outside the simulator."""
    found = reaction(address)

    assert found.fate.arrives or not (found.opens or found.clicks)
    assert address.lower().endswith(DOMAIN) or (found.fate, found.opens, found.clicks) == (
        Fate.DELIVERED,
        False,
        False,
    )
