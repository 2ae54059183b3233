"""Writes functions/posthorn/reference.html, the page at `/docs`, from the API's description: `make openapi`.

One static page: no scripts, no fonts, no external resources.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from infra.openapi import document

TARGET: Final = Path(__file__).parent.parent / "functions" / "posthorn" / "api" / "reference.html"

type Schema = dict[str, Any]

_GROUPS: Final = (  # the first prefix that fits names the group
    ("/v1/webhooks/{webhookId}/", "What became of a webhook's deliveries"),
    ("/v1/webhooks", "Webhooks"),
    ("/v1/event-types", "Event types"),
    ("/v1/events", "Events"),
    ("/v1/api-keys", "API keys"),
    ("/api/v1/partner/email/configuration-sets/{configSetId}/event-destinations/{destinationId}/", "What became of mail events"),
    ("/api/v1/partner/email/configuration-sets/{configSetId}/event-destinations", "Event destinations"),
    ("/api/v1/partner/email/configuration-sets", "Configuration sets"),
    ("/api/v1/partner/email", "Mail"),
    ("/", "The service"),
)  # fmt: skip

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1f2430;--soft:#5b6472;--line:#d8dde6;--back:#fff;--tint:#f5f7fa;--accent:#b4531f}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#9aa4b2;--line:#343b47;--back:#14171c;--tint:#1c2027;--accent:#f0a36f}}
*{box-sizing:border-box}
body{margin:0;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back)}
a{color:var(--accent)}
nav{position:fixed;inset:0 auto 0 0;width:19rem;overflow:auto;padding:1.5rem;border-right:1px solid var(--line);font-size:.85rem}
nav h2{font-size:.85rem;margin:1.2rem 0 .3rem}nav ul{list-style:none;margin:0;padding:0}
nav a{text-decoration:none;color:var(--soft);overflow-wrap:anywhere}nav a:hover{color:var(--accent)}
main{margin-left:19rem;padding:1.5rem 2.5rem;max-width:62rem}
section{border-top:1px solid var(--line);padding:1rem 0}
h3{margin:.2rem 0;font-size:1.05rem}
code,pre{font:.86rem/1.45 ui-monospace,monospace;background:var(--tint);border-radius:4px}
code{padding:.1rem .3rem;overflow-wrap:anywhere}pre{padding:.8rem;overflow:auto}
table{border-collapse:collapse;width:100%;margin:.5rem 0;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line)}
th{color:var(--soft);font-weight:600}
.method{font-weight:700;color:var(--accent);margin-right:.4rem}.soft{color:var(--soft)}
@media(max-width:60rem){nav{position:static;width:auto;border:0;border-bottom:1px solid var(--line)}main{margin:0;padding:1.5rem}}
"""


def render() -> str:
    """Return the page."""
    api = document()
    operations = list(_operations(api))
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{escape(api['info']['title'])} API</title><style>{_STYLE}</style></head><body>",
        _navigation(operations, api),
        "<main>",
        f"<h1>{escape(api['info']['title'])} API</h1><p>{escape(api['info']['description'])}</p>",
        '<p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>',
        *(_operation(path, method, operation) for path, method, operation in operations),
        '<h2 id="received">What receivers get</h2>',
        *(_webhook(name, item["post"]) for name, item in api["webhooks"].items()),
        '<h2 id="shapes">Shapes</h2>',
        *(_shape(name, schema) for name, schema in sorted(api["components"]["schemas"].items())),
        "</main></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _operations(api: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, item in api["paths"].items():
        for method, operation in item.items():
            yield path, method.upper(), operation


def _group(path: str) -> str:
    return next(title for prefix, title in _GROUPS if path.startswith(prefix))


def _navigation(operations: Iterable[tuple[str, str, Schema]], api: Schema) -> str:
    groups: dict[str, list[str]] = {}
    for path, _, operation in operations:
        link = f'<li><a href="#{operation["operationId"]}">{escape(operation["summary"])}</a></li>'
        groups.setdefault(_group(path), []).append(link)
    groups["What receivers get"] = [
        f'<li><a href="#{item["post"]["operationId"]}">{escape(name)}</a></li>'
        for name, item in api["webhooks"].items()
    ]
    lists = (f"<h2>{escape(title)}</h2><ul>{''.join(links)}</ul>" for title, links in groups.items())
    return f'<nav aria-label="Contents">{"".join(lists)}</nav>'


