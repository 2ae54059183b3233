"""Which URLs and addresses deliveries may go to."""

import ipaddress
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import pycurl
import pytest
import ssrfguard
import trustme
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from posthorn.errors import NameNotResolved, RefusedTarget
from posthorn.models import Failure, Reason, Status
from posthorn.schedule import next_step
from posthorn.transport.addresses import PUBLIC_PORTS, Policy, Target, check_address, parse_target
from posthorn.transport.http import Client, Post
from posthorn.transport.names import resolve
from posthorn.transport.networks import refusal
from tests.unit.posts import JSON, PRIVATE, PUBLIC, Dialler, send
from tests.unit.receivers import OK, Receiver, answering, tls_server
from tests.unit.vectors import DENIED_IPV4, DENIED_IPV6, Vector, each, is_public, resolver_of

OWN = frozenset({"api.acme.com"})


def verdict(vector: Vector, url: str) -> tuple[str, tuple[str, ...]]:
    """Return allow or deny, and the addresses that would be dialled."""
    try:
        target = parse_target(url, PUBLIC)
        return "allow", resolve(target, PUBLIC, timeout=20, resolver=resolver_of(vector))
    except (RefusedTarget, NameNotResolved):
        return "deny", ()


class TestVectors:
    @each("url", "dns")
    def test_verdict(self, vector: Vector) -> None:
        """Every must and should vector gets its verdict, and no vector of any level an address that is not public."""
        said, addresses = verdict(vector, vector.url)
        assert said == vector.expect or not vector.is_binding, vector.reason
        assert [
            address for address in addresses if not is_public(address) or address in vector.never_dial
        ] == []

    @each("url")
    def test_a_url_vector_is_refused_by_its_spelling(self, vector: Vector) -> None:
        """What can be told from the URL alone is refused at registration, before any lookup."""
        if vector.expect == "deny" and vector.is_binding:
            with pytest.raises(RefusedTarget):
                parse_target(vector.url, PUBLIC)

    @each("url", "dns")
    def test_the_address_is_refused_whatever_the_scheme(self, vector: Vector) -> None:
        """A target that http makes unacceptable is unacceptable over https as well, so no rule leans on the scheme."""
        if vector.expect == "deny" and vector.is_binding and vector.category != "scheme":
            secure = re.sub(r"^http://([^/]*?)(:\d+)?/", r"https://\1/", vector.url)
            assert verdict(vector, secure)[0] == "deny"

    @each("url", "dns", "rebind", "redirect")
    def test_a_refusal_keeps_path_and_query_to_itself(self, vector: Vector) -> None:
        """Path and query can be a credential, so they are never repeated."""
        url = vector.url + ("&" if "?" in vector.url else "?") + "token=CANARY"
        try:
            shown = repr(parse_target(url, PUBLIC))
        except RefusedTarget as refused:
            shown = f"{refused} {refused.detail} {refused.code}"
        assert "CANARY" not in shown

    @each("url", "dns", "rebind", "redirect")
    def test_no_socket_is_opened_to_an_address_that_is_not_public(self, vector: Vector, ca_file: str) -> None:
        """Delivering twice to whatever the URL is, with whatever DNS says, dials public addresses only, or none."""
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
        if vector.is_binding and vector.stage != "redirect":
            assert bool(dialler.dialled) == (vector.expect == "allow")
        for outcome in outcomes:
            assert outcome.failure in {Failure.CONNECT, Failure.BLOCKED_ADDRESS, Failure.DNS}

    @each("redirect")
    def test_a_redirect_is_not_followed(
        self, client: Client, authority: trustme.CA, resolved: dict[str, Sequence[str]], vector: Vector
    ) -> None:
        """Wherever a receiver points, its 3xx is the answer, and neither body nor signature goes there."""
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
        step = next_step(outcome, attempt=1, delays=(60,), retry_rate_limited=False, now_ms=0)
        assert (step.status, step.reason) == (Status.FAILED, Reason.REDIRECTED)


