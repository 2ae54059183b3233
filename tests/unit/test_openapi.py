"""The API's description: what is committed is what the code says, it is valid, and it leaves nothing out."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]

from infra import openapi
from posthorn.api_keys import Scope
from posthorn.catalogue import built_in
from posthorn.email_types import EMAIL_TYPES
from posthorn.ids import EVENT, lower_bound
from posthorn.models import (
    Attempt,
    Delivery,
    DeliveryKey,
    DisabledReason,
    Endpoint,
    Failure,
    Outcome,
    Reason,
    SealedSecret,
    Status,
    Timings,
    Wire,
)
from posthorn.replay_jobs import JobState, ReplayJob, Wanted
from posthorn.routes import entries, events, replays, requests, webhooks
from posthorn.routes.faces import DESTINATIONS, WEBHOOKS, Face
from posthorn.routes.problems import FieldError, Problem
from posthorn.routes.table import ROUTES
from posthorn.stores.delivery_log import Entry
from posthorn.wire.signing import MAX_SECRET_LENGTH, MIN_SECRET_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from posthorn.routes.route import Route

MODELS: Final[list[type[BaseModel]]] = [
    *(route.body for route in ROUTES if route.body is not None),
    events.NewEvents,
]
EACH_ROUTE: Final = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
REQUEST_MODELS: Final = {model.__name__: model for model in MODELS}

# OpenAPI 3.1.1, section 4.8, as far as this description uses it; nothing else may appear in it.
_TEXT: Final = {"type": "string", "minLength": 1}
_NAME: Final = r"^[A-Za-z0-9._-]+$"


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _map(values: dict[str, Any], *, keys: str = "") -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values, "propertyNames": {"pattern": keys}}


_MEDIA: Final = _map(
    _object({"schema": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}, {"example": True}),
    keys=r"^[a-z]+/[a-z+]+$",
)
_SECURITY: Final = {"type": "array", "items": _map({"type": "array", "items": _TEXT})}
_PARAMETER: Final = {
    **_object(
        {
            "name": _TEXT,
            "in": {"enum": ["query", "header", "path", "cookie"]},
            "schema": {"$ref": "https://json-schema.org/draft/2020-12/schema"},
        },
        {"required": {"type": "boolean"}, "description": _TEXT},
    ),
    "if": {"properties": {"in": {"const": "path"}}},
    "then": {"required": ["required"], "properties": {"required": {"const": True}}},
}
_OPERATION: Final = _object(
    {
        "operationId": {"type": "string", "pattern": r"^[A-Za-z_]\w*$"},
        "summary": _TEXT,
        "parameters": {"type": "array", "items": _PARAMETER},
        "responses": {
            **_map(_object({"description": _TEXT}, {"content": _MEDIA}), keys=r"^([1-5][0-9X]{2}|default)$"),
            "minProperties": 1,
        },
    },
    {
        "description": _TEXT,
        "requestBody": _object({"content": _MEDIA}, {"required": {"type": "boolean"}}),
        "security": _SECURITY,
    },
)
_PATH_ITEM: Final = _object({}, dict.fromkeys(("get", "put", "post", "delete", "patch"), _OPERATION))
OPENAPI: Final = _object(
    {
        "openapi": {"type": "string", "pattern": r"^3\.1\.\d+$"},
        "info": _object({"title": _TEXT, "version": _TEXT}, {"description": _TEXT}),
        "paths": _map(_PATH_ITEM, keys="^/"),
        "components": _object(
            {},
            {
                "schemas": _map({"$ref": "https://json-schema.org/draft/2020-12/schema"}, keys=_NAME),
                "securitySchemes": _map(
                    _object({"type": {"const": "http"}, "scheme": _TEXT}, {"description": _TEXT}), keys=_NAME
                ),
            },
        ),
    },
    {"webhooks": _map(_PATH_ITEM), "security": _SECURITY},
)


@cache
def document() -> dict[str, Any]:
    """Return the committed description; nobody changes what is inside."""
    found: dict[str, Any] = json.loads(openapi.TARGET.read_text("utf-8"))
    return found


def operation_of(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = document()["paths"][route.path][route.method.lower()]
    return found


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Return every operation, those of receivers included, by what it is called on."""
    for place in ("paths", "webhooks"):
        for name, item in document()[place].items():
            for method, operation in item.items():
                yield f"{method.upper()} {name}", operation