def _operation(path: str, method: str, operation: Schema) -> str:
    answers = [
        (f"<code>{escape(status)}</code>", _prose(answer["description"]), _content(answer))
        for status, answer in operation["responses"].items()
    ]
    parameters = [
        (
            f"<code>{escape(one['name'])}</code>",
            f"{escape(one['in'])}{', required' if one.get('required') else ''}",
            _type(one["schema"]),
            _prose(one.get("description", "")),
        )
        for one in operation["parameters"]
    ]
    body = operation.get("requestBody")
    return "".join(
        [
            f'<section id="{operation["operationId"]}"><h3>{escape(operation["summary"])}</h3>',
            f'<p><span class="method">{method}</span><code>{escape(path)}</code></p>',
            f'<p class="soft">{_prose(operation.get("description", "Needs no API key."))}</p>',
            _table(("Parameter", "Where", "Type", ""), parameters),
            f"<p>Body: {_content(body)}</p>" if body else "",
            _table(("Answer", "Meaning", "Content"), answers),
            "</section>",
        ]
    )


def _webhook(name: str, operation: Schema) -> str:
    (media,) = operation["requestBody"]["content"].values()
    example = media.get("example")
    shown = (
        "" if example is None else f"<pre>{escape(json.dumps(example, indent=2, ensure_ascii=False))}</pre>"
    )
    headers = ", ".join(f"<code>{escape(one['name'])}</code>" for one in operation["parameters"])
    return (
        f'<section id="{operation["operationId"]}"><h3>{escape(name)}</h3><p>{escape(operation["summary"])}</p>'
        f"<p>Headers: {headers}</p><p>Body: {_type(media['schema'])}</p>{shown}</section>"
    )


def _shape(name: str, schema: Schema) -> str:
    required = schema.get("required", [])
    fields = [
        (
            f"<code>{escape(field)}</code>",
            "required" if field in required else "",
            _type(value),
            _prose(value.get("description", "")),
        )
        for field, value in schema.get("properties", {}).items()
    ]
    told = _prose(schema.get("description", ""))
    return (
        f'<section id="shape-{escape(name)}"><h3>{escape(name)}</h3><p>{told}</p>'
        f"{_table(('Field', '', 'Type', ''), fields)}</section>"
    )


def _prose(text: str) -> str:
    """Return a description as HTML, with code for text in backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _content(holder: Schema) -> str:
    return ", ".join(_type(media["schema"]) for media in holder.get("content", {}).values())


def _type(schema: Schema) -> str:
    """Return a short text for the type of a schema."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#shape-{name}">{name}</a>'
    for word in ("oneOf", "anyOf"):
        if word in schema:
            return " or ".join(_type(one) for one in schema[word])
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(one))}</code>" for one in schema["enum"])
    if "items" in schema:
        return f"list of {_type(schema['items'])}"
    if schema.get("properties"):
        fields = (f"<code>{escape(name)}</code>: {_type(one)}" for name, one in schema["properties"].items())
        return f"{{ {', '.join(fields)} }}"
    kinds = schema.get("type", "anything")
    text = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    if "format" in schema:
        text += f" ({schema['format']})"
    bounds = [f"{word} {schema[key]}" for key, word in _BOUNDS.items() if key in schema]
    return escape(", ".join([text, *bounds]))


_BOUNDS: Final = {
    "minimum": "at least",
    "maximum": "at most",
    "minLength": "characters at least",
    "maxLength": "characters at most",
    "default": "default",
}


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    titles = "".join(f"<th>{title}</th>" for title in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{titles}</tr>{body}</table>"


if __name__ == "__main__":
    TARGET.write_text(render(), "utf-8")
    sys.stdout.write(f"wrote {TARGET.name}\n")
