"""What other people's tools say about the API's description: two linters, and two generators of clients."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from infra.openapi import TARGET
from tests.openapi.clients import GenerationError, generate_python, generate_typescript
from tests.openapi.node_tools import HERE, run_tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DESCRIPTION: Final[dict[str, Any]] = json.loads(TARGET.read_text("utf-8"))


def redocly(description: Path) -> list[str]:
    """Return the rules that Redocly finds broken."""
    found = run_tool(
        *("redocly", "lint", "--format=json", f"--config={HERE / 'redocly.yaml'}", str(description)),
        cwd=description.parent,
    )
    report = json.JSONDecoder().raw_decode(found.stdout)[0]  # a remark on Node may follow
    return [problem["ruleId"] for problem in report["problems"]]


def spectral(description: Path) -> list[str]:
    """Return the rules that Spectral finds broken."""
    found = run_tool(
        *("spectral", "lint", "--format=json", f"--ruleset={HERE / 'spectral.yaml'}", str(description)),
        cwd=description.parent,
    )
    return [problem["code"] for problem in json.JSONDecoder().raw_decode(found.stdout)[0]]


@pytest.mark.parametrize("lint", [redocly, spectral])
def test_the_linters_find_nothing(lint: Callable[[Path], list[str]], tmp_path: Path) -> None:
    """Every rule that is on passes; those that are off have their reason beside them."""
    assert lint(_written(DESCRIPTION, tmp_path)) == []


@pytest.mark.parametrize(
    ("lint", "rule"), [(redocly, "operation-operationId-unique"), (spectral, "operation-operationId-unique")]
)
def test_the_linters_find_a_broken_description(
    lint: Callable[[Path], list[str]], rule: str, tmp_path: Path
) -> None:
    """Two operations of one name are noticed, so the test above can fail."""
    path = DESCRIPTION["paths"]["/v1/webhooks"]
    twice = {**path, "get": {**path["get"], "operationId": path["post"]["operationId"]}}
    broken = {**DESCRIPTION, "paths": {**DESCRIPTION["paths"], "/v1/webhooks": twice}}
    assert rule in lint(_written(broken, tmp_path))


@pytest.mark.parametrize("generate", [generate_python, generate_typescript])
def test_clients_are_generated_without_a_warning(generate: Callable[..., None], tmp_path: Path) -> None:
    """The generators understand all of the description, and TypeScript's is used by a program that compiles."""
    generate(tmp_path)


def test_a_client_that_lacks_a_method_does_not_compile(tmp_path: Path) -> None:
    """The program notices when an operation is called otherwise, so the test above can fail."""
    path = DESCRIPTION["paths"]["/v1/webhooks"]
    renamed = {**path, "post": {**path["post"], "operationId": "make_webhook"}}
    broken = {**DESCRIPTION, "paths": {**DESCRIPTION["paths"], "/v1/webhooks": renamed}}
    with pytest.raises(GenerationError, match="createWebhook"):
        generate_typescript(tmp_path, description=_written(broken, tmp_path))


def test_a_warning_of_the_generator_is_noticed(tmp_path: Path) -> None:
    """An operation that the Python generator has to leave out is an error here."""
    path = DESCRIPTION["paths"]["/health"]
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Missing"}}}
    vague = {**path["get"], "responses": {"200": {"description": "Fine.", "content": content}}}
    broken = {**DESCRIPTION, "paths": {**DESCRIPTION["paths"], "/health": {"get": vague}}}
    with pytest.raises(GenerationError, match="Missing"):
        generate_python(tmp_path, description=_written(broken, tmp_path))


def _written(description: dict[str, Any], directory: Path) -> Path:
    path = directory / "openapi.json"
    path.write_text(json.dumps(description, indent=1), "utf-8")
    return path
