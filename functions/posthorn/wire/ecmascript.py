"""JSON as JavaScript writes it, so that a receiver can re-stringify a body and still verify its signature.

The output equals `JSON.stringify(JSON.parse(text))` (ECMA-262, 25.5); input for which that is impossible is refused.
"""

import json
import re
import sys
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, Final

from posthorn.domain.errors import RefusedJson, TooLargeJson
from posthorn.wire import json_places

MAX_DEPTH: Final = 32
"""Levels of nesting that are accepted; deeper data is a mistake or an attack."""

_LARGEST_SAFE: Final = 2**53
_MOST_BYTES: Final = 4  # that UTF-8 needs for one character
_KEPT_DIGITS: Final = sys.float_info.dig
# JavaScript treats these keys as array indexes and puts them first: 0 to 2**32 - 2.
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_LARGEST_INDEX: Final = 2**32 - 2
_BYTE_ORDER_MARK: Final = "\ufeff"
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def parse(text: bytes) -> Any:
    """Parse JSON strictly: UTF-8, no duplicate keys, no number or string that JavaScript would change.

    `RefusedJson` carries the path of the refused value, if there is one.
    """
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        detail = f"The body must be UTF-8, which it is not from byte {error.start + 1} on."
        raise RefusedJson(detail, code="invalid_utf8") from error
    if decoded.startswith(_BYTE_ORDER_MARK):
        detail = "The body must begin with its JSON, not with a byte order mark (EF BB BF)."
        raise RefusedJson(detail, code="invalid_json")
    try:
        value = _DECODER.decode(decoded)
        if _SURROGATE_ESCAPE.search(decoded):
            json.dumps(value, ensure_ascii=False).encode()
    except RefusedJson as refusal:
        raise refusal.at(_place_of(refusal, decoded)) from None
    except UnicodeEncodeError as error:
        raise _unpaired_surrogate().at(json_places.of_surrogate(decoded)) from error
    except json.JSONDecodeError as error:
        detail = f"The body must be JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise RefusedJson(detail, code="invalid_json") from error
    except RecursionError as error:
        raise _too_deep().at(json_places.of_depth(decoded, MAX_DEPTH)) from error
    return value


def stringify(value: Any, *, limit: int = sys.maxsize) -> str:
    """Write a parsed value the way `JSON.stringify` does, without whitespace.

    `TooLargeJson` is raised if the text has more than `limit` bytes in UTF-8. Most such values are refused long before
    they are written: the elements of an array or an object are counted first.
    """
    parts: list[str] = []
    _write(value, parts, 1, limit)
    text = "".join(parts)
    if len(text) * _MOST_BYTES > limit and len(text.encode()) > limit:
        raise TooLargeJson(limit)
    return text


def _write(value: Any, parts: list[str], depth: int, limit: int) -> None:
    if isinstance(value, str):
        parts.append(encode_basestring(value))
    elif value is True:  # before int: True is an int
        parts.append("true")
    elif value is False:
        parts.append("false")
    elif value is None:
        parts.append("null")
    elif isinstance(value, int):
        parts.append(str(value))
    elif isinstance(value, float):
        parts.append(number(value))
    elif depth > MAX_DEPTH:
        raise _too_deep()
    elif isinstance(value, dict):
        _write_object(value, parts, depth, limit)
    elif isinstance(value, list):
        _write_array(value, parts, depth, limit)
    else:
        raise TypeError(f"{type(value).__name__} is not a JSON value")


def _write_object(value: dict[str, Any], parts: list[str], depth: int, limit: int) -> None:
    _check_length(value, parts, limit)
    before = "{"
    for key in _in_javascript_order(value):
        parts.append(f"{before}{encode_basestring(key)}:")
        _write(value[key], parts, depth + 1, limit)
        before = ","
    parts.append("}" if value else "{}")


def _write_array(value: list[Any], parts: list[str], depth: int, limit: int) -> None:
    _check_length(value, parts, limit)
    before = "["
    for element in value:
        parts.append(before)
        _write(element, parts, depth + 1, limit)
        before = ","
    parts.append("]" if value else "[]")


