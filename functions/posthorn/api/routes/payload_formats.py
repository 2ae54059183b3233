"""The field `format` of both kinds of endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.wire.formats import formats_of

if TYPE_CHECKING:
    from collections.abc import Callable


def _reader(kind: EndpointKind) -> Callable[[Any], PayloadFormat]:
    """Return the validator of one kind, which accepts only the formats that the kind can have."""
    known = {str(one): one for one in formats_of(kind)}

    def read(value: Any) -> PayloadFormat:
        if isinstance(value, str) and value in known:
            return known[value]
        raise PydanticCustomError("enum", "unknown format", {"expected": ", ".join(known)})

    return read


def _schema(kind: EndpointKind) -> WithJsonSchema:
    described = "The format of the body. It also decides `Content-Type`, and no other header."
    return WithJsonSchema({"type": "string", "enum": list(formats_of(kind)), "description": described})


_WEBHOOK: Final = EndpointKind.WEBHOOK
_EVENT_DESTINATION: Final = EndpointKind.EVENT_DESTINATION

type WebhookFormat = Annotated[PayloadFormat, PlainValidator(_reader(_WEBHOOK)), _schema(_WEBHOOK)]
type EventDestinationFormat = Annotated[
    PayloadFormat, PlainValidator(_reader(_EVENT_DESTINATION)), _schema(_EVENT_DESTINATION)
]
