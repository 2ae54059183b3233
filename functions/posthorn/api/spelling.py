"""How the keys of answers are spelled: ours are snake_case, and those about webhooks are camelCase."""

import re
from typing import Final

_LATER_WORD: Final = re.compile(r"_([a-z])")


def camel_case(key: str) -> str:
    """Return a snake_case key in camelCase."""
    return _LATER_WORD.sub(lambda word: word[1].upper(), key)
