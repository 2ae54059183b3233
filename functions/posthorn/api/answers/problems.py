"""What every error looks like."""

from typing import NotRequired, TypedDict


class InvalidField(TypedDict):
    """One part of the request that is not valid."""

    pointer: str
    """A JSON Pointer (RFC 6901) to the value in the request body, or `/` and the name of a query parameter."""
    detail: str
    """What must be true of the value."""


class Problem(TypedDict):
    """An error as problem details (RFC 9457). Programs decide by `code`, which is stable; `detail` is for people."""

    type: str
    """Always `about:blank`: the title is that of the status."""
    title: str
    """A short name of the status."""
    status: int
    """The HTTP status."""
    detail: str
    """What went wrong, in a sentence."""
    code: str
    """A stable name for this kind of error, such as `invalid_input`."""
    errors: NotRequired[list[InvalidField]]
    """Each part of the request that is not valid."""


class Throttled(TypedDict):
    """The answer of API Gateway to a request above the limits. It is no problem document."""

    message: str
    """A sentence for people."""