def nodes(value: Any) -> Iterator[Any]:
    yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(child)


def references() -> set[str]:
    return {node["$ref"] for node in nodes(document()) if isinstance(node, dict) and "$ref" in node}


def check(value: Any, schema: dict[str, Any]) -> None:
    """Check a value against one of the description's schemas, as JSON would carry it."""
    Draft202012Validator({**schema, "components": document()["components"]}).validate(
        json.loads(json.dumps(value))
    )


def component(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


# ---- the document


def test_the_committed_description_is_what_the_code_says() -> None:
    """Nobody changes a route or a model without its description: `make openapi` writes it."""
    assert openapi.TARGET.read_text("utf-8") == openapi.render()


def test_the_description_is_openapi_3_1() -> None:
    """It has the structure that the specification gives it, and every schema in it is JSON Schema 2020-12."""
    Draft202012Validator.check_schema(OPENAPI)
    Draft202012Validator(OPENAPI).validate(document())


def test_every_reference_leads_somewhere() -> None:
    """No `$ref` dangles."""
    schemas = {f"#/components/schemas/{name}" for name in document()["components"]["schemas"]}
    assert references() <= schemas


def test_every_schema_is_used() -> None:
    """Nothing is described that is not part of a request or an answer."""
    schemas = {f"#/components/schemas/{name}" for name in document()["components"]["schemas"]}
    assert schemas <= references()


def test_operation_ids_are_unique() -> None:
    """Client generators make functions of them."""
    found = Counter(operation["operationId"] for _, operation in operations())
    assert [name for name, times in found.items() if times > 1] == []


def test_every_path_parameter_is_declared_once() -> None:
    """What stands in braces is described, and only that."""
    for where, operation in operations():
        declared = Counter(one["name"] for one in operation["parameters"] if one["in"] == "path")
        assert declared == Counter(re.findall(r"{(\w+)}", where)), where


def test_every_security_requirement_names_a_scheme() -> None:
    """An operation that needs a key says so in a way that tools understand."""
    schemes = set(document()["components"]["securitySchemes"])
    needed = [
        *document()["security"],
        *(one for _, found in operations() for one in found.get("security", [])),
    ]
    assert {name for one in needed for name in one} <= schemes


def test_every_object_of_an_answer_is_closed_and_complete() -> None:
    """Each required field is described, so that generated clients can rely on it."""
    for node in nodes(document()):
        if isinstance(node, dict) and node.get("type") == "object" and "required" in node:
            assert set(node["required"]) <= set(node["properties"])


# ---- the routes


def test_all_routes_are_described_and_no_others() -> None:
    """Whatever can be called can be read about, and the other way round."""
    described = {(method.upper(), path) for path, item in document()["paths"].items() for method in item}
    assert described == {(route.method, route.path) for route in ROUTES}


@EACH_ROUTE
def test_a_route_is_described_with_its_scope(route: Route) -> None:
    """Who reads the description knows which key a call needs, or that it needs none."""
    operation = operation_of(route)
    if route.scope is None:
        assert operation["security"] == []
    else:
        assert "security" not in operation  # that of the whole document holds
        assert document()["security"] == [{"apiKey": []}]
        named = {scope for scope in Scope if f"`{scope}`" in operation["description"]}
        assert named == {route.scope}


@EACH_ROUTE
def test_a_route_with_a_key_can_answer_401_403_and_503(route: Route) -> None:
    """The errors that any caller may meet are described as problem documents."""
    if route.scope is not None:
        for status in ("401", "403", "503"):
            content = operation_of(route)["responses"][status]["content"]
            assert content == {"application/problem+json": {"schema": component("Problem")}}


@EACH_ROUTE
def test_a_route_has_exactly_one_success(route: Route) -> None:
    """One status and one shape, in JSON, but for the one page that is for people."""
    successes = {
        status: answer for status, answer in operation_of(route)["responses"].items() if status[0] == "2"
    }
    assert len(successes) == 1
    ((_, answer),) = successes.items()
    expected = "text/html" if route.path == "/docs" else "application/json"
    assert list(answer["content"]) == [expected]


@EACH_ROUTE
def test_a_post_takes_an_idempotency_key(route: Route) -> None:
    """What creates can be repeated safely, and says so."""
    named = {one["name"] for one in operation_of(route)["parameters"]}
    assert ("Idempotency-Key" in named) == (route.method == "POST")


# ---- what is sent


@EACH_ROUTE
def test_a_route_with_a_body_describes_it(route: Route) -> None:
    """The body is required, is JSON, and is the model that the route checks it with."""
    operation = operation_of(route)
    if route.body is None:
        assert "requestBody" not in operation
        return
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert operation["requestBody"]["required"] is not route.is_body_optional
    assert component(route.body.__name__) in schema.get("oneOf", [schema])


@pytest.mark.parametrize("name", REQUEST_MODELS)
def test_every_field_of_a_request_is_described_and_no_other(name: str) -> None:
    """The description has the fields of the model, tells which are required, and refuses unknown ones as it does."""
    schema = document()["components"]["schemas"][name]
    fields = {field.alias or key: field for key, field in REQUEST_MODELS[name].model_fields.items()}
    assert schema["properties"].keys() == fields.keys()
    assert set(schema.get("required", [])) == {key for key, field in fields.items() if field.is_required()}
    assert schema["additionalProperties"] is False


def test_a_batch_is_described_as_events() -> None:
    """Up to a hundred of what can be published alone."""
    schema = document()["components"]["schemas"]["NewEvents"]["properties"]["events"]
    assert (schema["items"], schema["minItems"], schema["maxItems"]) == (component("NewEvent"), 1, 100)


def test_a_token_is_described_with_its_bounds() -> None:
    """Clients can check a token before they send it."""
    schema = document()["components"]["schemas"]["Secret"]
    assert (schema["minLength"], schema["maxLength"]) == (MIN_SECRET_LENGTH, MAX_SECRET_LENGTH)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (
            "NewWebhook",
            {
                "url": "https://example.com/webhooks/zootools",
                "events": ["CONTACT_CREATED", "CONTACT_UPDATED"],
                "token": "optional_secret_token",
            },
        ),
        (
            "WebhookChange",
            {"events": ["CONTACT_CREATED", "CONTACT_UPDATED", "WORKSPACE_TEAM_MEMBER_JOINED"]},
        ),
        ("NewEvent", {"event": "CONTACT_CREATED", "data": {"contact": {"id": "cont_1"}}}),
        ("NewEvents", {"events": [{"event": "CONTACT_CREATED", "data": {}}]}),
    ],
)
def test_the_published_requests_fit_their_description(name: str, body: dict[str, Any]) -> None:
    """The documentation's examples pass the described schema and the model alike, and a wrong field passes neither."""
    check(body, component(name))
    REQUEST_MODELS[name].model_validate(body)
    with pytest.raises(ValidationError):
        check({**body, "invented": 1}, component(name))


