"""Which endpoints an event matches: two spellings, wildcards, and no accidental matches."""

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
    """`contact.created` and `CONTACT_CREATED` are the same type."""
    assert canonical(event_type) == "CONTACT_CREATED"


@given(event_type=upper)
def test_the_canonical_spelling_is_its_own(event_type: str) -> None:
    """The canonical name is a fixed point, and its dotted spelling leads back to it."""
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
    """A name in neither spelling is refused, so the sender learns of the mistake."""
    with pytest.raises(RefusedEventType) as refused:
        canonical(text)
    assert refused.value.code == "invalid_event_type"


@given(text=st.text(max_size=12) | st.text("ABab01_.*- \n", max_size=12))
def test_every_text_is_canonical_or_refused(text: str) -> None:
    """Any text either becomes a canonical name in capitals or is refused."""
    try:
        name = canonical(text)
    except RefusedEventType:
        return
    assert name == canonical(name) == text.upper().replace(".", "_")


def test_the_longest_type_is_taken() -> None:
    """A type name may have a hundred characters."""
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
def test_the_names_that_a_pattern_covers(pattern: str, event_type: str, expected: bool) -> None:
    """A pattern covers one name, every name, or every name that continues a prefix of whole words."""
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
    "pattern", ["*", "CONTACT_CREATED", "contact.created", "CONTACT_*", "contact.*", "campaign_*", "SEND"]
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
        ("CONTACT__*", "invalid_event_type"),
        ("contact..*", "invalid_event_type"),
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
        ("orders.*", "No event type starts with orders."),
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
def test_every_endpoint_with_a_matching_pattern_is_found(
    subscriptions: list[list[str]], event_type: str, spell: Callable[[str], str]
) -> None:
    """Matching all endpoints at once finds the same ones as asking one by one, once each and in order."""
    endpoints = [endpoint(str(number), events) for number, events in enumerate(subscriptions)]
    wanted = [one for one in endpoints if matches(one.events, event_type)]
    assert Subscribers(endpoints).of(event(spell(event_type))) == wanted
