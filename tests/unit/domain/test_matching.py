"""Which endpoints an event matches: names, two spellings of some, wildcards, and no accidental matches."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.errors import RefusedEventType
from posthorn.domain.matching import (
    MAX_TYPE_LENGTH,
    Subscribers,
    canonical,
    canonical_starts,
    check_subscribed,
    matches,
)
from posthorn.domain.models import Endpoint, Event, SealedSecret

if TYPE_CHECKING:
    from collections.abc import Iterable

KNOWN: Final = frozenset({"CONTACT_CREATED", "CONTACT_UPDATED", "CAMPAIGN_SENT", "SEND"})

words: Final = st.from_regex(r"[A-Z][A-Z0-9]{0,8}", fullmatch=True)
upper: Final = st.lists(words, min_size=1, max_size=4).map("_".join)
names: Final = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,15}", fullmatch=True)
close_names: Final = st.from_regex(r"[aA1][aA1_.:/-]{0,4}", fullmatch=True)
PUBLISHERS: Final = {
    path.stem: json.loads(path.read_text("utf-8"))["names"]
    for path in (Path(__file__).parents[2] / "vectors" / "event_names").glob("*.json")
}


def dotted(event_type: str) -> str:
    return event_type.lower().replace("_", ".")


@pytest.mark.parametrize("event_type", ["CONTACT_CREATED", "contact.created"])
def test_both_published_spellings_are_one_type(event_type: str) -> None:
    """`contact.created` and `CONTACT_CREATED` are the same type."""
    assert canonical(event_type) == "CONTACT_CREATED"


@given(event_type=upper)
def test_the_canonical_spelling_is_its_own(event_type: str) -> None:
    """The canonical name is a fixed point, and its dotted spelling leads back to it."""
    assert canonical(event_type) == event_type
    assert canonical(dotted(event_type)) == event_type


@pytest.mark.parametrize(
    "name",
    [
        "orders/create",
        "repo:push",
        "userCreated",
        "Contact.Created",
        "CONTACT.CREATED",
        "contact.CREATED",
        "contact_created",
        "invoice.payment_failed",
        "CONTACT__CREATED",
        "contact..created",
        "CONTACT_",
        "contact.",
        "1CONTACT",
        "2fa.enabled",
        "CONTACT-CREATED",
        "contact-created.twice",
        "v2.core.event_destination.ping",
    ],
)
def test_any_other_name_is_its_own_spelling(name: str) -> None:
    """A name of neither published spelling is taken as it is, and is the same as no other."""
    assert canonical(name) == name


@given(
    pair=st.tuples(names, names) | st.tuples(close_names, close_names) | upper.map(lambda n: (n, dotted(n)))
)
def test_no_two_different_names_become_one(pair: tuple[str, str]) -> None:
    """Two names are one type only if they are equal, or the two published spellings of one name."""
    one, other = pair
    are_spellings = any(
        re.fullmatch("[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", name) and dotted(name) == twin
        for name, twin in ((one, other), (other, one))
    )
    assert (canonical(one) == canonical(other)) is (one == other or are_spellings)


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_the_names_of_other_publishers_are_taken(publisher: str) -> None:
    """Every name of a large publisher is an event type, and no two of them are the same type."""
    of_publisher = PUBLISHERS[publisher]
    assert len(of_publisher) > 20
    assert len({canonical(name) for name in of_publisher}) == len(of_publisher)
    for name in of_publisher:
        check_subscribed(name, of_publisher)
        assert matches([name], name)
        for separator in re.finditer("[_.:/]", name):
            assert matches([f"{name[: separator.end()]}*"], name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "*",
        "_",
        ".",
        "/",
        "-",
        "_CONTACT",
        ".contact",
        "/orders",
        ":push",
        "-x",
        "CONTACT CREATED",
        "CONTACT_CREATED\n",
        "contact.created\n",
        "contact\\created",
        "contact#created",
        "contact%2Fcreated",
        "contact[created]",
        "contact?created",
        "ÄNDERUNG",
        "änderung",
        "contact.\u0661",
        "CONTACT_*",
        "A" * (MAX_TYPE_LENGTH + 1),
        "a" * (MAX_TYPE_LENGTH + 1),
    ],
)
def test_text_that_is_no_name_is_refused(text: str) -> None:
    """Text with other characters, or that is too long, is refused."""
    with pytest.raises(RefusedEventType) as refused:
        canonical(text)
    assert refused.value.code == "invalid_event_type"


@given(text=st.text(max_size=12) | st.text("ABab01_.:/-* \n#", max_size=12))
def test_every_text_is_a_name_or_refused(text: str) -> None:
    """Any text either has a canonical name, which is a name, too, or is refused."""
    try:
        name = canonical(text)
    except RefusedEventType:
        return
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}", text)
    assert name == canonical(name)
    assert name in {text, text.upper().replace(".", "_")}


def test_the_longest_type_is_taken() -> None:
    """A type name may have 128 characters."""
    assert canonical("A" * 128) == canonical("a" * 128) == "A" * MAX_TYPE_LENGTH


@pytest.mark.parametrize(
    ("pattern", "event_type", "expected"),
    [
        # a name matches itself in either spelling
        ("CONTACT_CREATED", "CONTACT_CREATED", True),
        ("CONTACT_CREATED", "contact.created", True),
        ("contact.created", "CONTACT_CREATED", True),
        ("contact.created", "contact.created", True),
        ("CONTACT_CREATED", "CONTACT_UPDATED", False),
        # and never part of another name
        ("CONTACT", "CONTACT_CREATED", False),
        ("CONTACT_CREATED", "CONTACT", False),
        ("CONTACT_CREATE", "CONTACT_CREATED", False),
        ("CONTACT_CREATED", "CONTACT_CREATED_TWICE", False),
        ("CREATED", "CONTACT_CREATED", False),
        # everything
        ("*", "CONTACT_CREATED", True),
        ("*", "contact.created", True),
        ("*", "SEND", True),
        # a prefix of whole words, in either spelling
        ("CONTACT_*", "CONTACT_CREATED", True),
        ("CONTACT_*", "contact.created", True),
        ("contact.*", "CONTACT_CREATED", True),
        ("contact.*", "contact.created", True),
        ("CONTACT_*", "CONTACT_ADDRESS_CHANGED", True),
        ("CONTACT_ADDRESS_*", "CONTACT_ADDRESS_CHANGED", True),
        ("contact.address.*", "CONTACT_ADDRESS_CHANGED", True),
        ("CONTACT_*", "CONTACTS_X", False),
        ("CONTACT_*", "CONTACTS", False),
        ("CONTACT_*", "CONTACT", False),
        ("CONTACT_*", "MY_CONTACT_CREATED", False),
        ("CONTACT_ADDRESS_*", "CONTACT_CREATED", False),
        # a name that is spelled in no second way continues a prefix as it is
        ("contact.*", "contact.left_list", True),
        ("contact.*", "contact.createdAt", True),
        ("contact_*", "contact_created", True),
        ("contact_*", "CONTACT_CREATED", False),
        ("contact_*", "contact.created", False),
        ("CONTACT_*", "contact_created", False),
        ("CONTACT_*", "contact.left_list", False),
        ("CONTACT_*", "CONTACT_created", True),
        ("contact.*", "CONTACT_created", False),
        ("Contact.*", "contact.created", False),
        ("checkout.*", "checkout.session.completed", True),
        ("checkout.*", "CHECKOUT_SESSION", True),
        ("checkout.*", "checkout.session.async_payment_failed", True),
        ("checkout.session.*", "CHECKOUT_SESSION", False),
        ("payment_intent.*", "payment_intent.created", True),
        ("payment_*", "payment_intent.created", True),
        ("payment.*", "payment_intent.created", False),
        ("orders/*", "orders/create", True),
        ("orders/*", "ORDERS_CREATE", False),
        ("orders.*", "orders/create", False),
        ("repo:*", "repo:push", True),
        ("repo:commit_*", "repo:commit_status_created", True),
        ("repo:*", "repository:push", False),
        ("user-data.*", "user-data.changed", True),
        ("contact.*", "contact.", True),
    ],
)
def test_the_names_that_a_pattern_covers(pattern: str, event_type: str, *, expected: bool) -> None:
    """A pattern covers one name, every name, or every name that begins, in one spelling, with a prefix."""
    assert matches([pattern], event_type) is expected


@given(prefix=upper, rest=upper)
def test_a_prefix_covers_its_continuations(prefix: str, rest: str) -> None:
    """`PREFIX_*` covers PREFIX_ANYTHING in both spellings, but no longer word with the same first letters."""
    name = f"{prefix}_{rest}"
    assume(len(name) <= MAX_TYPE_LENGTH)
    for pattern in (f"{prefix}_*", f"{dotted(prefix)}.*"):
        assert matches([pattern], name)
        assert matches([pattern], dotted(name))
        assert not matches([pattern], prefix)
        assert not matches([pattern], f"{prefix}{rest}")


def test_one_pattern_of_many_is_enough() -> None:
    """An endpoint matches if any of its patterns covers the event's type; without patterns it never does."""
    assert matches(["CAMPAIGN_SENT", "contact.*"], "CONTACT_CREATED")
    assert not matches(["CAMPAIGN_SENT", "SEND"], "CONTACT_CREATED")
    assert not matches([], "CONTACT_CREATED")