# ---- what is answered

WEBHOOK: Final = Endpoint(
    id="wh_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    channel="wksp_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    workspace="wksp_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    wire=Wire.SMASHSEND,
    url="https://hooks.example.com/hook",
    events=("CONTACT_CREATED",),
    secret=SealedSecret(b"sealed", 1),
    created_at=1_681_659_900_000,
)


@pytest.mark.parametrize("reason", [None, *DisabledReason])
@pytest.mark.parametrize("description", [None, "a text"])
def test_a_webhook_fits_its_description(reason: DisabledReason | None, description: str | None) -> None:
    """With and without its token, enabled or not, an answer has the described fields and no more."""
    webhook = replace(
        WEBHOOK,
        enabled=reason is None,
        disabled_reason=reason,
        disabled_at=None if reason is None else 1_681_659_900_000,
        description=description,
    )
    check(webhooks._shown(webhook), component("Webhook"))
    check(webhooks._shown(webhook, "token"), component("WebhookWithToken"))
    with pytest.raises(ValidationError):
        check(webhooks._shown(webhook, "token"), component("Webhook"))


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("failure", [None, *Failure])
def test_a_delivery_fits_its_description(status: Status, failure: Failure | None) -> None:
    """Wherever a delivery stands, and whatever came of its attempts, both faces show it with the described fields."""
    outcome = Outcome(
        Timings(1, 2, 3, 4, 5),
        status=None if failure else 200,
        failure=failure,
        error="no answer" if failure else None,
    )
    sent = requests.Sent("https://hooks.example.com/", (("Host", "hooks.example.com"),), ())
    for reason in (None, *Reason):
        row = Delivery(
            key=DeliveryKey(WEBHOOK.id, "evt_01GY5BMP7FBC0DKZTXDZJ7EQ6S"),
            channel=WEBHOOK.channel,
            event_type="CONTACT_CREATED",
            status=status,
            attempt=1,
            reason=reason,
            next_attempt_at=1_681_659_960_000 if status.is_open else None,
            attempts=(Attempt(1, 1_681_659_900_000, outcome),),
            replay="rpl_01GY5BMP7FBC0DKZTXDZJ7EQ6S" if reason else None,
        )
        for face, name in ((WEBHOOKS, "Webhook"), (DESTINATIONS, "EventDestination")):
            shown = entries.delivery(face, row)
            check(shown, component(f"{name}Delivery"))
            for one in (Entry(row.key, row), Entry(row.key, None)):
                check(entries.entry(face, one), component(f"{name}DeliveryInList"))
            made = [
                entries.whole_attempt(face, row.attempts[0], None),
                entries.whole_attempt(face, row.attempts[0], sent),
            ]
            whole = {"attempts": made, "request_body": None, "curl": None, "notes": []}
            check(shown | face.write(whole), component(f"{name}DeliveryInFull"))


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize(
    ("face", "name"),
    [(WEBHOOKS, "Replay"), (DESTINATIONS, "EventDestinationReplay")],
    ids=["webhook", "email"],
)
def test_a_replay_fits_its_description(face: Face, name: str, state: JobState) -> None:
    """Wherever a job stands, an answer has the described fields, in the spelling of its face only."""
    job = ReplayJob(
        id="rpl_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
        endpoint_id=WEBHOOK.id,
        channel=WEBHOOK.channel,
        since=WEBHOOK.created_at,
        until=WEBHOOK.created_at + 3,
        wanted=Wanted.ALL,
        dry_run=False,
        created_at=WEBHOOK.created_at,
        updated_at=WEBHOOK.created_at,
        sent_at=WEBHOOK.created_at,
        position=lower_bound(EVENT, now_ms=WEBHOOK.created_at + 1),
        end=lower_bound(EVENT, now_ms=WEBHOOK.created_at + 3),
        state=state,
        reason=Reason.ENDPOINT_DISABLED if state is JobState.STOPPED else None,
        finished_at=None if state.is_live else WEBHOOK.created_at,
    )
    check(replays._shown(face, job), component(name))
    other = "Replay" if face is DESTINATIONS else "EventDestinationReplay"
    with pytest.raises(ValidationError):
        check(replays._shown(face, job), component(other))