class TestTable:
    @pytest.mark.parametrize("block", [*DENIED_IPV4, *DENIED_IPV6], ids=str)
    def test_a_block_is_denied_from_its_first_address_to_its_last(
        self, block: ipaddress.IPv4Network | ipaddress.IPv6Network
    ) -> None:
        """Every special block is denied as a whole."""
        assert refusal(str(block[0])) is not None
        assert refusal(str(block[block.num_addresses // 2])) is not None
        assert refusal(str(block[-1])) is not None

    @pytest.mark.parametrize("block", [*DENIED_IPV4, *DENIED_IPV6], ids=str)
    def test_a_block_ends_where_it_ends(self, block: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
        """The addresses next to a special block are judged on their own."""
        neighbours = [int(block[0]) - 1, int(block[-1]) + 1]
        for number in neighbours:
            if 0 <= number < 2**block.max_prefixlen:
                address = str(type(block[0])(number))
                assert (refusal(address) is None) == is_public(address), address

    @given(st.ip_addresses().map(str))
    def test_agrees_with_the_ranges_of_the_vectors(self, address: str) -> None:
        """Any address is public for us exactly if it is by the published ranges."""
        assert (refusal(address) is None) == is_public(address)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "localhost",
            "127.1",
            "0x7f.0.0.1",
            "010.8.8.8",
            "8.8.8.8 ",
            "8.8.8.8\n",
            "fe80::1%eth0",
            "8.8.8.8\0",
            "٨.8.8.8",
        ],
    )
    def test_what_is_no_address_is_refused(self, text: str) -> None:
        """A spelling that some C library would read as an address is none here, not even for private targets."""
        for policy in (PUBLIC, PRIVATE):
            with pytest.raises(RefusedTarget):
                check_address(text, policy)

    def test_private_addresses_are_for_the_local_policy(self) -> None:
        """Loopback is refused with its rule named, unless private targets are allowed."""
        check_address("127.0.0.1", PRIVATE)
        with pytest.raises(RefusedTarget, match="loopback") as refused:
            check_address("127.0.0.1", PUBLIC)
        assert refused.value.code == "blocked_address"


def _groups(number: int) -> str:
    return f"{number >> 16:x}:{number & 0xFFFF:x}"


EMBEDDINGS: Final[dict[str, Callable[[int], str]]] = {
    "mapped": lambda ip: f"::ffff:{_groups(ip)}",
    "compatible": lambda ip: f"::{_groups(ip)}",
    "translated": lambda ip: f"::ffff:0:{_groups(ip)}",
    "nat64": lambda ip: f"64:ff9b::{_groups(ip)}",
    "local nat64": lambda ip: f"64:ff9b:1::{_groups(ip)}",
    "6to4": lambda ip: f"2002:{_groups(ip)}::1",
    "teredo server": lambda ip: f"2001:0:{_groups(ip)}::1",
    "teredo client": lambda ip: f"2001::{_groups(ip ^ 0xFFFFFFFF)}",
    "isatap": lambda ip: f"fe80::5efe:{_groups(ip)}",
}

denied_ipv4 = st.sampled_from(DENIED_IPV4).flatmap(
    lambda block: st.integers(min_value=int(block[0]), max_value=int(block[-1]))
)


@given(denied_ipv4, st.sampled_from(sorted(EMBEDDINGS)))
def test_an_embedded_address_is_denied_with_the_address(ip: int, embedding: str) -> None:
    """Wrapping a denied IPv4 address into IPv6, in any of the ways there are, does not make it public."""
    assert refusal(str(ipaddress.IPv4Address(ip))) is not None
    assert refusal(EMBEDDINGS[embedding](ip)) is not None


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
        """Another guard, with a table of its own making, knows no address to avoid that we would dial."""
        denied = ssrfguard.DEFAULT_DENIED.classify(address).blocked
        event(f"denied: {denied}")
        assert refusal(str(address)) is not None or not denied

    @each("url", "dns", "rebind", "redirect")
    def test_a_vector_that_the_oracle_denies_is_denied(self, vector: Vector) -> None:
        """The other guard refuses no URL that we would take."""
        if denied_by_oracle(vector.url):
            with pytest.raises(RefusedTarget):
                parse_target(vector.url, PUBLIC)

    @given(addresses, st.sampled_from(["https://{}/", "https://{}:8443/a?b", "https://{}?c"]))
    def test_a_url_of_an_address_that_the_oracle_denies_is_denied(
        self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, form: str
    ) -> None:
        """This holds for whole URLs as well, whichever way the other guard reads them."""
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


class TestGrammar:
    @pytest.mark.parametrize(
        ("url", "code"),
        [
            ("", "url_scheme"),
            ("https", "url_scheme"),
            ("hooks.acme.com/hook", "url_scheme"),
            ("http://hooks.acme.com/hook", "url_scheme"),
            ("https:hooks.acme.com", "url_scheme"),
            ("https://hooks.acme.com/" + "a" * 2048, "url_too_long"),
            ("https://bücher.com/", "url_characters"),
            ("https://hooks.acme.com/a b", "url_characters"),
            ("https://127.0.0.1\\@hooks.acme.com/", "url_characters"),
            ("https://hooks.acme.com/#top", "url_fragment"),
            ("https://user:word@hooks.acme.com/", "url_credentials"),
            ("https://hooks.acme.com:80/", "url_port"),
            ("https://hooks.acme.com:/", "url_port"),
            ("https://hooks.acme.com:0443/", "url_port"),
            ("https:///hook", "url_host"),
            ("https://hooks.acme.com./", "url_host"),
            ("https://hooks..acme.com/", "url_host"),
            ("https://hooks/", "url_host"),
            ("https://hooks.%61cme.com/", "url_host"),
            ("https://hooks.acme.42/", "url_host"),
            ("https://2130706433/", "url_host"),
            ("https://[2606:4700:0:0:0:0:0:1111]/", "url_host"),
            ("https://[2606:4700::1111].acme.com/", "url_host"),
            ("https://[2606:4700::1111/", "url_host"),
            ("https://[2606:4700::1111]]/", "url_host"),
            ("https://[[2606:4700::1111]/", "url_host"),
            ("https://2606:4700::1111]/", "url_host"),
            ("https://[]/", "url_host"),
            ("https://[", "url_host"),
            ("https://[8.8.8.8]/", "url_host"),
            ("https://2606:4700::1111/", "url_host"),
            ("https://xn--a-ecp.xn--.com/", "url_host"),
            ("https://xn--zzzzzzzzzz99999.com/", "url_host"),
            ("https://xn--a0ay.com/", "url_host"),
            ("https://hooks.acme.internal/", "reserved_name"),
            ("https://10.0.0.1/", "blocked_address"),
            ("https://[::1]/", "blocked_address"),
        ],
    )
    def test_a_refusal_says_which_rule(self, url: str, code: str) -> None:
        """Each kind of mistake has a code of its own and a sentence for the customer."""
        with pytest.raises(RefusedTarget) as refused:
            parse_target(url, PUBLIC)
        assert refused.value.code == code
        assert refused.value.detail

    def test_characters_that_no_url_has_are_refused_wherever_they_stand(self) -> None:
        """What RFC 3986 has no place for never gets into a request line: some parser would read it in its own way."""
        for character in (*map(chr, range(0x21)), *'"<>\\^`{|}', "\x7f"):
            for url in ("https://acme.com/a{}b", "https://acme.com/?a={}", "https://acme{}.com/"):
                with pytest.raises(RefusedTarget) as refused:
                    parse_target(url.replace("{}", character), PUBLIC)
                assert refused.value.code == "url_characters", repr(character)

    def test_a_label_is_made_of_letters_digits_and_hyphens(self) -> None:
        """Of all ASCII nothing else is in a name, but `_`, and no label begins or ends with a hyphen."""
        for character in map(chr, range(0x21, 0x7F)):
            for label in (f"{character}a", f"a{character}a", f"a{character}", character):
                good = character.isalnum() or character == "_" or (character == "-" and label == "a-a")
                if good:
                    assert (
                        parse_target(f"https://{label}.acme.com/", PUBLIC).host == f"{label}.acme.com".lower()
                    )
                elif character not in "./?":  # these end the label
                    with pytest.raises(RefusedTarget):
                        parse_target(f"https://{label}.acme.com/", PUBLIC)

    @pytest.mark.parametrize(
        ("url", "target", "normal"),
        [
            (
                "HTTPS://Hooks.Acme.COM/Hook?A=b&c=%2F",
                Target("https", "hooks.acme.com", 443, "/Hook?A=b&c=%2F"),
                "https://hooks.acme.com/Hook?A=b&c=%2F",
            ),
            ("https://acme.com", Target("https", "acme.com", 443, "/"), "https://acme.com/"),
            ("https://MAX.acme.com/X", Target("https", "max.acme.com", 443, "/X"), "https://max.acme.com/X"),
            ("https://acme.com?a=1", Target("https", "acme.com", 443, "/?a=1"), "https://acme.com/?a=1"),
            (
                "https://acme.com:8443/a/../@b;c",
                Target("https", "acme.com", 8443, "/a/../@b;c"),
                "https://acme.com:8443/a/../@b;c",
            ),
            ("https://acme.com:443/", Target("https", "acme.com", 443, "/"), "https://acme.com/"),
            ("https://_x.acme.com/", Target("https", "_x.acme.com", 443, "/"), "https://_x.acme.com/"),
            (
                "https://xn--bcher-kva.com/",
                Target("https", "xn--bcher-kva.com", 443, "/"),
                "https://xn--bcher-kva.com/",
            ),
            ("https://8.8.8.8/", Target("https", "8.8.8.8", 443, "/", "8.8.8.8"), "https://8.8.8.8/"),
            (
                "https://[2606:4700::ABCD]:8443/",
                Target("https", "2606:4700::abcd", 8443, "/", "2606:4700::abcd"),
                "https://[2606:4700::abcd]:8443/",
            ),
        ],
    )
    def test_a_good_url_is_taken_apart(self, url: str, target: Target, normal: str) -> None:
        """A URL becomes its parts, and the parts its normal form, which is read the same again."""
        assert parse_target(url, PUBLIC) == target
        assert target.url == normal
        assert parse_target(normal, PUBLIC) == target

    @pytest.mark.parametrize(
        "name",
        [
            *("alt", "arpa", "corp", "example", "home", "internal", "intranet", "invalid", "lan", "local"),
            *(
                "localdomain",
                "localhost",
                "mail",
                "onion",
                "private",
                "svc",
                "test",
                "home.arpa",
                "svc.cluster.local",
            ),
        ],
    )
    def test_names_that_are_not_on_the_internet_are_refused(self, name: str) -> None:
        """Each reserved name is refused below any host and in any case, and no name that only looks like it."""
        for url in (f"https://hooks.{name}/", f"https://a.b.{name.upper()}:8443/"):
            with pytest.raises(RefusedTarget) as refused:
                parse_target(url, PUBLIC)
            assert refused.value.code == "reserved_name"
        assert parse_target(f"https://{name}.acme.com/", PUBLIC).host == f"{name}.acme.com"

    def test_the_longest_url_and_the_longest_name_are_taken(self) -> None:
        """2,048 characters of URL and 253 of name (RFC 1035) are good, and one more is not."""
        path = "https://acme.com/"
        assert parse_target(path + "a" * (2048 - len(path)), PUBLIC).host == "acme.com"
        name = ".".join(["a" * 57, *["a" * 63] * 3, "com"])
        assert len(name) == 253
        assert parse_target(f"https://{name}/", PUBLIC).host == name
        for url in (path + "a" * (2049 - len(path)), f"https://a{name}/", f"https://{'a' * 64}.com/"):
            with pytest.raises(RefusedTarget):
                parse_target(url, PUBLIC)

    @pytest.mark.parametrize(
        ("url", "port", "address"),
        [
            ("http://localhost:8080/hook", 8080, None),
            ("http://receiver/hook", 80, None),
            ("https://127.0.0.1:1/hook", 1, "127.0.0.1"),
            ("http://[::1]:65535/hook", 65535, "::1"),
            ("https://a.test/", 443, None),
        ],
    )
    def test_a_local_stage_may_do_more(self, url: str, port: int, address: str | None) -> None:
        """With private targets allowed, http, every port, every address and single labels are fine."""
        target = parse_target(url, PRIVATE)
        assert (target.port, target.address) == (port, address)
        with pytest.raises(RefusedTarget):
            parse_target(url, PUBLIC)

    @pytest.mark.parametrize(
        "url",
        [
            "ftp://localhost/",
            "http://localhost:0/",
            "http://localhost:65536/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://a@localhost/",
            "http://localhost/\n",
            "http://local_host\\@x/",
            "http://[::1%25lo]/",
        ],
    )
    def test_a_local_stage_keeps_the_grammar(self, url: str) -> None:
        """Allowing private targets does not loosen how a URL is written."""
        with pytest.raises(RefusedTarget):
            parse_target(url, PRIVATE)


class TestOwnHosts:
    @pytest.mark.parametrize("policy", [Policy(own_hosts=OWN), Policy(allow_private=True, own_hosts=OWN)])
    @pytest.mark.parametrize(
        "url", ["https://api.acme.com/", "https://API.Acme.com:8443/v1", "https://api.acme.com:443?a"]
    )
    def test_the_api_is_no_target(self, url: str, policy: Policy) -> None:
        """Our own host is refused in any case, at any port and at any stage, with advice."""
        with pytest.raises(RefusedTarget, match="your own receiver") as refused:
            parse_target(url, policy)
        assert refused.value.code == "own_host"

    @pytest.mark.parametrize("host", ["acme.com", "x.api.acme.com", "xapi.acme.com", "api.acme.com.au"])
    def test_names_beside_it_are(self, host: str) -> None:
        """Only the host as a whole is ours."""
        assert parse_target(f"https://{host}/", Policy(own_hosts=OWN)).host == host

    def test_an_address_can_be_ours(self) -> None:
        """A local stage may list an address."""
        with pytest.raises(RefusedTarget, match="your own receiver"):
            parse_target(
                "http://127.0.0.1:4566/", Policy(allow_private=True, own_hosts=frozenset({"127.0.0.1"}))
            )


# fmt: off
pieces = st.sampled_from([
    "https://", "http://", "//", "/", "\\", "@", ":", "::", "[", "]", "%", "%2f", "%00", "#", "?", "&", ";", ".", "..",
    "。", "443", "8443", "80", "127.0.0.1", "0x7f", "1", "::1", "[::1]", "8.8.8.8", "acme.com", "localhost", "a-", "-a",
    "_", "xn--", "xn--bcher-kva", "🦊", "é", " ", "'", "(", "*", "+", ",", "=", "!", "$", "~", "|", "^", "{", "}",
])
hosts = st.one_of(
    st.sampled_from(["a.acme.com", "ACME.com", "_x.xn--bcher-kva.com", "1.0x7f.acme.com", "8.8.8.8", "[2606:4700::1]",
                     "localhost", "127.0.0.1", "[::1]"]),
    st.lists(st.sampled_from(["a", "A-1", "_x", "1", "0x7f", "127", "com", "."]), min_size=1, max_size=4).map(".".join),
)
# fmt: on
plausible = st.builds(
    "{}://{}{}{}{}".format,
    st.sampled_from(["https", "HTTPS", "http"]),
    hosts,
    st.sampled_from(["", ":443", ":8443", ":80", ":65535"]),
    st.sampled_from(["", "/", "?", "/?", "//", "/../"]),
    st.text(
        st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"#<>\\^`{|}'), max_size=8
    ),
)
urls = st.one_of(
    plausible,
    plausible,
    plausible.flatmap(lambda url: pieces.map(lambda piece: url + piece)),
    st.lists(pieces, max_size=6).map(lambda some: "https://" + "".join(some)),
    st.lists(pieces, max_size=8).map("".join),
)


def dialled_by_libcurl(url: str, target: Target) -> list[object]:
    """Let libcurl read the URL for itself, and see whether it comes to the host and port that we read."""
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
    """No string is read as one host and port here and as another by the client that sends."""
    try:
        target = parse_target(url, policy)
    except RefusedTarget:
        return
    event("a target")
    assert dialled_by_libcurl(url, target) == [("127.0.0.1", target.port)]
    assert dialled_by_libcurl(target.url, target) == [("127.0.0.1", target.port)]
    assert parse_target(target.url, policy) == target


@settings(max_examples=500)
@given(urls.filter(lambda url: "_" not in url))
def test_what_the_oracle_refuses_is_refused(url: str) -> None:
    """Where another guard says no before it looks anything up, so do we, but for `_`: some receivers' names have it."""
    if denied_by_oracle(url):
        event("denied")
        with pytest.raises(RefusedTarget):
            parse_target(url, PUBLIC)


@given(st.text() | urls)
def test_any_text_is_a_target_or_refused(text: str) -> None:
    """Whatever somebody registers as a URL, nothing but RefusedTarget comes of it."""
    with suppress(RefusedTarget):
        assert parse_target(text, PUBLIC).scheme == "https"
