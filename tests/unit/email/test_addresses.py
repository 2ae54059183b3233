"""An address field holds one address, whoever reads it."""

from __future__ import annotations

from email.utils import getaddresses
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from posthorn.email.addresses import is_address


@pytest.mark.parametrize(
    "text",
    [
        "a@example.com",
        "first.last+tag@mail.example.co.uk",
        "o'brien!#$%&*/=?^_`{|}~@example.com",
        '"two words"@example.com',
        "Ünal@müller.example",
        "Hello <hello@yourcompany.com>",
        "<hello@yourcompany.com>",
        '"Doe, Jane" <jane@example.com>',
        "J. Doe <j@example.com>",
        "Jane Doe (Sales) <jane@example.com>",
        "[Alerts] Ops 😀 <ops@example.com>",
    ],
)
def test_an_address_is_taken(text: str) -> None:
    """Addresses with and without a name are accepted."""
    assert is_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nobody",
        "@example.com",
        "a@",
        "a@b@c.example",
        "a@b.com>,<c",
        "a@b.com,c",
        "a@b.com;c",
        "a@b.com c",
        "A) <a@b.com>",
        "(A <a@b.com>",
        "[A <a@b.com>",
        "A <a@b.com>,<c>",
        "A <a@b.com>, c",
        "A <a@b.com",
        "A a@b.com>",
        "a, b@c.example",
        "Doe, Jane <jane@example.com>",
        "Team: a@example.com;",
        "Team: A <a@example.com>",
        '"a>,<c"@example.com',
        '"open <a@example.com>',
        "A\\ <a@example.com>",
        "a@b.com\r\nBcc: c",
        *(f"A{character}B <a@example.com>" for character in "\x00\t\n\r\x1f\x7f\x85\x9f\u2028\u2029"),
        *(f"a{character}b@example.com" for character in "\x00 \t\n\r\x7f\x85\u2028\u2029"),
        *(f"a@example{character}.com" for character in "\x00 \t\n\r\x7f\x85\u2028\u2029"),
        "a@example.com\n",
    ],
    ids=ascii,
)
def test_anything_else_is_refused(text: str) -> None:
    """A second address, a broken one and a line break of any kind are refused."""
    assert not is_address(text)


_AROUND: Final = st.lists(st.sampled_from('ab@.<>,;:()[]"\\ \n'), max_size=3).map("".join)


@settings(max_examples=500)
@given(text=st.tuples(_AROUND, st.sampled_from(["b@c.example", "<b@c.example>"]), _AROUND).map("".join))
@example("a@b.com>,<c")
@example("a@b,c@d")
def test_the_standard_library_reads_one_address_in_an_accepted_text(text: str) -> None:
    """Python's parser of address lists finds exactly one address in each accepted text."""
    if is_address(text):
        assert len(getaddresses([text], strict=False)) == 1
