"""The names of workspaces: ids are ours, uids are the platform's, and no text is both."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from posthorn.domain.ids import WORKSPACE, new_id
from posthorn.domain.workspace import is_name, is_uid, is_workspace_id

_UID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-"

UIDS = st.text(_UID_ALPHABET, min_size=1, max_size=128).filter(
    lambda text: not text.startswith("wksp_") and text not in {".", ".."}
)


@given(UIDS)
@example("customer_8812")
@example("org:1.eu-central")
@example("wksp")
@example("Wksp_1")
@example("...")
@example("x" * 128)
def test_what_the_grammar_allows_is_a_uid(text: str) -> None:
    """1 to 128 of the characters that a URL's path can hold."""
    assert is_uid(text)
    assert is_name(text)


@given(st.text(max_size=140))
@example("")
@example("x" * 129)
@example("customer 8812")
@example("customer\n")
@example("customer/8812")
@example("ünal")
@example("٣")  # a digit in Arabic
@example("left,right")
def test_nothing_else_is_a_uid(text: str) -> None:
    """Other characters and other lengths are refused, a line break at the end included."""
    if not (1 <= len(text) <= 128 and set(text) <= set(_UID_ALPHABET)):
        assert not is_uid(text)
        assert not is_name(text)


@given(st.text(_UID_ALPHABET, max_size=123))
@example("")
@example("01GY5BVC309NNKZNNKZNNKZNNK")
def test_a_uid_does_not_begin_like_an_id(rest: str) -> None:
    """Even where the rest cannot be that of an id: a later version may have other ids."""
    assert not is_uid(f"wksp_{rest}")
    assert is_name(f"wksp_{rest}")


@pytest.mark.parametrize("text", [".", ".."])
def test_a_uid_is_no_step_in_a_path(text: str) -> None:
    """Clients resolve these two before they send a URL."""
    assert not is_uid(text)


@given(st.binary(min_size=10, max_size=10), st.integers(0, 2**48 - 1))
def test_an_id_is_a_name_and_no_uid(entropy: bytes, now_ms: int) -> None:
    """The id of a workspace is told from a uid by its beginning."""
    made = new_id(WORKSPACE, now_ms=now_ms, entropy=entropy)
    assert is_workspace_id(made)
    assert is_name(made)
    assert not is_uid(made)
    assert re.fullmatch("wksp_[0-9A-Z]{26}", made)
