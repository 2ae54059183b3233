"""Writes functions/posthorn/api/openapi.json from the routes and the types of what they take and answer: `make openapi`.

OpenAPI 3.1, with a `webhooks` section for those who receive. The file ships; nothing is generated at run time.
"""

import json
from pathlib import Path
from typing import Any, Final

from infra.openapi.components import schemas
from infra.openapi.operations import describe
from infra.openapi.payloads import PAYLOADS
from infra.openapi.receiving import email_delivery, webhook_delivery
from infra.openapi.tags import TAGS
from posthorn.api.routes.table import ROUTES
from posthorn.domain.email_types import EMAIL_TYPES
from posthorn.domain.event_types import built_in

TARGET: Final = Path(__file__).parents[2] / "functions" / "posthorn" / "api" / "openapi.json"

_DESCRIPTION: Final = """\
Outbound webhooks: register URLs, publish events, and see what happened to each delivery.

**Authentication.** Send an API key as `Authorization: Bearer phk_…`. A key belongs to one workspace and has scopes:
`publish` publishes events, `api_user` creates and lists webhooks, `user` manages webhooks and reads deliveries,
`partner` sends email and manages its event destinations, `admin` manages API keys and event types. Give `publish` to
your own backend only: it signs events for every webhook of the workspace. The operator of this installation creates
the first key of a workspace with `posthorn keys create`; a key with the scope `admin` creates others.

**Event types** have names such as `invoice.paid`, `orders/create` or `repo:push`. `CONTACT_CREATED` and
`contact.created` are two spellings of one name; any other difference makes another name. A subscription is a name, `*`,
or a prefix that ends with `_`, `.`, `:` or `/` and then `*`: `contact.*` matches each type whose name, in one of its
spellings, begins with `contact.`. `GET /v1/event-types` lists the types there are: the built-in ones, which an
installation can be without, those of the platform, and those of the workspace.

**Platform keys** belong to no workspace. The operator creates them with `posthorn keys create --platform`. With the
scope `platform`, they manage workspaces, one for each of your customers, and the event types of all workspaces. With the header `Posthorn-Workspace`, which
names a workspace by its id or by your own `uid`, they have every other scope in that workspace.

**Errors** are problem details (RFC 9457). Branch on `code`, which is stable.

**Answers** may get new fields at any time. Ignore the ones you do not know.

**Repeating requests.** Send an `Idempotency-Key` with a POST to make it safe to repeat. After 429 or 503, wait for
the seconds in `Retry-After`.
"""
_SECURITY: Final = (
    "An API key, `phk_…`, of one workspace or of the platform. Each operation names the scope that the key needs. Keys are created with"
    " `posthorn keys create` or by `POST /v1/api-keys`, and shown only once."
)


def document() -> dict[str, Any]:
    """Return the whole description as data."""
    answers, components = schemas(ROUTES)
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = describe(route, answers[route.operation])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Posthorn",
            "version": "0.1.0",
            "description": _DESCRIPTION,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The installation that this description comes from."}],
        "security": [{"apiKey": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "webhooks": {
            **{name: {"post": webhook_delivery(name)} for name in built_in()},
            **{f"email.{one.name}": {"post": email_delivery(one)} for one in EMAIL_TYPES},
        },
        "components": {
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer", "description": _SECURITY}},
            "schemas": dict(sorted({**components, **PAYLOADS}.items())),
        },
    }


def render() -> str:
    """Return the file's text."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
