"""Where in a JSON text a refused value is. Runs only after a text was refused, so that accepted ones pay nothing.

The text is valid JSON up to that place, since the decoder got there.
"""

import json
import re
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Final

MAX_LENGTH: Final = 1000
"""Characters of all steps together; a longer path is cut and leads to a value around the refused one."""

MAX_TOKENS: Final = 1_000_000
"""How far a text is searched, about a second of CPU time. A body of 5 MB can have more tokens, but real ones do not."""

type Path = tuple[str | int, ...]

_NUMBER: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_WORD: Final = "true|false|null|NaN|-?Infinity"
_TOKEN: Final = re.compile(rf'[ \t\n\r]*([,:]?)[ \t\n\r]*([\[\]{{}}"]|{_NUMBER}|{_WORD})')
_STRINGS: Final = json.JSONDecoder()


class _Kind(Enum):
    OPEN_OBJECT = auto()
    OPEN_ARRAY = auto()
    CLOSE = auto()
    KEY = auto()
    STRING = auto()
    SCALAR = auto()  # a number or a word


class _Walk:
    """A walk through a JSON text; `path` leads to the value that was reached."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.path: list[str | int] = []  # for an open array its index, for an open object its key

    def tokens(self) -> Iterator[tuple[_Kind, str]]:
        """Yield the tokens in order, each with its text; strings and keys without their escapes."""
        text, path, at, before_key = self._text, self.path, 0, False
        for _ in range(MAX_TOKENS):
            if (match := _TOKEN.match(text, at)) is None:
                return
            separator, symbol = match.groups()
            at = match.end()
            if separator == "," and isinstance(last := path[-1], int):
                path[-1] = last + 1
            elif separator == ",":
                before_key = True
            if symbol == '"':
                string, at = _STRINGS.raw_decode(text, at - 1)
                if before_key:
                    path[-1], before_key = string, False
                    yield _Kind.KEY, string
                else:
                    yield _Kind.STRING, string
            elif symbol == "{":
                yield _Kind.OPEN_OBJECT, symbol
                path.append("")
                before_key = True
            elif symbol == "[":
                yield _Kind.OPEN_ARRAY, symbol
                path.append(0)
            elif symbol in "]}":
                path.pop()
                before_key = False
                yield _Kind.CLOSE, symbol
            else:
                yield _Kind.SCALAR, symbol


def of_scalar(text: str, is_refused: Callable[[str], bool]) -> Path | None:
    """Return the path of the first number or word that is refused."""
    walk = _Walk(text)
    for kind, symbol in walk.tokens():
        if kind is _Kind.SCALAR and is_refused(symbol):
            return _nameable(walk.path)
    return None


def of_duplicate_key(text: str) -> Path | None:
    """Return the path of a key that occurs twice, in the first object to end that has one."""
    walk = _Walk(text)
    open_keys: list[set[str] | None] = []  # None: an array
    duplicates: dict[int, str] = {}  # depth -> key
    for kind, symbol in walk.tokens():
        if kind is _Kind.OPEN_OBJECT:
            open_keys.append(set())
        elif kind is _Kind.OPEN_ARRAY:
            open_keys.append(None)
        elif kind is _Kind.KEY and (known := open_keys[-1]) is not None:
            if symbol in known:
                duplicates.setdefault(len(open_keys), symbol)
            known.add(symbol)
        elif kind is _Kind.CLOSE:
            if len(open_keys) in duplicates:
                return _nameable([*walk.path, duplicates[len(open_keys)]])
            open_keys.pop()
    return None


def of_surrogate(text: str) -> Path | None:
    """Return the path of the first string with half of a surrogate pair; for a key, that of its object."""
    walk = _Walk(text)
    for kind, symbol in walk.tokens():
        if kind in {_Kind.KEY, _Kind.STRING} and not _is_unicode(symbol):
            return _nameable(walk.path)
    return None


def of_depth(text: str, levels: int) -> Path | None:
    """Return the path of a value in a text that is far too deep; it lies `levels` deep and holds as many more."""
    walk = _Walk(text)
    for _ in walk.tokens():
        if len(walk.path) > 2 * levels:
            return _nameable(walk.path[:levels])
    return None


def _nameable(path: list[str | int]) -> Path:
    """Return a path without the steps that an answer cannot carry: half characters, and very long ones."""
    length = 0
    for at, step in enumerate(path):
        length += len(str(step)) + 1
        if length > MAX_LENGTH or not _is_unicode(str(step)):
            return tuple(path[:at])
    return tuple(path)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
