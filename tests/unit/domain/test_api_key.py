"""API keys: secret scanners find them, typos are rejected, and stored data is not enough to forge one."""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthorn.domain.api_key import ENTROPY_BYTES, ApiKey, Scope, hash_of, mint, split

PUBLISHED_SHAPE: Final = re.compile(r"phk_[0-9A-Za-z]{50}")
BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

entropies: Final = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES)

KEY: Final = ApiKey(
    id="0123456789ab",
    workspace="wksp_1",
    name="backend",
    scopes=frozenset({Scope.USER}),
    secret_hash=b"canary-hash",
    created_at=1000,
)


def checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    while number:
        number, digit = divmod(number, 62)
        digits = BASE62[digit] + digits
    return digits.rjust(6, "0")


@given(entropy=entropies)
def test_a_key_has_the_shape_that_scanners_look_for(entropy: bytes) -> None:
    """A key is `phk_` and 50 letters and digits, of which the last six are the CRC-32 of the rest."""
    key = mint(entropy)
    assert PUBLISHED_SHAPE.fullmatch(key)
    assert key[-6:] == checksum(key[:-6])


@given(entropy=entropies)
def test_a_key_splits_into_id_and_secret(entropy: bytes) -> None:
    """Twelve characters are the key's id; thirty-two are the secret, compared by its hash."""
    key = mint(entropy)
    parts = split(key)
    assert parts is not None
    assert [len(part) for part in parts] == [12, 32]
    assert key == f"phk_{parts[0]}{parts[1]}{key[-6:]}"


@given(first=st.integers(0, 62**44 - 1), second=st.integers(0, 62**44 - 1))
def test_all_random_digits_get_into_the_key(first: int, second: int) -> None:
    """Each of the 44 random digits depends on the random bytes; none is lost."""
    one, other = mint(first.to_bytes(ENTROPY_BYTES)), mint(second.to_bytes(ENTROPY_BYTES))
    assert (one == other) == (first == second)


@given(entropy=entropies, data=st.data())
def test_no_single_typing_mistake_passes(entropy: bytes, data: st.DataObject) -> None:
    """A typo in any one character is rejected without a lookup."""
    key = mint(entropy)
    at = data.draw(st.integers(0, len(key) - 1))
    wrong = data.draw(st.sampled_from(BASE62).filter(lambda character: character != key[at]))
    assert split(key[:at] + wrong + key[at + 1 :]) is None


@given(entropy=entropies, data=st.data())
def test_no_two_characters_can_be_swapped(entropy: bytes, data: st.DataObject) -> None:
    """Swapped neighbors are rejected as well."""
    key = mint(entropy)
    at = data.draw(st.integers(0, len(key) - 2))
    swapped = key[:at] + key[at + 1] + key[at] + key[at + 2 :]
    assert (split(swapped) is None) == (swapped != key)


@given(text=st.text(max_size=60))
def test_any_other_text_is_rejected(text: str) -> None:
    """Any header value is parsed as a key or rejected; nothing is raised."""
    assert split(text) is None


@pytest.mark.parametrize("change", [" {}", "{} ", "{}\n", "{}0", "x{}", "Bearer {}"])
def test_a_key_stands_alone(change: str) -> None:
    """Text before or after the key is not ignored."""
    assert split(change.format(mint(bytes(ENTROPY_BYTES)))) is None


def test_case_matters() -> None:
    """A key in another case is a different key, which does not exist."""
    key = mint(bytes(range(ENTROPY_BYTES)))
    assert split(key) is not None
    assert split(key.lower()) is None
    assert split(key.upper()) is None


@pytest.mark.parametrize("length", [0, 32, ENTROPY_BYTES - 1, ENTROPY_BYTES + 1])
def test_another_amount_of_random_bytes_is_a_mistake(length: int) -> None:
    """The wrong number of random bytes raises, so a caller cannot weaken a key by mistake."""
    with pytest.raises(ValueError, match="40 random bytes"):
        mint(bytes(length))


def test_the_stored_hash_is_sha_256_of_the_secret() -> None:
    """The table holds only the hash of the secret part."""
    assert hash_of("abc") == bytes.fromhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    assert hash_of("x") == hashlib.sha256(b"x").digest()


@pytest.mark.parametrize(
    ("valid_until", "revoked_at", "now_ms", "live"),
    [
        (None, None, 10**15, True),
        (2000, None, 1999, True),
        (2000, None, 2000, False),
        (2000, None, 2001, False),
        (None, 1500, 1400, False),
        (None, 1500, 1500, False),
        (2000, 1500, 1400, False),
    ],
)
def test_a_key_lives_until_it_expires_or_is_revoked(
    valid_until: int | None, revoked_at: int | None, now_ms: int, live: bool
) -> None:
    """Expiry is exclusive, and a revoked key is invalid at once, whatever the clock says."""
    assert replace(KEY, valid_until=valid_until, revoked_at=revoked_at).is_live(now_ms) is live


def test_the_scopes_are_the_published_ones() -> None:
    """The scopes are the documented `api_user` and `user`, plus `publish`, `partner` and `admin`."""
    assert {str(scope) for scope in Scope} == {"publish", "api_user", "user", "partner", "admin"}


def test_the_hash_of_a_key_is_not_printed() -> None:
    """A key in a log line or a traceback shows only its id."""
    assert "canary-hash" not in repr(KEY)
