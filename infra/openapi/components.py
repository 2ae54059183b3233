"""The schemas of requests and answers, made from the types that the routes check them with.

A shape that both kinds of endpoint share is written in snake_case and marked with an alias generator. Its schema is
made twice: by alias for webhooks, and by name for event destinations, where it gets a name of its own.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, override

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import TypedDictSchema

from infra.openapi.answers import answer_of
from infra.openapi.descriptions import fields_of
from infra.openapi.examples import EXAMPLES
from infra.openapi.schema import ref
from posthorn.api.answers.problems import Problem, Throttled
from posthorn.api.route import Route
from posthorn.api.routes.endpoint_kinds import ENDPOINT_RESOURCES
from posthorn.api.routes.events import NewEvents
from posthorn.api.routes.workspace_limits import LimitChange
from posthorn.api.spelling import camel_case

type Schema = dict[str, Any]

PREFIX: Final = "#/components/schemas/"

# In a client, these need names that say what they belong to.
_RENAMED: Final = {
    "Failure": "AttemptFailure",
    "Health": "EndpointHealth",
    "JobState": "ReplayState",
    "KeyState": "ApiKeyState",
    "Reason": "DeliveryFailureReason",
    "Status": "DeliveryStatus",
    "Suppression": "SuppressionOption",
    "SuppressionOptions": "SuppressionChoice",
    "WantedStatus": "ReplaySelectionChoice",
}


class _Generator(GenerateJsonSchema):
    """Describes fields by the docstrings below them."""

    @override
    def typed_dict_schema(self, schema: TypedDictSchema) -> JsonSchemaValue:
        found = super().typed_dict_schema(schema)
        if (shape := schema.get("cls")) is not None:
            properties = found["properties"]
            for name, text in fields_of(shape).items():
                properties[name if name in properties else camel_case(name)]["description"] = text
        return found


def schemas(routes: Iterable[Route]) -> tuple[dict[str, Schema], dict[str, Schema]]:
    """Return the schema of each operation's answer, and the components that all of them refer to."""
    routes = list(routes)
    bodies = (route.body for route in routes if route.body is not None)
    models: list[type[BaseModel]] = [*dict.fromkeys(bodies), NewEvents, LimitChange]
    camel: list[tuple[str, Any]] = [(model.__name__, model) for model in models]
    camel += [("Problem", Problem), ("Throttled", Throttled)]
    snake: list[tuple[str, Any]] = []
    for route in routes:
        (camel if _is_camel(route) else snake).append((route.operation, answer_of(route)))
    answers, components = _written(camel, by_alias=True)
    others, their_components = _renamed(*_written(snake, by_alias=False), taken=components)
    components |= their_components
    _finish_requests(components, [model.__name__ for model in models])
    return answers | others, components


def _is_camel(route: Route) -> bool:
    return not any(
        route.path.startswith(resource.path) for resource in ENDPOINT_RESOURCES if not resource.camel
    )


def _written(shapes: list[tuple[str, Any]], *, by_alias: bool) -> tuple[dict[str, Schema], dict[str, Schema]]:
    """Return the schemas of shapes, and the components below them."""
    found, shared = TypeAdapter.json_schemas(
        [(name, "validation", TypeAdapter(shape)) for name, shape in dict(shapes).items()],
        by_alias=by_alias,
        ref_template=f"{PREFIX}{{model}}",
        schema_generator=_Generator,
    )
    answers = {name: _untitled(schema) for (name, _), schema in found.items()}
    components = {name: _untitled(schema) for name, schema in shared.get("$defs", {}).items()}
    return _with_names(answers, _RENAMED), _with_names(components, _RENAMED)


def _renamed(
    answers: dict[str, Schema], components: dict[str, Schema], *, taken: Mapping[str, Schema]
) -> tuple[dict[str, Schema], dict[str, Schema]]:
    """Give each component another name if its own is taken by one that differs, or that refers to one that does."""
    different = {name for name, schema in components.items() if taken.get(name, schema) != schema}
    while more := {
        name
        for name, schema in components.items()
        if name in taken and name not in different and different & set(_references(schema))
    }:
        different |= more
    names = {name: f"EventDestination{name}" for name in different}
    return _with_names(answers, names), _with_names(components, names)


def _with_names(schemas: Mapping[str, Schema], names: Mapping[str, str]) -> dict[str, Schema]:
    return {names.get(name, name): _referring(schema, names) for name, schema in schemas.items()}


def _referring(value: Any, names: Mapping[str, str]) -> Any:
    match value:
        case dict():
            return {key: _referring(one, names) for key, one in value.items()}
        case list():
            return [_referring(one, names) for one in value]
        case str() if value.startswith(PREFIX):
            name = value.removeprefix(PREFIX)
            return PREFIX + names.get(name, name)
        case _:
            return value


def _references(value: Any) -> Iterator[str]:
    yield from re.findall(rf"'{PREFIX}(\w+)'", repr(value))


def _untitled(value: Any) -> Any:
    """Leave out pydantic's titles, which repeat the names."""
    match value:
        case dict():
            return {
                key: _untitled(one)
                for key, one in value.items()
                if not (key == "title" and isinstance(one, str))
            }
        case list():
            return [_untitled(one) for one in value]
        case _:
            return value


def _finish_requests(components: dict[str, Schema], models: Iterable[str]) -> None:
    # inside a batch, each entry is a NewEvent; the model checks them one by one to point at the culprit
    components["NewEvents"]["properties"]["events"]["items"] = ref("NewEvent")
    for model in models:
        schema = components[model]
        if model in EXAMPLES:
            schema["examples"] = [EXAMPLES[model]]
        if model.endswith("Change"):
            for name, field in schema.get("properties", {}).items():
                if name not in schema.get("required", []):
                    field.pop("default", None)  # what is absent from a change stays as it is