def test_a_problem_fits_its_description() -> None:
    """Errors are described with and without the places that they point at."""
    check(Problem(404, "not_found", "There is no such thing.").document(), component("Problem"))
    check(
        Problem(422, "invalid_input", "No.", errors=[FieldError("/url", "No.")]).document(),
        component("Problem"),
    )


# ---- what receivers get


def test_every_event_type_is_described_for_receivers() -> None:
    """The section for receivers has every type of the catalogue, with an example of its payload."""
    described = document()["webhooks"]
    assert list(described) == [*built_in(), *(f"email.{one.name}" for one in EMAIL_TYPES)]
    for name in built_in():
        item = described[name]
        media = item["post"]["requestBody"]["content"]["application/json"]
        check(media["example"], media["schema"])
        assert media["example"]["event"] == name
        assert media["example"]["data"] == built_in()[name].example
        assert item["post"]["security"] == []


def test_every_event_of_a_mail_is_described_for_receivers() -> None:
    """Each has the six published headers' own four, and the payload of SES."""
    for one in EMAIL_TYPES:
        operation = document()["webhooks"][f"email.{one.name}"]["post"]
        names = {parameter["name"] for parameter in operation["parameters"]}
        assert names >= {f"X-Splashify-{name}" for name in ("Event", "Signature", "Timestamp", "Delivery-ID")}
        assert operation["requestBody"]["content"]["application/json"]["schema"] == component("EmailEvent")
        assert operation["security"] == []
