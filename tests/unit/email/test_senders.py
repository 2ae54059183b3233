"""Who an email is from, and which identities cover it: exactly those that SES would send for."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from posthorn.email.addresses import is_address
from posthorn.email.domain_names import canonical_domain
from posthorn.email.senders import covering, identity_name, sender_of

LABELS: Final = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,9}[a-z0-9])?", fullmatch=True)
DOMAINS: Final = st.lists(LABELS, min_size=1, max_size=4).map(lambda labels: ".".join([*labels, "example"]))


@pytest.mark.parametrize(
    ("text", "sent", "address"),
    [
        ("ann@shop.example", "ann@shop.example", "ann@shop.example"),
        ("Ann <ann@shop.example>", "Ann <ann@shop.example>", "ann@shop.example"),
        ("<ann@shop.example>", "<ann@shop.example>", "ann@shop.example"),
        ('"Doe, Ann" <Ann@SHOP.Example>', '"Doe, Ann" <Ann@shop.example>', "Ann@shop.example"),
        ("Shop (news) <a@mail.Shop.example>", "Shop (news) <a@mail.shop.example>", "a@mail.shop.example"),
        ('"two words"@shop.example', '"two words"@shop.example', '"two words"@shop.example'),
        ("a@bücher.example", "a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("Bücher <a@BÜCHER.example>", "Bücher <a@xn--bcher-kva.example>", "a@xn--bcher-kva.example"),
        ("a@bu\u0308cher.example", "a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("a@XN--BCHER-KVA.example", "a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
    ],
)
def test_a_sender_is_compared_and_sent_in_one_form(text: str, sent: str, address: str) -> None:
    """The name and the part before the @ stay as they are; the domain is in lower case and ASCII."""
    assert is_address(text)
    sender = sender_of(text)
    assert sender is not None
    assert (sender.text, sender.address) == (sent, address)


@pytest.mark.parametrize(
    "domain",
    [
        "\uff53hop.example",  # a full-width s
        "\u212aelvin.example",  # the Kelvin sign, whose lower case is a k
        "\u017fhop.example",  # a long s, whose upper case is an S
        "straße.example",
        "shop。example.com",  # the full stop of Chinese and Japanese
        "sh\u043ep.example",  # a Cyrillic o
        "shop.example\u200b",  # a space of no width
        "I\u0307nfo.example",
    ],
    ids=ascii,
)
def test_no_look_alike_passes_for_another_domain(domain: str) -> None:
    """Nothing but case is folded, so no domain outside ASCII becomes one of plain letters."""
    found = canonical_domain(domain)
    assert found is None or found.startswith("xn--") or ".xn--" in found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "com",
        "localhost",
        ".example.com",
        "example.com.",
        "a..example.com",
        "-a.example.com",
        "a_b.example.com",
        "*.example.com",
        "a b.example.com",
        "example.com\n",
        "192.0.2.1",
        "x" * 64 + ".example.com",
        ".".join(["x" * 60] * 5),
        "https://example.com",
        "@example.com",
        "a@b@example.com",
        "a@com",
        "a/b@example.com",
        '"a b"@example.com',
        "Ann <ann@example.com>",
        "ünal@example.com",
        "x" * 65 + "@example.com",
    ],
    ids=ascii,
)
def test_a_text_that_is_no_identity_is_refused(text: str) -> None:
    """Neither a domain nor an address that a URL's path can hold."""
    assert identity_name(text) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("example.com", "example.com"),
        ("Mail.EXAMPLE.com", "mail.example.com"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("o'brien+x=1_-.@Example.com", "o'brien+x=1_-.@example.com"),
        ("Ann@example.com", "Ann@example.com"),
    ],
)
def test_an_identity_has_one_name(text: str, name: str) -> None:
    """Only the domain's case is folded: SES tells Ann from ann."""
    assert identity_name(text) == name
    assert identity_name(name) == name


@given(domain=DOMAINS, more=st.lists(LABELS, max_size=2))
@example(domain="shop.example", more=["mail"])
def test_a_domain_covers_its_subdomains_and_nothing_else(domain: str, more: list[str]) -> None:
    """It covers addresses at itself and below, not above, and not in a domain that merely ends alike."""
    below = ".".join([*more, domain])
    assert domain in covering(f"ann@{below}")
    assert domain in covering(below)
    assert domain not in covering(f"ann@x{domain}")
    assert (domain in covering(f"ann@{domain.partition('.')[2]}")) == (domain == domain.partition(".")[2])


def test_the_most_specific_identity_comes_first() -> None:
    """That is the order in which SES chooses; a domain of one label is nobody's."""
    names = ["a@x.shop.example", "x.shop.example", "shop.example"]
    assert list(covering("a@x.shop.example")) == names
    assert list(covering("x.shop.example")) == names[1:]


@given(st.text(max_size=40))
@example("a@\ud800.example")
@example("a@" + "ü" * 80 + ".example")
def test_any_text_has_a_sender_or_none(text: str) -> None:
    """Nothing raises, and what is sent is still one address, with a domain that is its own canonical form."""
    identity_name(text)
    if is_address(text) and (sender := sender_of(text)) is not None:
        assert is_address(sender.text)
        assert sender_of(sender.text) == sender
        assert sender.address.isascii() or not sender.address.partition("@")[0].isascii()
