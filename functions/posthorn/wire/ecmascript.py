"""JSON as JavaScript writes it, so that a receiver may re-stringify a body and still find its signature.

What comes out equals `JSON.stringify(JSON.parse(text))` (ECMA-262, 25.5); what could not is refused.
"""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, Final

from posthorn.domain.errors import RefusedJson

MAX_DEPTH: Final = 32
"""Levels of nesting that are taken; deeper data is a mistake or an attack."""

_LARGEST_SAFE: Final = 2**53
# A key that JavaScript takes for an array index, and therefore puts first: 0 to 2**32 - 2.
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_LARGEST_INDEX: Final = 2**32 - 2
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def parse(text: bytes) -> Any:
    """Read JSON strictly: UTF-8, no duplicate keys, no number or string that JavaScript would change."""
    try:
        decoded = text.decode()
        value = _DECODER.decode(decoded)
        if _SURROGATE_ESCAPE.search(decoded):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise RefusedJson("Half of a surrogate pair is not text.", code="unpaired_surrogate") from error
    except UnicodeDecodeError as error:
        raise RefusedJson("The body is not UTF-8.", code="invalid_json") from error
    except json.JSONDecodeError as error:
        detail = f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise RefusedJson(detail, code="invalid_json") from error
    except RecursionError as error:
        raise _too_deep() from error
    return value


def stringify(value: Any) -> str:
    """Write a parsed value the way `JSON.stringify` does, without white space."""
    parts: list[str] = []
    _write(value, parts.append, 1)
    return "".join(parts)


def _write(value: Any, out: Callable[[str], None], depth: int) -> None:
    if isinstance(value, str):
        out(encode_basestring(value))
    elif value is True:  # before int, which True is one of
        out("true")
    elif value is False:
        out("false")
    elif value is None:
        out("null")
    elif isinstance(value, int):
        out(str(value))
    elif isinstance(value, float):
        out(number(value))
    elif depth > MAX_DEPTH:
        raise _too_deep()
    elif isinstance(value, dict):
        _write_object(value, out, depth)
    elif isinstance(value, list):
        _write_array(value, out, depth)
    else:
        raise TypeError(f"{type(value).__name__} is not a JSON value")


def _write_object(value: dict[str, Any], out: Callable[[str], None], depth: int) -> None:
    before = "{"
    for key in _in_javascript_order(value):
        out(f"{before}{encode_basestring(key)}:")
        _write(value[key], out, depth + 1)
        before = ","
    out("}" if value else "{}")


def _write_array(value: list[Any], out: Callable[[str], None], depth: int) -> None:
    before = "["
    for element in value:
        out(before)
        _write(element, out, depth + 1)
        before = ","
    out("]" if value else "[]")


def number(value: float) -> str:
    """Write a finite float as `Number.prototype.toString` does (ECMA-262, 6.1.6.1.20)."""
    text = repr(value)
    if "e" not in text and "n" not in text:  # where Python writes no exponent, it writes what JavaScript does
        return text.removesuffix(".0") if value else "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    if not isinstance(exponent, int):
        raise TypeError("NaN and Infinity are not JSON")
    text = "".join(map(str, digits))
    if text == "0":
        return "0"  # JavaScript writes -0 so, too
    point = len(text) + exponent  # where the decimal point stands, counted from the first digit
    if len(text) <= point <= 21:
        plain = text + "0" * (point - len(text))
    elif 0 < point <= 21:
        plain = f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        plain = f"0.{'0' * -point}{text}"
    else:
        mantissa = text if len(text) == 1 else f"{text[0]}.{text[1:]}"
        plain = f"{mantissa}e{point - 1:+d}"
    return f"-{plain}" if sign else plain


def _in_javascript_order(value: dict[str, Any]) -> list[str]:
    indexes = [key for key in value if _INDEX.fullmatch(key) and int(key) <= _LARGEST_INDEX]
    if not indexes:
        return list(value)
    first = set(indexes)
    return sorted(indexes, key=int) + [key for key in value if key not in first]


def _integer(text: str) -> int:
    # longer than 17 characters is out of range; int() of a very long one would take its time
    value = int(text) if len(text) <= 17 else _LARGEST_SAFE + 1
    if abs(value) > _LARGEST_SAFE:
        raise _unsafe_number()
    return value


def _float(text: str) -> float:
    value = float(text)
    if abs(value) >= _LARGEST_SAFE and (value in _INFINITIES or Decimal(text) != Decimal(repr(value))):
        raise _unsafe_number()
    return value


def _constant(name: str) -> float:
    raise RefusedJson(f"{name} is not JSON.", code="invalid_json")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RefusedJson("An object names the same key twice.", code="duplicate_key")
    return found


def _unsafe_number() -> RefusedJson:
    return RefusedJson(
        "A number is too large for JavaScript to keep exactly; send it as a string.", code="unsafe_number"
    )


def _too_deep() -> RefusedJson:
    return RefusedJson(f"The data is nested more than {MAX_DEPTH} levels deep.", code="too_deep")


_INFINITIES: Final = (float("inf"), float("-inf"))
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
