"""Signatures match the published specifications byte for byte."""

from __future__ import annotations

import base64
import time
from typing import Final

import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import assume, given
from hypothesis import strategies as st

from posthorn.wire.signing import (
    MAX_KEY_BYTES,
    MIN_KEY_BYTES,
    encoded_key,
    hex_digest,
    repeats_one_character,
    standard_headers,
)

# The literal example from the Standard Webhooks libraries' own tests.
SECRET: Final = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
MESSAGE_ID: Final = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP: Final = 1614265330
BODY: Final = b'{"test": 2432232314}'
SIGNATURE: Final = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

OTHER: Final = b"another secret of another endpoint"

LIBRARIES: Final = pytest.mark.parametrize("library", [standardwebhooks.Webhook, svix.webhooks.Webhook])
FAILURE: Final = standardwebhooks.WebhookVerificationError


def signed(*secrets: bytes, body: bytes = BODY, message_id: str = MESSAGE_ID) -> dict[str, str]:
    """Sign with the current time, which the libraries check."""
    return dict(standard_headers(secrets, message_id=message_id, timestamp=int(time.time()), body=body))


def as_secret(token: bytes) -> str:
    """Write a token as the libraries expect it."""
    return f"whsec_{base64.b64encode(token).decode()}"


def test_the_published_example_is_signed_as_published() -> None:
    """The headers equal those of the specification's example, in its order, and there are no others."""
    headers = standard_headers([SECRET], message_id=MESSAGE_ID, timestamp=TIMESTAMP, body=BODY)
    assert headers == (
        ("webhook-id", MESSAGE_ID),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", SIGNATURE),
    )


