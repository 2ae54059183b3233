"""Which URLs are accepted as targets, and which rule refuses the others."""

import pytest

from posthorn.domain.errors import RefusedTarget
from posthorn.transport.targets import Policy, Target, parse_target
from tests.unit.transport.posts import PRIVATE, PUBLIC

OWN = frozenset({"api.acme.com"})


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
            ("https://[2606:4700::1111]/", "url_host"),
            ("https://[2606:4700::ABCD]:8443/", "url_host"),
        ],
    )
    def test_a_refusal_says_which_rule(self, url: str, code: str) -> None:
        """Each kind of mistake has its own code and a sentence for the customer."""
        with pytest.raises(RefusedTarget) as refused:
            parse_target(url, PUBLIC)
        assert refused.value.code == code
        assert refused.value.detail

    def test_characters_that_no_url_has_are_refused_wherever_they_stand(self) -> None:
        """Characters outside RFC 3986 never reach a request line, where a parser might misread them."""
        for character in (*map(chr, range(0x21)), *'"<>\\^`{|}', "\x7f"):
            for url in ("https://acme.com/a{}b", "https://acme.com/?a={}", "https://acme{}.com/"):
                with pytest.raises(RefusedTarget) as refused:
                    parse_target(url.replace("{}", character), PUBLIC)
                assert refused.value.code == "url_characters", repr(character)

    def test_a_label_is_made_of_letters_digits_and_hyphens(self) -> None:
        """Letters, digits, hyphens and `_` are allowed in a label; a hyphen may not be first or last."""
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
        ],
    )
    def test_a_good_url_is_taken_apart(self, url: str, target: Target, normal: str) -> None:
        """A URL is split into its parts, and its normal form is parsed into the same parts."""
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
        """Reserved names are refused below any host and in any case; similar names are not."""
        for url in (f"https://hooks.{name}/", f"https://a.b.{name.upper()}:8443/"):
            with pytest.raises(RefusedTarget) as refused:
                parse_target(url, PUBLIC)
            assert refused.value.code == "reserved_name"
        assert parse_target(f"https://{name}.acme.com/", PUBLIC).host == f"{name}.acme.com"

    def test_the_longest_url_and_the_longest_name_are_taken(self) -> None:
        """2,048 characters of URL and 253 of host name (RFC 1035) are accepted, and no more."""
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
        """With private targets allowed, http, any port, any address and single labels are accepted."""
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
        """Allowing private targets does not relax the URL grammar."""
        with pytest.raises(RefusedTarget):
            parse_target(url, PRIVATE)


class TestOwnHosts:
    @pytest.mark.parametrize("policy", [Policy(own_hosts=OWN), Policy(allow_private=True, own_hosts=OWN)])
    @pytest.mark.parametrize(
        "url", ["https://api.acme.com/", "https://API.Acme.com:8443/v1", "https://api.acme.com:443?a"]
    )
    def test_the_api_is_not_a_target(self, url: str, policy: Policy) -> None:
        """Our own host is refused in any case, at any port and at any stage, with advice."""
        with pytest.raises(RefusedTarget, match="your own receiver") as refused:
            parse_target(url, policy)
        assert refused.value.code == "own_host"

    @pytest.mark.parametrize("host", ["acme.com", "x.api.acme.com", "xapi.acme.com", "api.acme.com.au"])
    def test_other_names_are_targets(self, host: str) -> None:
        """Only the exact host is ours."""
        assert parse_target(f"https://{host}/", Policy(own_hosts=OWN)).host == host

    def test_an_address_can_be_ours(self) -> None:
        """A local stage may list an address as its own host."""
        with pytest.raises(RefusedTarget, match="your own receiver"):
            parse_target(
                "http://127.0.0.1:4566/", Policy(allow_private=True, own_hosts=frozenset({"127.0.0.1"}))
            )
