"""The tree of all errors that Posthorn raises.

PosthornError
├── SettingsError            the environment is incomplete or inconsistent
├── Refused                  invalid input, with a reason for the caller
│   ├── RefusedJson          not JSON, or JSON that JavaScript would change
│   │   └── TooLargeJson     more JSON than its place may hold
│   ├── RefusedEventType     an unknown or invalid event type
│   ├── RefusedSchema        not a JSON Schema, or an unsupported one
│   ├── RefusedSender        a sender identity that the email backend does not know
│   ├── RefusedTarget        a URL or an address that deliveries must not go to
│   └── RejectedMail         an email that the backend will never accept
├── LimitReached             a workspace has as many of something as its limit allows
├── Malformed                a stream record or queue message that can never be processed: a dead letter
├── NameNotResolved          DNS has no usable answer for a receiver's name
└── Unavailable              an AWS call failed: the work is retried
    ├── ConditionFailed      a conditional write lost; never an outage
    └── OperatorError        AWS refuses until an operator acts; the work is retried all the same
"""

from collections.abc import Mapping
from typing import Any, Self


class PosthornError(Exception):
    """The base class of all errors that Posthorn raises."""


class SettingsError(PosthornError):
    """The environment is incomplete or inconsistent."""


class Refused(PosthornError):
    """Invalid input; `detail` is written for the caller.

    `code` is stable, for programs. `pointer` is the JSON pointer (RFC 6901) of the refused value.
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


class TooLargeJson(RefusedJson):
    """More JSON than its place may hold; `limit` is in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"Must be at most {limit // 1024} KB.", code="too_large")


class RefusedEventType(Refused):
    """An unknown or invalid event type."""


class RefusedSchema(Refused):
    """Not a JSON Schema, or one that is unsupported or too expensive; `path` leads to the place within it."""

    def __init__(self, detail: str, path: tuple[str | int, ...]) -> None:
        super().__init__(detail, code="invalid_schema")
        self.path = path


class RefusedSender(Refused):
    """A sender identity that the email backend does not know."""


class RefusedTarget(Refused):
    """A URL or an address that deliveries must not go to."""


class RejectedMail(Refused):
    """An email that the backend will never accept in this form."""


class LimitReached(PosthornError):
    """A workspace has as many of something as its limit allows; `name` is the limit's, as the API spells it."""

    def __init__(self, name: str, limit: int) -> None:
        super().__init__(f"{name}: {limit}")
        self.name = name
        self.limit = limit


class Malformed(PosthornError):
    """A stream record or queue message that can never be processed, however often it is retried."""


class NameNotResolved(PosthornError):
    """DNS has no usable answer for a receiver's name, or did not answer in time."""


class Unavailable(PosthornError):
    """An AWS call failed.

    `operation` is the API call, `code` the service's error code. `refused` is true if the service answered that it
    did nothing; after a 5xx or a lost response, the call may have taken effect.
    """

    def __init__(self, operation: str, code: str, *, refused: bool = False) -> None:
        super().__init__(f"{operation}: {code}")
        self.operation = operation
        self.code = code
        self.refused = refused


class ConditionFailed(Unavailable):
    """A conditional write lost: the row was not in the expected state.

    `found` is the current row in DynamoDB's format, if the write asked for it.
    """

    def __init__(self, operation: str, code: str, found: Mapping[str, Any] | None = None) -> None:
        super().__init__(operation, code, refused=True)
        self.found = found


class OperatorError(Unavailable):
    """AWS refuses a call until an operator acts: a permission, a resource or a quota is missing.

    The work is retried like after every failed call, so it goes on once the cause is fixed. `permission` and
    `resource` are None unless they are known.
    """

    def __init__(
        self, operation: str, code: str, *, permission: str | None = None, resource: str | None = None
    ) -> None:
        super().__init__(operation, code, refused=True)
        self.permission = permission
        self.resource = resource
