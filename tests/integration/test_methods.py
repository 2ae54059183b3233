"""Methods: a known path with another method is 405, and HEAD is there wherever GET is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from posthorn.api.routes.table import ROUTES
from tests.gateway import event_of
from tests.installation import Installation, running

if TYPE_CHECKING:
    from collections.abc import Iterator

METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
PATHS = sorted({route.path for route in ROUTES})


@pytest.fixture(scope="module")
def posthorn() -> Iterator[Installation]:
    """One installation for all: nothing here changes it."""
    with running() as installation:
        yield installation


def methods_of(path: str) -> set[str]:
    methods = {route.method for route in ROUTES if route.path == path}
    return methods | ({"HEAD"} if "GET" in methods else set())


@pytest.mark.parametrize("path", PATHS)
def test_another_method_is_refused_with_those_that_there_are(posthorn: Installation, path: str) -> None:
    """A 405 names the methods of the path in `Allow`, with a key or without one."""
    for method in METHODS - methods_of(path):
        answer = posthorn.resolve(event_of(method, path.replace("{", "").replace("}", ""), "", {}, b""))
        assert answer["statusCode"] == 405, method
        assert set(answer["headers"]["allow"].split(", ")) == methods_of(path)
        assert ("method_not_allowed" in answer["body"]) == (method != "HEAD")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_an_unknown_path_is_not_found_by_any_method(posthorn: Installation, method: str) -> None:
    """What no route answers to stays a 404."""
    assert posthorn.resolve(event_of(method, "/v1/nothing", "", {}, b""))["statusCode"] == 404


def test_head_answers_as_get_without_a_body(posthorn: Installation) -> None:
    """Status and headers are those of GET, also where GET is refused; the body is left out."""
    for path, key in (("/health", ""), ("/v1/webhooks", posthorn.key), ("/v1/webhooks", "nonsense")):
        headers = {"authorization": f"Bearer {key}"} if key else {}
        get, head = (posthorn.resolve(event_of(method, path, "", headers, b"")) for method in ("GET", "HEAD"))
        assert get["body"]
        assert (head["statusCode"], head["headers"], head["body"]) == (get["statusCode"], get["headers"], "")


def test_every_response_says_how_to_treat_it(posthorn: Installation) -> None:
    """Types are not guessed, connections stay encrypted, and what needs a key is kept by no cache."""
    webhook = posthorn.register()
    answers = {
        path: posthorn.call("GET", path, key=key)
        for path, key in (
            ("/health", ""),
            ("/docs", ""),
            ("/v1/nothing", ""),
            ("/v1/webhooks", ""),
            ("/v1/webhooks", posthorn.key),
            (f"/v1/webhooks/{webhook['id']}", posthorn.key),
        )
    }
    for path, answer in answers.items():
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        assert (answer.headers.get("cache-control") == "no-store") == path.startswith("/v1/webhooks")
