"""Types of single fields, and how a shape that two kinds of endpoint share is spelled.

The modules of this package hold the shape of every answer: mypy checks the routes against them, and `make openapi`
turns them into the schemas of the API's description. A docstring below a field is its description. No function
loads them, so they may import pydantic.
"""

from typing import Annotated, NotRequired, TypedDict

from pydantic import ConfigDict, Field, with_config

from posthorn.api.spelling import camel_case

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""RFC 3339 in UTC."""

Count = Annotated[int, Field(ge=0)]
Ordinal = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]


def spelled_by_kind[T: type[object]](shape: T) -> T:
    """Mark a shape as written by `EndpointResource.write`: in camelCase for webhooks, as it stands for the others."""
    return with_config(ConfigDict(alias_generator=camel_case))(shape)


class Deleted(TypedDict):
    """The resource is gone."""

    deleted: bool
    """Always true."""


class FieldWarning(TypedDict):
    """One part of the request that was accepted, but should be changed."""

    pointer: str
    """A JSON Pointer (RFC 6901) to the value in the request body."""
    detail: str
    """What should be true of the value."""


class Warned(TypedDict):
    """What a response may have beside its result."""

    warnings: NotRequired[list[FieldWarning]]
    """Each part of the request that was accepted, but should be changed; absent if there is none."""
