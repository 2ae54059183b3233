"""Where deliveries may go: the SSRF vectors decide, and an independent guard confirms every address."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest
import ssrfguard
import trustme
from hypothesis import event, given, settings
from hypothesis import strategies as st

from posthorn.domain.errors import NameNotResolved, RefusedTarget
from posthorn.domain.models import Failure, Reason, Status
from posthorn.domain.retry_policy import after_attempt
from posthorn.transport.blocked_networks import refusal
from posthorn.transport.dns import resolve
from posthorn.transport.http import Client, Post
from posthorn.transport.targets import PUBLIC_PORTS, parse_target
from tests.unit.transport.posts import JSON, PUBLIC, Dialler, send
from tests.unit.transport.receivers import OK, Receiver, answering, tls_server
from tests.unit.transport.urls import urls
from tests.unit.transport.vectors import Vector, each, is_public, resolver_of


def explain(vector: Vector, url: str) -> tuple[str, tuple[str, ...]]:
    """Return allow or deny, and the addresses that would be dialed."""
    try:
        target = parse_target(url, PUBLIC)
        return "allow", resolve(target, PUBLIC, timeout=20, resolver=resolver_of(vector))
    except (RefusedTarget, NameNotResolved):
        return "deny", ()


class TestVectors:
    @each("url", "dns")
    def test_each_vector_gets_its_result(self, vector: Vector) -> None:
        """Every must and should vector gets its result, and no vector reaches a non-public address."""
        said, addresses = explain(vector, vector.url)
        assert said == vector.expect or not vector.is_binding, vector.reason
        assert [
            address for address in addresses if not is_public(address) or address in vector.never_dial
        ] == []

    @each("url")
    def test_a_url_vector_is_refused_by_its_spelling(self, vector: Vector) -> None:
        """A URL that is bad in itself is refused at registration, without a lookup."""
        if vector.expect == "deny" and vector.is_binding:
            with pytest.raises(RefusedTarget):
                parse_target(vector.url, PUBLIC)

    @each("url", "dns")
    def test_the_address_is_refused_whatever_the_scheme(self, vector: Vector) -> None:
        """A target refused over http is refused over https as well, so no rule depends on the scheme."""
        if vector.expect == "deny" and vector.is_binding and vector.category != "scheme":
            secure = re.sub(r"^http://([^/]*?)(:\d+)?/", r"https://\1/", vector.url)
            assert explain(vector, secure)[0] == "deny"

    @each("url", "dns", "rebind", "redirect")
    def test_a_refusal_keeps_path_and_query_to_itself(self, vector: Vector) -> None:
        """Path and query may hold a credential, so errors never repeat them."""
        url = vector.url + ("&" if "?" in vector.url else "?") + "token=CANARY"
        try:
            shown = repr(parse_target(url, PUBLIC))
        except RefusedTarget as refused:
            shown = f"{refused} {refused.detail} {refused.code}"
        assert "CANARY" not in shown

    @each("url", "dns", "rebind", "redirect")
    def test_no_socket_is_opened_to_an_address_that_is_not_public(self, vector: Vector, ca_file: str) -> None:
        """Two deliveries to any URL, with any DNS answers, dial public addresses only, or none."""
        dialler = Dialler()
        client = Client(policy=PUBLIC, resolver=resolver_of(vector), ca_file=ca_file, open_socket=dialler)
        outcomes = []
        for _ in range(2):
            try:
                outcomes.append(send(client, Post(parse_target(vector.url, PUBLIC), JSON, b"{}")))
            except RefusedTarget:
                assert vector.expect == "deny" or not vector.is_binding
        client.close()
        assert [address for address in dialler.dialled if not is_public(address)] == []
        assert not set(dialler.dialled) & set(vector.never_dial)
        assert set(vector.must_dial) <= set(dialler.dialled)
        # when a name moves, each attempt goes by its answer of that moment
        if vector.is_binding and vector.stage not in {"redirect", "rebind"}:
            assert bool(dialler.dialled) == (vector.expect == "allow")
        for outcome in outcomes:
            assert outcome.failure in {Failure.CONNECT, Failure.BLOCKED_ADDRESS, Failure.DNS}

    @each("redirect")
    def test_a_redirect_is_not_followed(
        self, client: Client, authority: trustme.CA, resolved: dict[str, Sequence[str]], vector: Vector
    ) -> None:
        """A 3xx is the final response, and neither body nor signature is sent to its location."""
        target = parse_target(vector.url, PUBLIC)
        hop = vector.http[0]
        with Receiver(answering(OK)) as elsewhere:
            resolved.update({host: ["127.0.0.1"] for host in vector.dns})
            location = hop.get("location", "").replace("//169.254.169.254", f"//127.0.0.1:{elsewhere.port}")
            answer = (
                f"HTTP/1.1 {hop['status']} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
            )
            with Receiver(answering(answer), tls=tls_server(authority, target.host)) as receiver:
                outcome = send(client, Post(replace(target, port=receiver.port), JSON, b"{}"))
                assert (len(receiver.requests), elsewhere.connections) == (1, 0)
        assert (outcome.status, outcome.failure) == (hop["status"], None)
        step = after_attempt(outcome, attempt=1, delays=(60,), retry_rate_limited=False, now_ms=0)
        assert (step.status, step.reason) == (Status.FAILED, Reason.REDIRECTED)


ORACLE: Final = ssrfguard.Policy(allowed_schemes=frozenset({"https"}), allowed_ports=frozenset(PUBLIC_PORTS))
ORACLE_BLOCKS: Final = [block.network for block in ssrfguard.DEFAULT_DENIED.blocks]
addresses = st.ip_addresses() | st.sampled_from(ORACLE_BLOCKS).flatmap(
    lambda block: (
        st.integers(int(block[0]) - 1, int(block[-1]) + 1)
        .filter(lambda number: 0 <= number < 2**block.max_prefixlen)
        .map(type(block[0]))
    )
)


class TestOracle:
    @settings(max_examples=1000)
    @given(addresses)
    def test_an_address_that_the_oracle_denies_is_denied(
        self, address: ipaddress.IPv4Address | ipaddress.IPv6Address
    ) -> None:
        """An independent guard with its own table denies no address that we would dial."""
        denied = ssrfguard.DEFAULT_DENIED.classify(address).blocked
        event(f"denied: {denied}")
        assert refusal(str(address)) is not None or not denied

    @each("url", "dns", "rebind", "redirect")
    def test_a_vector_that_the_oracle_denies_is_denied(self, vector: Vector) -> None:
        """The other guard refuses no URL that we would accept, except for `_`, which some hosts really use."""
        if "_" not in vector.url and denied_by_oracle(vector.url):
            with pytest.raises(RefusedTarget):
                parse_target(vector.url, PUBLIC)

    @given(addresses, st.sampled_from(["https://{}/", "https://{}:8443/a?b", "https://{}?c"]))
    def test_a_url_of_an_address_that_the_oracle_denies_is_denied(
        self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, form: str
    ) -> None:
        """The same holds for whole URLs, however the other guard parses them."""
        url = form.format(f"[{address}]" if address.version == 6 else address)
        if denied_by_oracle(url):
            with pytest.raises(RefusedTarget):
                parse_target(url, PUBLIC)


def denied_by_oracle(url: str) -> bool:
    try:
        ORACLE.check_url(url)
    except ssrfguard.SSRFGuardError:
        return True
    return False


@settings(max_examples=500)
@given(urls.filter(lambda url: "_" not in url))
def test_urls_that_the_oracle_refuses_are_refused(url: str) -> None:
    """We refuse what another guard refuses before a lookup, except `_`, which some hosts really use."""
    if denied_by_oracle(url):
        event("denied")
        with pytest.raises(RefusedTarget):
            parse_target(url, PUBLIC)
