"""Which endpoints want an event: two spellings, wildcards, and nothing by accident."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.errors import RefusedEventType
from posthorn.domain.matching import MAX_TYPE_LENGTH, Subscribers, canonical, check_subscribed, matches
from posthorn.domain.models import Endpoint, Event, SealedSecret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KNOWN: Final = frozenset({"CONTACT_CREATED", "CONTACT_UPDATED", "CAMPAIGN_SENT", "SEND"})

words: Final = st.from_regex(r"[A-Z][A-Z0-9]{0,8}", fullmatch=True)
upper: Final = st.lists(words, min_size=1, max_size=4).map("_".join)


def dotted(event_type: str) -> str:
    return event_type.lower().replace("_", ".")


@pytest.mark.parametrize(
    "event_type",
    [
        "CONTACT_CREATED",
        "contact.created",
        "contact_created",
    ],
)
def test_both_published_spellings_are_one_type(event_type: str) -> None:
    """`contact.created` and `CONTACT_CREATED` stand for the same."""
    assert canonical(event_type) == "CONTACT_CREATED"


@given(event_type=upper)
def test_the_canonical_spelling_is_its_own(event_type: str) -> None:
    """Making a canonical name canonical again changes nothing, and its dotted spelling leads back to it."""
    assert canonical(event_type) == event_type
    assert canonical(dotted(event_type)) == event_type


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "*",
        "_",
        ".",
        "Contact.Created",
        "CONTACT.CREATED",
        "contact.CREATED",
        "CONTACT__CREATED",
        "contact..created",
        "contact._created",
        "_CONTACT",
        "CONTACT_",
        "contact.",
        ".contact",
        "1CONTACT",
        "CONTACT-CREATED",
        "CONTACT CREATED",
        "CONTACT_CREATED\n",
        "contact.created\n",
        "ÄNDERUNG",
        "änderung",
        "contact.\u0661",
        "CONTACT_*",
        "A" * (MAX_TYPE_LENGTH + 1),
        "a" * (MAX_TYPE_LENGTH + 1),
    ],
)
def test_any_other_spelling_is_refused(text: str) -> None:
    """A name in neither spelling is a mistake that its sender should hear of."""
    with pytest.raises(RefusedEventType) as refused:
        canonical(text)
    assert refused.value.code == "invalid_event_type"


@given(text=st.text(max_size=12) | st.text("ABab01_.*- \n", max_size=12))
def test_every_text_is_canonical_or_refused(text: str) -> None:
    """What comes out is in capitals, whatever went in; anything else is refused."""
    try:
        name = canonical(text)
    except RefusedEventType:
        return
    assert name == canonical(name) == text.upper().replace(".", "_")


def test_the_longest_type_is_taken() -> None:
    """A hundred characters are allowed."""
    assert MAX_TYPE_LENGTH == 100
    assert canonical("A" * MAX_TYPE_LENGTH) == "A" * MAX_TYPE_LENGTH


@pytest.mark.parametrize(
    ("pattern", "event_type", "expected"),
    [
        # a name matches itself in either spelling
        ("CONTACT_CREATED", "CONTACT_CREATED", True),
        ("CONTACT_CREATED", "contact.created", True),
        ("contact.created", "CONTACT_CREATED", True),
        ("contact.created", "contact.created", True),
        ("CONTACT_CREATED", "CONTACT_UPDATED", False),
        # and never a part of another
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
        ("contact_*", "CONTACT_CREATED", True),
        ("CONTACT_*", "CONTACT_ADDRESS_CHANGED", True),
        ("CONTACT_ADDRESS_*", "CONTACT_ADDRESS_CHANGED", True),
        ("contact.address.*", "CONTACT_ADDRESS_CHANGED", True),
        ("CONTACT_*", "CONTACTS_X", False),
        ("CONTACT_*", "CONTACTS", False),
        ("CONTACT_*", "CONTACT", False),
        ("CONTACT_*", "MY_CONTACT_CREATED", False),
        ("CONTACT_ADDRESS_*", "CONTACT_CREATED", False),
    ],
)
def test_what_a_pattern_covers(pattern: str, event_type: str, expected: bool) -> None:
    """A pattern covers a name, everything, or all names that go on behind a prefix of whole words."""
    assert matches([pattern], event_type) is expected


@given(prefix=upper, rest=upper)
def test_a_prefix_covers_what_goes_on_behind_it(prefix: str, rest: str) -> None:
    """`PREFIX_*` covers PREFIX_ANYTHING in both spellings, and nothing that merely starts with the same letters."""
    name = f"{prefix}_{rest}"
    assume(len(name) <= MAX_TYPE_LENGTH)
    for pattern in (f"{prefix}_*", f"{dotted(prefix)}.*"):
        assert matches([pattern], name)
        assert matches([pattern], dotted(name))
        assert not matches([pattern], prefix)
        assert not matches([pattern], f"{prefix}{rest}")


def test_one_pattern_of_many_is_enough() -> None:
    """An endpoint gets an event when any of its patterns covers it, and none without patterns."""
    assert matches(["CAMPAIGN_SENT", "contact.*"], "CONTACT_CREATED")
    assert not matches(["CAMPAIGN_SENT", "SEND"], "CONTACT_CREATED")
    assert not matches([], "CONTACT_CREATED")


@pytest.mark.parametrize(
    "pattern", ["*", "CONTACT_CREATED", "contact.created", "CONTACT_*", "contact.*", "campaign_*", "SEND"]
)
def test_a_pattern_that_can_match_is_taken(pattern: str) -> None:
    """An endpoint may name a type, a prefix that some type has, or everything."""
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
        ("CONTACT__*", "invalid_event_type"),
        ("contact..*", "invalid_event_type"),
        ("CONTACT_* ", "invalid_event_type"),
        ("", "invalid_event_type"),
    ],
)
def test_a_pattern_that_can_match_nothing_is_refused(pattern: str, code: str) -> None:
    """A typing mistake shows at registration and not as silence later."""
    with pytest.raises(RefusedEventType) as refused:
        check_subscribed(pattern, KNOWN)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("pattern", "detail"),
    [
        ("orders.*", "No event type starts with orders."),
        ("ORDER_PAID", "Unknown event type ORDER_PAID."),
    ],
)
def test_a_refusal_says_what_is_not_there(pattern: str, detail: str) -> None:
    """A customer reads about the prefix or the name that they wrote."""
    with pytest.raises(RefusedEventType) as refused:
        check_subscribed(pattern, KNOWN)
    assert refused.value.detail == detail


@given(pattern=st.text(max_size=12) | st.text("CONTAc_.*", max_size=12))
def test_a_pattern_that_was_taken_always_matches_something(pattern: str) -> None:
    """Whoever passes registration gets at least one of the declared types, and matching never fails."""
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


def test_an_audience_includes_disabled_endpoints() -> None:
    """Whether an endpoint is switched on is not for matching to say: its delivery is recorded either way."""
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


def test_the_audience_of_a_test_is_its_target() -> None:
    """A test event is for one endpoint, whatever that one listens to, and for nobody once it is gone."""
    recipients = Subscribers([endpoint("a", ["*"]), endpoint("b", ["SEND"])])
    assert [one.id for one in recipients.of(event("CONTACT_CREATED", target="b"))] == ["b"]
    assert recipients.of(event("CONTACT_CREATED", target="c")) == []


few_words: Final = st.lists(st.sampled_from(["A", "B", "AB"]), min_size=1, max_size=3).map("_".join)
few_patterns: Final = st.one_of(
    st.just("*"),
    few_words,
    few_words.map(dotted),
    few_words.map(lambda name: f"{name}_*"),
    few_words.map(lambda name: f"{dotted(name)}.*"),
)


@given(
    subscriptions=st.lists(st.lists(few_patterns, max_size=4), max_size=6),
    event_type=few_words,
    spell=st.sampled_from([str, dotted]),
)
def test_an_audience_is_everybody_with_a_pattern_that_matches(
    subscriptions: list[list[str]], event_type: str, spell: Callable[[str], str]
) -> None:
    """Looked up all at once or asked one by one, the same endpoints listen, each once and in their order."""
    endpoints = [endpoint(str(number), events) for number, events in enumerate(subscriptions)]
    wanted = [one for one in endpoints if matches(one.events, event_type)]
    assert Subscribers(endpoints).of(event(spell(event_type))) == wanted