@pytest.mark.parametrize(
    "pattern", ["*", "CONTACT_CREATED", "contact.created", "CONTACT_*", "contact.*", "send", "SEND"]
)
def test_a_pattern_that_can_match_is_taken(pattern: str) -> None:
    """A pattern may be a declared type, a prefix of a declared type, or everything."""
    check_subscribed(pattern, KNOWN)


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        ("CONTACT_MELTED", "unknown_event_type"),
        ("CONTACT", "unknown_event_type"),
        ("CONT_*", "unknown_event_type"),
        ("SEND_*", "unknown_event_type"),
        ("orders.*", "unknown_event_type"),
        ("_*", "invalid_event_type"),
        (".*", "invalid_event_type"),
        ("**", "invalid_event_type"),
        ("CONTACT*", "invalid_event_type"),
        ("*_CREATED", "invalid_event_type"),
        ("CONTACT_*_CREATED", "invalid_event_type"),
        ("CONTACT__*", "unknown_event_type"),
        ("contact..*", "unknown_event_type"),
        ("contact_*", "unknown_event_type"),
        ("contact_created", "unknown_event_type"),
        ("Contact.*", "unknown_event_type"),
        ("contact-*", "invalid_event_type"),
        ("/*", "invalid_event_type"),
        ("contact#*", "invalid_event_type"),
        ("a" * MAX_TYPE_LENGTH + ".*", "invalid_event_type"),
        ("CONTACT_* ", "invalid_event_type"),
        ("", "invalid_event_type"),
    ],
)
def test_a_pattern_that_can_match_nothing_is_refused(pattern: str, code: str) -> None:
    """A typo in a pattern is refused at registration instead of causing silence later."""
    with pytest.raises(RefusedEventType) as refused:
        check_subscribed(pattern, KNOWN)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("pattern", "detail"),
    [
        ("orders.*", "No event type matches orders.*."),
        ("ORDER_PAID", "Unknown event type ORDER_PAID."),
    ],
)
def test_a_refusal_names_the_unknown_type(pattern: str, detail: str) -> None:
    """The error names the prefix or type as the customer wrote it."""
    with pytest.raises(RefusedEventType) as refused:
        check_subscribed(pattern, KNOWN)
    assert refused.value.detail == detail


