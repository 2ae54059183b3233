"""JSON either survives a JavaScript round trip byte for byte or is refused; Node is the reference."""

from __future__ import annotations

import json
import math
import re
import subprocess
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from posthorn.domain.errors import RefusedJson
from posthorn.wire.ecmascript import MAX_DEPTH, number, parse, stringify
from tests import json_texts
from tests.receivers.node import node_path

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES: Final = settings(max_examples=300)

CODES: Final = frozenset(
    {"invalid_json", "invalid_utf8", "duplicate_key", "unsafe_number", "unpaired_surrogate", "too_deep"}
)

# 1e17 is accepted, but its long form looks like a number that lost digits and is refused.
_WHOLE_BEYOND_SAFE: Final = re.compile(r"\d{16,21}")

# Input: a JSON string per line. Output: what JavaScript makes of it, or null if it refuses.
_SCRIPT: Final = """
require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  let written = null;
  try { written = JSON.stringify(JSON.parse(JSON.parse(line))); } catch {}
  process.stdout.write(JSON.stringify(written) + '\\n');
});
"""


class JavaScript:
    """A Node process, queried line by line."""

    def __init__(self, stdin: IO[str], stdout: IO[str]) -> None:
        self._stdin = stdin
        self._stdout = stdout

    def rewrite(self, text: str) -> str | None:
        """Return `JSON.stringify(JSON.parse(text))`, or None if JavaScript refuses the text."""
        self._stdin.write(json.dumps(text) + "\n")
        self._stdin.flush()
        written: str | None = json.loads(self._stdout.readline())
        return written


