"""Writes functions/posthorn/reference.html, the page at `/docs`, from the API's description: `make openapi`.

One static page: no scripts, no fonts, no external resources.
"""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from infra.openapi import document

TARGET: Final = Path(__file__).parent.parent / "functions" / "posthorn" / "api" / "reference.html"

type Schema = dict[str, Any]

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
th{color:var(--soft);font-weight:600}td:first-child code{white-space:nowrap}
.method{font-weight:700;color:var(--accent);margin-right:.4rem}.soft{color:var(--soft)}
@media(max-width:60rem){nav{position:static;width:auto;border:0;border-bottom:1px solid var(--line)}main{margin:0;padding:1.5rem}table{display:block;overflow-x:auto}main{overflow-wrap:anywhere}}
"""


def render() -> str:
    """Return the page."""
    api = document()
    operations = _operations(api)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{escape(api['info']['title'])} API</title><style>{_STYLE}</style></head><body>",
        _navigation(operations, api),
        "<main>",
        f"<h1>{escape(api['info']['title'])} API</h1>",
        *(f"<p>{_prose(paragraph)}</p>" for paragraph in api["info"]["description"].split("\n\n")),
        '<p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>',
        *(_operation(path, method, operation) for path, method, operation in operations),
        '<h2 id="received">Requests to receivers</h2>',
        *(_webhook(name, item["post"]) for name, item in api["webhooks"].items()),
        '<h2 id="shapes">Schemas</h2>',
        *(_shape(name, schema) for name, schema in sorted(api["components"]["schemas"].items())),
        "</main></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _operations(api: Schema) -> list[tuple[str, str, Schema]]:
    """Return every operation with its path and method, in the order of the tags."""
    order = [tag["name"] for tag in api["tags"]]
    found = [
        (path, method.upper(), operation)
        for path, item in api["paths"].items()
        for method, operation in item.items()
    ]
    return sorted(found, key=lambda one: order.index(one[2]["tags"][0]))


def _navigation(operations: Iterable[tuple[str, str, Schema]], api: Schema) -> str:
    groups: dict[str, list[str]] = {tag["name"]: [] for tag in api["tags"]}
    for _, _, operation in operations:
        link = f'<li><a href="#{operation["operationId"]}">{escape(operation["summary"])}</a></li>'
        groups[operation["tags"][0]].append(link)
    for name, item in api["webhooks"].items():
        link = f'<li><a href="#{item["post"]["operationId"]}">{escape(name)}</a></li>'
        groups[item["post"]["tags"][0]].append(link)
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
            f'<p class="soft">{_prose(operation["description"])}</p>',
            _table(("Parameter", "Where", "Type", ""), parameters),
            f"<p>Body: {_content(body)}</p>{_examples(body)}" if body else "",
            _table(("Answer", "Meaning", "Content"), answers),
            "</section>",
        ]
    )


def _webhook(name: str, operation: Schema) -> str:
    body = operation["requestBody"]
    headers = ", ".join(f"<code>{escape(one['name'])}</code>" for one in operation["parameters"])
    return (
        f'<section id="{operation["operationId"]}"><h3>{escape(name)}</h3><p>{escape(operation["summary"])}</p>'
        f"<p>Headers: {headers}</p><p>Body: {_content(body)}</p>{_examples(body)}</section>"
    )


def _examples(body: Schema) -> str:
    """Show every example of a body; those of several formats are folded, with the format and the media type."""
    shown = ""
    for media_type, media in body["content"].items():
        if "example" in media:
            shown += _listing(media["example"])
        for name, example in media.get("examples", {}).items():
            heading = f"<code>{escape(name)}</code>, as <code>{escape(media_type)}</code>"
            shown += f"<details><summary>{heading}</summary>{_listing(example['value'])}</details>"
    return shown


def _listing(example: object) -> str:
    return f"<pre>{escape(json.dumps(example, indent=2, ensure_ascii=False))}</pre>"


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
    kind = "" if fields else f"<p>{_type(schema)}</p>"
    return (
        f'<section id="shape-{escape(name)}"><h3>{escape(name)}</h3><p>{told}</p>{kind}'
        f"{_table(('Field', '', 'Type', ''), fields)}</section>"
    )


def _prose(text: str) -> str:
    """Return a description as HTML, with code for text in backticks."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)


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