@given(pattern=st.text(max_size=12) | st.text("CONTAc_.*", max_size=12))
def test_a_pattern_that_was_taken_always_matches_something(pattern: str) -> None:
    """Every pattern that registration accepts matches at least one declared type."""
    try:
        check_subscribed(pattern, KNOWN)
    except RefusedEventType:
        return
    assert any(matches([pattern], name) for name in KNOWN)


def endpoint(name: str, events: Iterable[str], *, enabled: bool = True) -> Endpoint:
    return Endpoint(
        id=name,
        channel="wksp_1",
        workspace="wksp_1",
        kind=EndpointKind.WEBHOOK,
        format=PayloadFormat.EVENT_JSON,
        url="https://hooks.example.com/",
        events=tuple(events),
        secret=SealedSecret(b"sealed", 1),
        created_at=0,
        enabled=enabled,
    )


def event(event_type: str, *, target: str | None = None) -> Event:
    return Event(
        id="evt_1",
        channel="wksp_1",
        workspace="wksp_1",
        type=event_type,
        data="{}",
        created_at="2026-11-21T12:00:00Z",
        target=target,
    )


def test_matching_includes_disabled_endpoints() -> None:
    """Disabled endpoints match too: their deliveries are recorded either way."""
    recipients = Subscribers(
        [
            endpoint("a", ["CONTACT_CREATED"]),
            endpoint("b", ["CAMPAIGN_*"]),
            endpoint("c", ["contact.*"], enabled=False),
            endpoint("d", ["*"]),
            endpoint("e", []),
        ]
    )
    assert [one.id for one in recipients.of(event("contact.created"))] == ["a", "c", "d"]


