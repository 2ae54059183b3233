"""Everything that can go wrong, in one tree.

PosthornError
├── SettingsError            the environment is incomplete or contradicts itself
├── Refused                  somebody's input is not taken; says why in words meant for them
│   ├── RefusedJson          not JSON, or JSON that would not survive JavaScript
│   ├── RefusedEventType     no such event type
│   ├── RefusedSchema        not a JSON Schema, or one that is not taken
│   ├── RefusedTarget        a URL or an address that deliveries may not go to
│   └── RejectedMail         a mail that the backend will never take
├── Malformed                a stream record or queue message that will never make sense: parked
├── NameNotResolved          DNS has no usable answer for a receiver's name
└── Unavailable              an AWS service did not do its part: the same work is tried again
    └── ConditionFailed      somebody else was first; never an outage
"""

from collections.abc import Mapping
from typing import Any, Self


class PosthornError(Exception):
    """Whatever Posthorn itself raises."""


class SettingsError(PosthornError):
    """The environment is incomplete or contradicts itself."""


class Refused(PosthornError):
    """Input that is not taken; the text is meant for the one who sent it.

    `code` is stable, for programs. `pointer` is the JSON pointer (RFC 6901) of the culprit.
    """

    def __init__(self, detail: str, *, code: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.pointer = pointer


class RefusedJson(Refused):
    """Not JSON, or JSON that JavaScript would change; `path` leads to the refused value, None if there is none."""

    path: tuple[str | int, ...] | None = None

    def at(self, path: tuple[str | int, ...] | None) -> Self:
        """Add the path, once it is known."""
        self.path = path
        return self


class RefusedEventType(Refused):
    """No such event type."""


class RefusedSchema(Refused):
    """Not a JSON Schema, or one that could cost too much; `path` leads to the culprit within it."""

    def __init__(self, detail: str, path: tuple[str | int, ...]) -> None:
        super().__init__(detail, code="invalid_schema")
        self.path = path


class RefusedTarget(Refused):
    """A URL or an address that deliveries may not go to."""


class RejectedMail(Refused):
    """A mail that the backend will never take, as it is."""


class Malformed(PosthornError):
    """A stream record or queue message that will never make sense, however often it is tried."""


class NameNotResolved(PosthornError):
    """DNS has no usable answer for a receiver's name, or none in time."""


class Unavailable(PosthornError):
    """An AWS service did not do its part.

    `operation` is the API call, `code` the service's own error code. `refused` tells that the service
    answered that it did nothing; without an answer, or with a 5xx, nobody knows.
    """

    def __init__(self, operation: str, code: str, *, refused: bool = False) -> None:
        super().__init__(f"{operation}: {code}")
        self.operation = operation
        self.code = code
        self.refused = refused


class ConditionFailed(Unavailable):
    """A conditional write lost: the row was not in the state it was expected in.

    `found` is the row as it is, in DynamoDB's own form, where the write asked for it.
    """

    def __init__(self, operation: str, code: str, found: Mapping[str, Any] | None = None) -> None:
        super().__init__(operation, code, refused=True)
        self.found = found
