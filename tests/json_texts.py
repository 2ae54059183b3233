"""JSON as people and programs write it: texts whose meaning JavaScript keeps.

Hypothesis draws a value and a number; the number decides the white space and the spelling of each character.
"""

from __future__ import annotations

import random
from typing import Any, Final

from hypothesis import strategies as st

_SAFE: Final = 2**53
_SHORT: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "/": "\\/",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}
_NUMBERS: Final = (
    *("0", "-0", "-0.0", "0.0", "1.0", "100.0", "4.35", "0.1", "0.30000000000000004"),
    *(
        "1e21",
        "1e+21",
        "1E5",
        "1e16",
        "1e22",
        "1.5e300",
        "999999999999999900000.0",
        "123456789012345680000.0",
    ),
    *("1e-6", "1e-7", "0.000001", "0.0000001", "1e-400"),
    *("5e-324", "2.2250738585072014e-308", "1.7976931348623157e308"),
    *("9007199254740992", "-9007199254740992", "9007199254740992.0"),
)
_KEYS: Final = (
    *("0", "1", "2", "10", "01", "-1", "1.5", "\u0663"),
    *("4294967294", "4294967295", "4294967296", "12345678901"),
    *("__proto__", "constructor", "toJSON"),
)


class Number(str):
    """A number with its own spelling."""

    __slots__ = ()


_texts: Final = st.text(max_size=8) | st.text('\x00\x1f\x7f\n"\\/\u2028\u2029\ufeff\U0001f600é', max_size=6)
_keys: Final = _texts | st.sampled_from(_KEYS) | st.integers(0, 2**33).map(str)
_floats: Final = st.floats(allow_nan=False, allow_infinity=False)
_numbers: Final = st.sampled_from(_NUMBERS).map(Number) | st.integers(-_SAFE, _SAFE) | _floats
_leaves: Final = st.none() | st.booleans() | _numbers | _texts


def _objects(children: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(_keys, children, max_size=5)


plain_values: Final = st.recursive(
    _leaves, lambda children: st.lists(children, max_size=5) | _objects(children), max_leaves=12
)
"""Values that survive JavaScript, before they are written."""


def text_of(value: Any, seed: int) -> str:
    """Write a value; a string may hold half of a surrogate pair, which is then written with its escape."""
    random_bytes = random.Random(seed)  # noqa: S311 - Hypothesis replays it
    return f"{_space(random_bytes)}{_spelled(value, random_bytes)}{_space(random_bytes)}"


def _spelled(value: Any, random_bytes: random.Random) -> str:
    match value:
        case Number():
            return str(value)
        case str():
            return _quoted(value, random_bytes)
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)  # exact for any float, even beyond 2**53
        case list():
            return f"[{','.join(_spaced(_spelled(one, random_bytes), random_bytes) for one in value) or _space(random_bytes)}]"
        case dict():
            members = (
                f"{_spaced(_quoted(key, random_bytes), random_bytes)}:{_spaced(_spelled(one, random_bytes), random_bytes)}"
                for key, one in value.items()
            )
            return f"{{{','.join(members) or _space(random_bytes)}}}"
        case _:
            raise AssertionError(value)


def _quoted(text: str, random_bytes: random.Random) -> str:
    return f'"{"".join(_character(one, random_bytes) for one in text)}"'


def _character(character: str, random_bytes: random.Random) -> str:
    utf16 = character.encode("utf-16-be", errors="surrogatepass")
    ways = ["".join(f"\\u{utf16[at : at + 2].hex()}" for at in range(0, len(utf16), 2))]
    if character in _SHORT:
        ways.append(_SHORT[character])
    if character >= " " and character not in '"\\' and not "\ud800" <= character <= "\udfff":
        ways.append(character)
    return random_bytes.choice(ways)


def _spaced(text: str, random_bytes: random.Random) -> str:
    return f"{_space(random_bytes)}{text}{_space(random_bytes)}"


def _space(random_bytes: random.Random) -> str:
    return random_bytes.choice(("", "", "", " ", "\n", "\t", "\r\n"))


seeds: Final = st.integers(0, 2**32 - 1)

values: Final = st.builds(text_of, plain_values, seeds)
"""Texts of any JSON value that JavaScript keeps unchanged, fewer than 32 levels deep."""

objects: Final = st.builds(text_of, _objects(plain_values), seeds)
"""The same of JSON objects only."""