def _check_length(value: dict[str, Any] | list[Any], parts: list[str], limit: int) -> None:
    """Refuse an array or object that must exceed the limit: each part has a character, each element adds two."""
    if len(parts) + 2 * len(value) > limit:
        raise TooLargeJson(limit)


def number(value: float) -> str:
    """Write a finite float as `Number.prototype.toString` does (ECMA-262, 6.1.6.1.20)."""
    text = repr(value)
    if "e" not in text and "n" not in text:  # without an exponent, Python and JavaScript agree
        return text.removesuffix(".0") if value else "0"
    if "n" in text:
        raise TypeError("NaN and Infinity are not JSON")
    mantissa, _, exponent = text.partition("e")  # one digit before the point, and no zeros at the end
    sign = "-" if value < 0 else ""
    text = mantissa.removeprefix("-").replace(".", "")
    point = int(exponent) + 1  # position of the decimal point, from the first digit
    if len(text) <= point <= 21:
        plain = text + "0" * (point - len(text))
    elif 0 < point <= 21:
        plain = f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        plain = f"0.{'0' * -point}{text}"
    else:
        mantissa = text if len(text) == 1 else f"{text[0]}.{text[1:]}"
        plain = f"{mantissa}e{point - 1:+d}"
    return sign + plain


def _in_javascript_order(value: dict[str, Any]) -> list[str]:
    # isdecimal() is a quick look: it is true of more keys than the pattern, and false of nearly all that occur
    indexes = [
        key for key in value if key.isdecimal() and _INDEX.fullmatch(key) and int(key) <= _LARGEST_INDEX
    ]
    if not indexes:
        return list(value)
    first = set(indexes)
    return sorted(indexes, key=int) + [key for key in value if key not in first]


def _integer(text: str) -> int:
    # more than 17 characters are out of range, and int() of a very long text is slow
    value = int(text) if len(text) <= 17 else _LARGEST_SAFE + 1
    if abs(value) > _LARGEST_SAFE:
        raise _unsafe_number()
    return value


def _float(text: str) -> float:
    value = float(text)
    if -_LARGEST_SAFE < value < _LARGEST_SAFE:
        return value
    if value in _INFINITIES:
        raise _unsafe_number()
    # Every float keeps 15 digits, so short texts need no Decimal: a body can have a million of them.
    if len(text) > _KEPT_DIGITS and Decimal(text) != Decimal(repr(value)):
        raise _unsafe_number()
    return value


def _constant(name: str) -> float:
    raise RefusedJson(f"Must be a JSON value, which {name} is not.", code="invalid_json")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RefusedJson("Each key of an object must be unique.", code="duplicate_key")
    return found


def _place_of(refusal: RefusedJson, text: str) -> json_places.Path | None:
    """Return where the first value is that the decoder's hooks refuse."""
    if refusal.code == "duplicate_key":
        return json_places.of_duplicate_key(text)
    return json_places.of_scalar(text, _is_refused)


def _is_refused(scalar: str) -> bool:
    if scalar in _WORDS:
        return False
    try:
        if scalar in _CONSTANTS:
            _constant(scalar)
        elif _FRACTION_OR_EXPONENT.search(scalar):
            _float(scalar)
        else:
            _integer(scalar)
    except RefusedJson:
        return True
    return False


def _unsafe_number() -> RefusedJson:
    return RefusedJson(
        "Must be a number that JavaScript keeps exactly. Send a larger one as a string.", code="unsafe_number"
    )


def _unpaired_surrogate() -> RefusedJson:
    return RefusedJson("Must not contain half of a surrogate pair.", code="unpaired_surrogate")


def _too_deep() -> RefusedJson:
    return RefusedJson(f"Must be nested at most {MAX_DEPTH} levels deep.", code="too_deep")


_WORDS: Final = frozenset({"true", "false", "null"})
_CONSTANTS: Final = frozenset({"NaN", "Infinity", "-Infinity"})
_FRACTION_OR_EXPONENT: Final = re.compile("[.eE]")
_INFINITIES: Final = (float("inf"), float("-inf"))
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
