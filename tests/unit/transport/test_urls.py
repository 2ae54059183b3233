"""Any string as a URL is either refused or parsed the way libcurl parses it."""

from contextlib import suppress

import pycurl
import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from posthorn.domain.errors import RefusedTarget
from posthorn.transport.targets import Policy, Target, parse_target
from tests.unit.transport.posts import PRIVATE, PUBLIC
from tests.unit.transport.urls import urls


def dialled_by_libcurl(url: str, target: Target) -> list[object]:
    """Let libcurl parse the URL, and check that it arrives at the same host and port."""
    dialled: list[object] = []

    def note(_purpose: int, peer: pycurl.CurlSockAddr) -> int:
        dialled.append(peer.addr)
        return pycurl.SOCKET_BAD

    curl = pycurl.Curl()
    host = f"[{target.host}]" if ":" in target.host else target.host
    for option, value in (
        (pycurl.URL, url),
        (pycurl.PROXY, ""),
        (pycurl.CONNECT_TO, [f"{host}:{target.port}:pinned.invalid:{target.port}"]),
        (pycurl.RESOLVE, [f"pinned.invalid:{target.port}:127.0.0.1"]),
        (pycurl.RESOLVER_START_FUNCTION, lambda *_: 1),  # any other host ends here
        (pycurl.OPENSOCKETFUNCTION, note),
    ):
        curl.setopt(option, value)
    with pytest.raises(pycurl.error):
        curl.perform()
    curl.close()
    return dialled


@settings(max_examples=500)
@given(urls, st.sampled_from([PRIVATE, PRIVATE, PUBLIC]))
@example("https://acme.com:8443/a?b", PUBLIC)
@example("https://ACME.com/@127.0.0.1", PUBLIC)
@example("http://[::1]:80", PRIVATE)
@example("https://[::", PRIVATE)
def test_a_url_is_refused_or_read_as_libcurl_reads_it(url: str, policy: Policy) -> None:
    """No string is one host and port here and another for the client that sends."""
    try:
        target = parse_target(url, policy)
    except RefusedTarget:
        return
    event("a target")
    assert dialled_by_libcurl(url, target) == [("127.0.0.1", target.port)]
    assert dialled_by_libcurl(target.url, target) == [("127.0.0.1", target.port)]
    assert parse_target(target.url, policy) == target


@given(st.text() | urls)
def test_any_text_is_a_target_or_refused(text: str) -> None:
    """Any text is a target or raises RefusedTarget, and nothing else."""
    with suppress(RefusedTarget):
        assert parse_target(text, PUBLIC).scheme == "https"