def test_an_example_event_matches_its_target_only() -> None:
    """An example event goes to its one target, whatever its patterns, and to none once it is deleted."""
    recipients = Subscribers([endpoint("a", ["*"]), endpoint("b", ["SEND"])])
    assert [one.id for one in recipients.of(event("CONTACT_CREATED", target="b"))] == ["b"]
    assert recipients.of(event("CONTACT_CREATED", target="c")) == []


few_names: Final = st.from_regex(r"[aA]([_.:/][aA]?){0,2}", fullmatch=True)
few_patterns: Final = (
    st.just("*")
    | few_names
    | st.tuples(few_names, st.sampled_from("_.:/")).map(lambda one: f"{one[0]}{one[1]}*")
)


@given(name=few_names, pattern=few_patterns)
def test_a_matching_name_has_one_of_the_canonical_starts(name: str, pattern: str) -> None:
    """Looking below the canonical starts of a wildcard finds every name that it matches."""
    if pattern.endswith("*") and matches([pattern], name):
        assert canonical(name).startswith(canonical_starts(pattern))


@st.composite
def names_and_subscriptions(draw: st.DrawFn) -> tuple[str, list[list[str]]]:
    """Draw a name, and the patterns of endpoints, many of which begin as the name does."""
    name = draw(few_names)
    beginnings = [f"{name[: place + 1]}*" for place, letter in enumerate(name) if letter in "_.:/"]
    near = st.sampled_from([*beginnings, name, *map(dotted, beginnings), "*"])
    return name, draw(st.lists(st.lists(near | few_patterns, max_size=4), max_size=6))


@given(drawn=names_and_subscriptions())
def test_every_endpoint_with_a_matching_pattern_is_found(drawn: tuple[str, list[list[str]]]) -> None:
    """Matching all endpoints at once finds the same ones as asking one by one, once each and in order."""
    event_type, subscriptions = drawn
    endpoints = [endpoint(str(number), events) for number, events in enumerate(subscriptions)]
    wanted = [one for one in endpoints if matches(one.events, event_type)]
    assert Subscribers(endpoints).of(event(event_type)) == wanted
