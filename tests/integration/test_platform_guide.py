"""The backend printed in docs/platform.md, run as it is against the API over HTTP."""

from __future__ import annotations

import json
import re
import threading
import urllib.error
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from tests.gateway import application
from tests.network import answers
from tests.purges import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.installation import Installation

GUIDE: Final = (Path(__file__).parents[2] / "docs" / "platform.md").read_text("utf-8")


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(posthorn: Installation) -> Iterator[str]:
    """Serve the API on a port of this machine."""
    with make_server("127.0.0.1", 0, application(posthorn), handler_class=_Silent) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def backend(posthorn: Installation, url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the functions of the guide, which have the platform's key and no other."""
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    monkeypatch.setenv("API_URL", url)
    monkeypatch.setenv("API_KEY", posthorn.new_platform_key())
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - the guide is ours, and its text is what is tested
    return names


def test_the_backend_of_the_guide_serves_customers_with_one_key(
    posthorn: Installation, backend: dict[str, Any]
) -> None:
    """Sign-up, publishing for two customers, API access for one, and deletion of that one."""
    for customer in ("acme", "globex", "acme"):
        backend["sign_up"](customer)
    keys = {customer: backend["api_key_for"](customer) for customer in ("acme", "globex")}
    for customer, key in keys.items():
        host = f"{customer}.example.com"
        posthorn.names[host] = ("93.184.215.14",)
        posthorn.network.receivers[host] = answers(200)
        wanted = {"url": f"https://{host}/", "events": ["CONTACT_CREATED"]}
        assert posthorn.call("POST", "/v1/webhooks", wanted, key=key).status == 201

    made = backend["publish"]("CONTACT_CREATED", {"acme": {"of": "acme"}, "globex": {"of": "globex"}})
    posthorn.dispatch()

    assert len(made) == 2
    for customer in keys:
        (received,) = posthorn.network.at(f"{customer}.example.com")
        assert received.payload["data"] == {"of": customer}
    refused = posthorn.call("POST", "/v1/events", {"event": "CONTACT_CREATED", "data": {}}, key=keys["acme"])
    assert refused.body["code"] == "insufficient_scope"

    assert backend["delete"]("acme")["state"] != "done"
    run(posthorn)
    posthorn.clock.pass_seconds(31)
    assert posthorn.call("GET", "/v1/webhooks", key=keys["acme"]).status == 401
    with pytest.raises(urllib.error.HTTPError, match="422") as unknown:
        backend["publish"]("CONTACT_CREATED", {"acme": {}})
    with unknown.value:
        assert json.load(unknown.value)["code"] == "unknown_workspace"
    assert len(posthorn.call("GET", "/v1/webhooks", key=keys["globex"]).body["webhooks"]) == 1


def test_the_program_of_the_guide_is_short() -> None:
    """Around 30 lines of code, so that it can be read at once."""
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 30