@pytest.mark.parametrize(
    ("key", "text", "digest"),
    [
        (
            b"\x0b" * 20,
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            b"\xaa" * 20,
            b"\xdd" * 50,
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (
            bytes(range(1, 26)),
            b"\xcd" * 50,
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
        (
            b"\xaa" * 131,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            b"\xaa" * 131,
            (
                b"This is a test using a larger than block-size key and a larger than block-size data."
                b" The key needs to be hashed before being used by the HMAC algorithm."
            ),
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ],
    ids=["case 1", "case 2", "case 3", "case 4", "case 6", "case 7"],
)
def test_the_brand_signature_is_the_hmac_of_rfc_4231(key: bytes, text: bytes, digest: str) -> None:
    """Keys and bodies of any length give the digests that the RFC lists (4.2 to 4.8)."""
    assert hex_digest(key, text) == digest


@LIBRARIES
@given(token=st.binary(min_size=16, max_size=256), text=st.text(max_size=50))
def test_the_published_libraries_accept_every_signature(library: type, token: bytes, text: str) -> None:
    """The libraries verify with `whsec_` and the base64 of the token's bytes, for any bytes."""
    body = text.encode()
    library(as_secret(token)).verify(body or b"{}", signed(token, body=body or b"{}"), **_raw(library))


@LIBRARIES
@given(key=st.binary(min_size=MIN_KEY_BYTES, max_size=MAX_KEY_BYTES))
def test_a_secret_of_the_standards_form_verifies_as_it_is(library: type, key: bytes) -> None:
    """The libraries verify with the very secret that was given, whatever key it encodes."""
    secret = as_secret(key)
    library(secret).verify(BODY, signed(secret.encode()))


@LIBRARIES
@given(
    key=st.binary(min_size=MIN_KEY_BYTES, max_size=MAX_KEY_BYTES),
    text=st.text(min_size=16, max_size=50).filter(lambda text: not text.startswith("whsec_")),
)
def test_secrets_of_both_forms_verify_during_a_rotation(library: type, key: bytes, text: str) -> None:
    """Whichever of the two is the new one, a receiver with either accepts."""
    standard, plain = as_secret(key), text.encode()
    for secrets in ((standard.encode(), plain), (plain, standard.encode())):
        for known in (standard, as_secret(plain)):
            library(known).verify(BODY, signed(*secrets))


MALFORMED: Final = {
    "one byte short": as_secret(bytes(range(23))),
    "one byte long": as_secret(bytes(range(65))),
    "no padding": as_secret(b"\xfb" * 25).rstrip("="),
    "the URL-safe alphabet": as_secret(b"\xfb" * 24).replace("+", "-").replace("/", "_"),
    "bits left over": as_secret(b"\xfb" * 25).replace("w==", "x=="),
    "a space": as_secret(bytes(range(24))) + " ",
    "more behind the padding": as_secret(b"\xfb" * 25) + "AAAA",
    "no base64": "whsec_pässwort of my own",
    "nothing": "whsec_",
}


@pytest.mark.parametrize("secret", MALFORMED.values(), ids=MALFORMED)
def test_only_what_every_library_reads_encodes_a_key(secret: str) -> None:
    """Such secrets are refused at registration; one that was stored earlier signs with its text, as it did."""
    assert encoded_key(secret.encode()) is None
    plain = as_secret(secret.encode())
    standardwebhooks.Webhook(plain).verify(BODY, signed(secret.encode()))


@pytest.mark.parametrize("size", [MIN_KEY_BYTES, 25, 26, MAX_KEY_BYTES])
def test_every_size_of_key_that_the_standard_allows_is_read(size: int) -> None:
    """The specification asks for 24 to 64 bytes."""
    key = bytes(range(size))
    assert (MIN_KEY_BYTES, MAX_KEY_BYTES) == (24, 64)
    assert encoded_key(as_secret(key).encode()) == key


@pytest.mark.parametrize(
    "secret", ["WHSEC_" + as_secret(SECRET)[6:], as_secret(SECRET)[6:], "wht_" + "0" * 64]
)
def test_only_the_prefix_makes_a_secret_encode_its_key(secret: str) -> None:
    """Every other secret signs with its text, as do the tokens that Posthorn makes."""
    assert encoded_key(secret.encode()) is None
    standardwebhooks.Webhook(as_secret(secret.encode())).verify(BODY, signed(secret.encode()))


@pytest.mark.parametrize(
    ("secret", "repeats"),
    [
        ("a" * 16, True),
        ("é" * 16, True),
        ("\U0001f600" * 16, True),
        (as_secret(bytes(24)), True),
        (as_secret(b"x" * 24), True),
        ("a" * 15 + "b", False),
        ("whsec_" + "a" * 20, False),
        (as_secret(SECRET), False),
        ("wht_" + "0" * 64, False),
    ],
)
def test_one_character_again_and_again_is_noticed(secret: str, repeats: bool) -> None:
    """Characters of a text are compared, not its bytes, and the key that a `whsec_` secret encodes."""
    assert repeats_one_character(secret) is repeats


@LIBRARIES
@given(data=st.data())
def test_the_published_libraries_refuse_a_changed_body(library: type, data: st.DataObject) -> None:
    """A body with one changed character is refused."""
    at = data.draw(st.integers(0, len(BODY) - 1))
    changed = bytearray(BODY)
    changed[at] = data.draw(st.integers(0x20, 0x7E))
    assume(bytes(changed) != BODY)
    with pytest.raises(FAILURE):
        library(as_secret(SECRET)).verify(bytes(changed), signed(SECRET))


@LIBRARIES
@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp"])
def test_the_published_libraries_refuse_changed_metadata(library: type, name: str) -> None:
    """Id and time are signed, so neither can be exchanged."""
    headers = signed(SECRET)
    headers[name] = headers[name][:-1] + ("0" if headers[name][-1] != "0" else "1")
    with pytest.raises(FAILURE):
        library(as_secret(SECRET)).verify(BODY, headers)


@LIBRARIES
@pytest.mark.parametrize("known", [SECRET, OTHER])
def test_both_secrets_verify_during_a_rotation(library: type, known: bytes) -> None:
    """A receiver with either the old or the new secret accepts the delivery."""
    library(as_secret(known)).verify(BODY, signed(SECRET, OTHER))


def test_a_rotation_adds_the_old_signature_behind_the_new_one() -> None:
    """Signatures come in the order of the secrets, separated by one space."""

    def signature(*secrets: bytes) -> str:
        return dict(standard_headers(secrets, message_id=MESSAGE_ID, timestamp=TIMESTAMP, body=BODY))[
            "webhook-signature"
        ]

    assert signature(SECRET, OTHER) == f"{SIGNATURE} {signature(OTHER)}"
    assert signature(OTHER, SECRET) == f"{signature(OTHER)} {SIGNATURE}"


@given(
    message_id=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    timestamp=st.integers(0, 2**40),
    body=st.binary(max_size=100),
)
def test_the_signed_text_is_unambiguous(message_id: str, timestamp: int, body: bytes) -> None:
    """The signed text splits into id, time and body in only one way."""
    headers = dict(standard_headers([SECRET], message_id=message_id, timestamp=timestamp, body=body))
    signed_bytes = f"{message_id}.{timestamp}.".encode() + body
    expected = base64.b64encode(bytes.fromhex(hex_digest(SECRET, signed_bytes))).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    found_id, found_timestamp, found_body = signed_bytes.split(b".", 2)
    assert (found_id.decode(), int(found_timestamp), found_body) == (message_id, timestamp, body)


@pytest.mark.parametrize("message_id", [".", "evt.1", "evt_1.1700000000", ".evt", "evt."])
def test_an_id_with_a_dot_is_never_signed(message_id: str) -> None:
    """A dot in an id would let one signature stand for two messages."""
    with pytest.raises(ValueError, match="dot"):
        standard_headers([SECRET], message_id=message_id, timestamp=TIMESTAMP, body=BODY)


def _raw(library: type) -> dict[str, bool]:
    """Keep standardwebhooks from parsing the body it has verified, as svix does."""
    return {"json_parse": False} if library is standardwebhooks.Webhook else {}
