"""What defines an event type: its name, its meaning, an example and a schema, as requests give them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, StringConstraints

from posthorn.api import bodies
from posthorn.api.problems import FieldError, invalid
from posthorn.domain import matching
from posthorn.domain.errors import RefusedEventType, RefusedSchema
from posthorn.domain.limits import MAX_JSON
from posthorn.schemas.schema import compiled

if TYPE_CHECKING:
    from posthorn.api.services import Services

NAME_RULE: Final = (
    f"Its name: 1 to {matching.MAX_TYPE_LENGTH} letters, digits and `_`, `.`, `:`, `/`, `-`, beginning with a letter or"
    " a digit, such as `invoice.paid`, `orders/create` or `repo:push`. `INVOICE_PAID` and `invoice.paid` are two"
    " spellings of one name; any other difference makes another name."
)


class EventTypeDefinition(bodies.Body):
    """What the events of a type mean, and what their data looks like."""

    description: Annotated[str, StringConstraints(min_length=1, max_length=500)] = Field(
        description="What its events mean."
    )
    example: dict[str, Any] = Field(
        default_factory=dict[str, Any], description="Example data, which test events are sent with."
    )
    # pydantic's BaseModel already has an attribute `schema`
    json_schema: dict[str, Any] | None = Field(
        default=None, alias="schema", description="A JSON Schema that data of its events must match."
    )

    def checked(self) -> tuple[dict[str, Any], str | None]:
        """Return the example, and the schema as text, or refuse them."""
        example = bodies.written(self.example, "/example", limit=MAX_JSON)
        if self.json_schema is None:
            return json.loads(example), None
        schema = bodies.written(self.json_schema, "/schema", limit=MAX_JSON)
        _check_example(self.json_schema, self.example, size=len(example))
        return json.loads(example), schema


class NewEventType(EventTypeDefinition):
    """The body of a request that creates an event type."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=matching.MAX_TYPE_LENGTH)] = Field(
        description=NAME_RULE
    )


def creatable(services: Services, name: str) -> str:
    """Return the canonical name of a type that may be created, or refuse the name."""
    try:
        return services.event_types.creatable(name)
    except RefusedEventType as refusal:
        raise invalid([FieldError("/name", refusal.detail)], refusal.code) from refusal


def _check_example(schema: dict[str, Any], example: dict[str, Any], *, size: int) -> None:
    """Refuse an unsupported schema, and an example that does not match it; a missing example is `{}`."""
    try:
        ready = compiled(schema)
    except RefusedSchema as refusal:
        raise invalid(
            [FieldError("/schema" + bodies.pointer(refusal.path), refusal.detail)], refusal.code
        ) from None
    if example and (found := ready.complaints(example, size=size)):
        errors = [FieldError("/example" + bodies.pointer(one.path), one.detail) for one in found]
        raise invalid(errors, "schema_violation")