@pytest.fixture(scope="module")
def javascript() -> Iterator[JavaScript]:
    with subprocess.Popen(
        [node_path(), "-e", _SCRIPT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield JavaScript(process.stdin, process.stdout)
        process.stdin.close()


def refusal(text: bytes) -> str:
    with pytest.raises(RefusedJson) as refused:
        stringify(parse(text))
    return refused.value.code


@EXAMPLES
@given(text=json_texts.values)
@example('{"b":1,"2":2,"a":3,"10":4,"1":5,"4294967294":6,"4294967295":7,"01":8,"-1":9}')
@example('{"__proto__":{"a":1},"constructor":null,"toJSON":1}')
@example('["\\u2028\\u2029\\u007f\\u001f\\/\\ud83d\\ude00","\u2028\u007f/\U0001f600"]')
@example("[1.0,1e21,0.1,-0.0,-0,5e-324,1e-7,123456789012345680000.0,1e5,100.0]")
def test_texts_equal_those_of_javascript(javascript: JavaScript, text: str) -> None:
    """A receiver that parses and reserializes a body gets the very bytes that were signed."""
    assert stringify(parse(text.encode())) == javascript.rewrite(text)


@EXAMPLES
@given(text=json_texts.values)
def test_writing_is_idempotent(javascript: JavaScript, text: str) -> None:
    """Writing is idempotent: parsing and writing again changes nothing."""
    once = stringify(parse(text.encode()))
    assert javascript.rewrite(once) == once
    if not _WHOLE_BEYOND_SAFE.search(once):
        assert stringify(parse(once.encode())) == once


@EXAMPLES
@given(value=st.floats(allow_nan=False, allow_infinity=False))
@example(1e21)
@example(999999999999999900000.0)
@example(1e-6)
@example(9.999999999999999e-7)
@example(-0.0)
@example(5e-324)
@example(1.7976931348623157e308)
@example(2.0**53)
@example(123e-20)
@example(-1.5e-9)
def test_every_finite_float_is_written_as_javascript_writes_it(javascript: JavaScript, value: float) -> None:
    """Numbers switch to exponent notation at the same magnitudes as in JavaScript."""
    assert number(value) == javascript.rewrite(repr(value))


def is_kept(text: str) -> bool:
    """Return, by way of `Decimal`, whether a JSON number with a fraction or an exponent is one JavaScript keeps."""
    value = float(text)
    if abs(value) < 2**53:
        return True
    return math.isfinite(value) and Decimal(text) == Decimal(repr(value))


def by_decimal(value: float) -> str:
    """Write a float with an exponent by way of `Decimal`, in Python's notation."""
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    return f"{'-' * sign}{''.join(map(str, digits))}e{exponent}"


_ZEROS: Final = st.integers(0, 4).map("0".__mul__)


@st.composite
def spellings(draw: st.DrawFn) -> str:
    """Spell a float in another way, or a number near it: the point moves, zeros and signs come, a digit changes."""
    value = draw(st.floats(allow_nan=False, allow_infinity=False) | st.floats(2**52, 1e25))
    digits, _, exponent = by_decimal(value).lstrip("-").partition("e")
    if draw(st.booleans()):
        digits += draw(st.text("0123456789", max_size=3))
    split = draw(st.integers(0, len(digits)))
    power = int(exponent) + len(digits) - split
    whole, fraction = digits[:split].lstrip("0") or "0", digits[split:] + draw(_ZEROS)
    sign = "-" if power < 0 else draw(st.sampled_from(["", "+"]))
    mantissa = f"{draw(st.sampled_from(['', '-']))}{whole}" + (f".{fraction}" if fraction else "")
    return f"{mantissa}{draw(st.sampled_from('eE'))}{sign}{draw(_ZEROS)}{abs(power)}"


@settings(max_examples=1000)
@given(text=spellings())
@example("1e16")
@example("1E+16")
@example("1e" + "0" * 5000 + "16")
@example("0." + "0" * 5000 + "1e5017")
@example("1" + "0" * 5000 + "e-4980")
@example("9007199254740992.0")
@example("9007199254740993.0")
@example("9007199254740992.5")
@example("-9007199254740993e0")
@example("0.0e999")
@example("0e-0")
@example("1.7976931348623157e308")
@example("1.7976931348623158e308")
@example("1.7976931348623159e308")
@example("123456789012345680000.0")
@example("123456789012345678000.0")
def test_a_spelling_is_kept_or_refused_as_decimal_arithmetic_says(text: str) -> None:
    """However a number is spelled, it is accepted if and only if its decimal value survives a float."""
    try:
        value = parse(text.encode())
    except RefusedJson as refused:
        assert refused.code == "unsafe_number"  # noqa: PT017 - one of two valid outcomes
        assert not is_kept(text)
    else:
        assert is_kept(text)
        assert value == float(text)
        assert Decimal(number(value)) == Decimal(repr(value))


_NEAR_JSON: Final = st.lists(
    st.sampled_from(
        [*'{}[]",:\\/-+.eE019 \t\n', "true", "null", '"a"', "\\u", "d83d", "NaN", "\ufeff", "\x0b", "é"]
    ),
    max_size=12,
).map("".join)


@settings(max_examples=500)
@given(text=_NEAR_JSON | st.text(max_size=20))
@example("\ufeff{}")
@example("[1,]")
@example("01")
@example("'a'")
@example("1.")
@example(".5")
@example("+1")
@example("\x0b1")
@example("\u00a01")
@example('"\t"')
@example('"\\x41"')
@example("[\u0661]")
@example("-")
def test_javascript_accepts_every_accepted_text(javascript: JavaScript, text: str) -> None:
    """JavaScript accepts every accepted text and writes it the same."""
    try:
        written = stringify(parse(text.encode()))
    except RefusedJson:
        return
    assert written == javascript.rewrite(text)


@settings(max_examples=500)
@given(text=st.binary(max_size=60) | _NEAR_JSON.map(str.encode))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    """Any bytes are read or refused; no other exception is raised."""
    try:
        stringify(parse(text))
    except RefusedJson as refused:
        assert refused.code in CODES  # noqa: PT017 - one of two valid outcomes


@given(text=json_texts.objects, data=st.data())
def test_a_text_with_one_byte_changed_is_read_or_refused(text: str, data: st.DataObject) -> None:
    """A body with one changed byte is refused or reads differently; it never breaks the reader."""
    raw = bytearray(text.encode())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    try:
        stringify(parse(bytes(raw)))
    except RefusedJson:
        return


@pytest.mark.parametrize(
    ("code", "text"),
    [
        # not JSON at all
        ("invalid_json", b""),
        ("invalid_json", b" "),
        ("invalid_json", b"{"),
        ("invalid_json", b"{} {}"),
        ("invalid_json", b"{}x"),
        ("invalid_json", b"[1,]"),
        ("invalid_json", b"{'a':1}"),
        ("invalid_json", b'{"a":1,}'),
        ("invalid_json", b'"\x00"'),
        ("invalid_json", b'"\n"'),
        ("invalid_json", b'"\\u12"'),
        ("invalid_json", b"\xef\xbb\xbf{}"),  # a byte order mark (RFC 8259, 8.1)
        # numbers that JSON does not allow
        ("invalid_json", b"NaN"),
        ("invalid_json", b'{"a":Infinity}'),
        ("invalid_json", b"[-Infinity]"),
        ("invalid_json", b"01"),
        ("invalid_json", b"0x10"),
        # not UTF-8
        ("invalid_utf8", b'"\xff"'),
        ("invalid_utf8", b'"\xc0\xaf"'),
        ("invalid_utf8", b'"\xed\xa0\x80"'),  # an encoded surrogate
        ("invalid_utf8", '{"a":1}'.encode("utf-16")),
        # duplicate keys
        ("duplicate_key", b'{"a":1,"a":1}'),
        ("duplicate_key", b'{"a":1,"\\u0061":2}'),
        ("duplicate_key", b'[{"x":{"":1,"":2}}]'),
        # numbers that JavaScript would change
        ("unsafe_number", b"9007199254740993"),
        ("unsafe_number", b"-9007199254740993"),
        ("unsafe_number", b'{"a":[123456789012345678]}'),
        ("unsafe_number", b"9007199254740993.0"),
        ("unsafe_number", b"9007199254740993e0"),
        ("unsafe_number", b"900719925474099.3e1"),
        ("unsafe_number", b"1e400"),
        ("unsafe_number", b"-1e400"),
        ("unsafe_number", b"1e99999999999999999999"),
        ("unsafe_number", b"9" * 5000),  # longer than int() reads
        # lone surrogates
        ("unpaired_surrogate", b'"\\ud83d"'),
        ("unpaired_surrogate", b'"\\uDE00\\uD83D"'),
        ("unpaired_surrogate", b'["\\ude00"]'),
        ("unpaired_surrogate", b'{"\\ud83d":1}'),
        ("unpaired_surrogate", b'{"a":{"b":["x\\udFFFx"]}}'),
        # too deep
        ("too_deep", b"[" * 33 + b"]" * 33),
        ("too_deep", b'{"a":' * 33 + b"1" + b"}" * 33),
        ("too_deep", b'{"a":[' * 20 + b"]}" * 20),
        ("too_deep", b"[" * 100_000),
        ("too_deep", b'{"a":' * 100_000),
        ("too_deep", b"[" * 100_000 + b"]" * 100_000),
    ],
    ids=lambda value: value[:24] if isinstance(value, bytes) else value,
)
def test_lossy_values_are_refused_with_their_reason(code: str, text: bytes) -> None:
    """Each kind of data loss has an error code of its own."""
    assert refusal(text) == code


def test_a_refusal_names_the_position() -> None:
    """The error says where the JSON is broken."""
    with pytest.raises(RefusedJson) as refused:
        parse(b'{\n "a": x}')
    assert refused.value.detail == "The body must be JSON: Expecting value at line 2, column 7."


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (b'{"a":"\xff"}', "The body must be UTF-8, which it is not from byte 7 on."),
        ("{}".encode("utf-16-le") + b"\xff", "The body must be UTF-8, which it is not from byte 5 on."),
        (
            b"\xef\xbb\xbf{}",
            "The body must begin with its JSON, not with a byte order mark (EF BB BF).",
        ),
    ],
    ids=["UTF-8", "UTF-16", "byte order mark"],
)
def test_a_refused_encoding_is_named(text: bytes, detail: str) -> None:
    """Bytes that are not UTF-8 are counted to, and a byte order mark is named."""
    with pytest.raises(RefusedJson) as refused:
        parse(text)
    assert refused.value.detail == detail


def test_the_largest_whole_numbers_that_javascript_keeps_are_taken() -> None:
    """Integers up to 2**53, positive and negative, are accepted."""
    text = "[9007199254740992,-9007199254740992]"
    assert stringify(parse(text.encode())) == text


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_exactly_the_promised_depth_is_taken(opening: str, closing: str) -> None:
    """32 levels of arrays or objects are accepted."""
    text = opening * MAX_DEPTH + "1" + closing * MAX_DEPTH
    assert MAX_DEPTH == 32
    assert stringify(parse(text.encode())) == text


def test_a_refusal_repeats_nothing_of_the_text() -> None:
    """An error repeats nothing of the text, so customer data does not reach the log."""
    for text in (b'{"canary":1,"canary":1}', b'{"a":canary}', b'["canary', b'"\\ud83dcanary"', b"canary\xff"):
        with pytest.raises(RefusedJson) as refused:
            parse(text)
        assert "canary" not in str(refused.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), {1, 2}, b"bytes", object()])
def test_values_outside_json_raise(value: object) -> None:
    """The writer raises on values that JSON cannot represent."""
    with pytest.raises(TypeError):
        stringify([value])
