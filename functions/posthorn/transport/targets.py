"""The guard: which webhook URLs and which addresses deliveries may go to.

A URL is parsed once, here, and refused rather than repaired. The sender gets the parsed parts, never the string: two
parsers that read one string differently are how a guard is bypassed.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from posthorn.domain.errors import RefusedTarget
from posthorn.transport.blocked_networks import canonical, refusal

MAX_URL_LENGTH: Final = 2048
DEFAULT_PORTS: Final = {"https": 443, "http": 80}
PUBLIC_PORTS: Final = (443, 8443)

_REMEMBERED: Final = 4096  # results of pure functions that every attempt needs

# Top-level names that are not on the public internet.
_RESERVED: Final = frozenset(
    {
        "alt",  # RFC 9476
        "arpa",  # reverse trees, and home.arpa of RFC 8375
        "corp",  # never to be delegated by ICANN, like home and mail
        "example",  # RFC 6761, like invalid, localhost and test
        "home",
        "internal",  # reserved by ICANN for private use
        "intranet",
        "invalid",
        "lan",
        "local",  # RFC 6762
        "localdomain",
        "localhost",
        "mail",
        "onion",  # RFC 7686
        "private",
        "svc",  # Kubernetes
        "test",
    }
)
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f\\^`{|}<>\"]")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Policy:
    """Which targets are allowed.

    `allow_private` is for a local stage: it allows http, every port, every address, and names with a single label.
    `own_hosts` are our own API's names in lower case: a delivery to them would be a request to ourselves.
    """

    allow_private: bool = False
    own_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed webhook URL: the parts of a connection. The host is in lower case, an IPv6 address without brackets."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)  # with the query; it can be a credential
    address: str | None = None  # the host, if it is an address rather than a name

    @property
    def origin(self) -> str:
        """The URL without the parts that may be secret, for logs."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    @property
    def url(self) -> str:
        """The normalized URL, built from the parts."""
        return self.origin + self.path


@lru_cache(_REMEMBERED)
def parse_target(url: str, policy: Policy) -> Target:
    """Parse a webhook URL; `RefusedTarget` says what is wrong with it and repeats nothing after the host."""
    _check_characters(url)
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or not (scheme == "https" or (scheme == "http" and policy.allow_private)):
        raise RefusedTarget("Must start with https://.", code="url_scheme")
    # An authority ends where the path or the query starts.
    end = next((at for at, character in enumerate(rest) if character in "/?"), len(rest))
    authority, path = rest[:end], rest[end:]
    if "@" in authority:
        raise RefusedTarget("Must not contain a user name or password.", code="url_credentials")
    host, port = _split(authority)
    address = _address(host, policy)
    name = host.lower() if address is None else address
    if address is None:
        _check_name(name, policy)
    if name in policy.own_hosts:
        raise RefusedTarget(
            "Must be the URL of your own receiver, not of the API that sends the webhooks.", code="own_host"
        )
    return Target(
        scheme=scheme,
        host=name,
        port=_port(port, scheme, policy),
        path=path if path.startswith("/") else "/" + path,
        address=address,
    )


@lru_cache(_REMEMBERED)
def rule_against(address: str, policy: Policy) -> str | None:
    """Return the name of the rule that blocks this address, None if the policy allows it."""
    if policy.allow_private and canonical(address) is not None:
        return None
    return refusal(address)


def check_address(address: str, policy: Policy) -> None:
    """Raise `RefusedTarget` unless the policy allows this address."""
    if rule := rule_against(address, policy):
        raise RefusedTarget(f"Must be a public address: {address} is not ({rule}).", code="blocked_address")


def _check_characters(url: str) -> None:
    if len(url) > MAX_URL_LENGTH:
        raise RefusedTarget(f"Must have at most {MAX_URL_LENGTH} characters.", code="url_too_long")
    if not url.isascii():
        raise RefusedTarget(
            "Must be plain ASCII: write the host in its xn-- form and percent-encode the rest.",
            code="url_characters",
        )
    if _FORBIDDEN.search(url):
        raise RefusedTarget(
            'Must not contain spaces, control characters or any of \\ ^ ` { | } < > ".',
            code="url_characters",
        )
    if "#" in url:
        raise RefusedTarget("Must not contain a fragment (#).", code="url_fragment")


def _split(authority: str) -> tuple[str, str | None]:
    """Return the host (an IPv6 address with its brackets) and the port as written, None without one."""
    if authority.startswith("["):
        host, bracket, rest = authority.partition("]")
        if not bracket:
            raise _bad_host("An IPv6 address must have a closing bracket.")
        host += bracket
    else:
        host, colon, rest = authority.partition(":")
        rest = colon + rest
    if rest and not rest.startswith(":"):
        raise _bad_host("Only a port can follow the brackets of an IPv6 address.")
    return host, rest[1:] if rest else None


def _port(text: str | None, scheme: str, policy: Policy) -> int:
    if text is None:
        return DEFAULT_PORTS[scheme]
    port = int(text) if _PORT.fullmatch(text) else 0
    if not policy.allow_private and port not in PUBLIC_PORTS:
        raise RefusedTarget("The port must be 443 or 8443.", code="url_port")
    if not 1 <= port <= 65535:
        raise RefusedTarget("The port must be a number from 1 to 65535.", code="url_port")
    return port


def _address(host: str, policy: Policy) -> str | None:
    """Return the address if the host is one; raise `RefusedTarget` if it is blocked or not in canonical form."""
    bracketed = host.startswith("[")
    text = host.removeprefix("[").removesuffix("]").lower() if bracketed else host
    address = canonical(text)
    if address is None or bracketed != (":" in text):
        if bracketed or ":" in text:
            raise _bad_host("The brackets must contain an IPv6 address without a zone.")
        return None
    check_address(address, policy)
    if text != address:
        raise _bad_host(f"The address must be written as [{address}].")
    # a function has no IPv6, and names are looked up for IPv4 only
    if bracketed and not policy.allow_private:
        raise _bad_host("The host must be a name or an IPv4 address: webhooks are sent over IPv4 only.")
    return address


def _check_name(name: str, policy: Policy) -> None:
    labels = name.split(".")
    if not name:
        raise _bad_host("Must contain a host.")
    if name.endswith("."):
        raise _bad_host("The host must not end with a dot.")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _bad_host(
            "The host must consist of labels of at most 63 letters, digits and hyphens, separated by dots."
        )
    # C libraries and browsers read 127.1, 0x7f.1 and 2130706433 as addresses. No top-level domain starts with a digit.
    if not labels[-1][0].isalpha():
        raise _bad_host(
            "The host must be a name whose last label starts with a letter, or an address of four numbers."
        )
    if any(label.startswith("xn--") and not _is_punycode(label[4:]) for label in labels):
        raise _bad_host("The xn-- labels of the host must be valid Punycode.")
    if policy.allow_private:
        return
    if len(labels) < 2:
        raise _bad_host("The host must have a domain: a single label is not on the public internet.")
    if labels[-1] in _RESERVED:
        raise RefusedTarget(
            f"The host must be on the public internet, where .{labels[-1]} does not exist.",
            code="reserved_name",
        )


def _is_punycode(text: str) -> bool:
    try:
        return text.encode("ascii").decode("punycode").encode("punycode") == text.encode("ascii")
    except UnicodeError:
        return False


def _bad_host(detail: str) -> RefusedTarget:
    return RefusedTarget(detail, code="url_host")
