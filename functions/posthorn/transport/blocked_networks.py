"""Decides which addresses are public, by a table of our own.

The flags of `ipaddress` change with the runtime's patch level and treat multicast and NAT64 as global, so they are not
used here.
"""

import socket
from typing import Final

# From the IANA special-purpose address registries as of 2026-08-22, plus addresses that clouds reserve.
# The registry calls some of these "globally reachable", but no webhook receiver runs there.
_IPV4_DENIED: Final = {
    "0.0.0.0/8": "this network",  # 0.0.0.0 reaches loopback on Linux
    "10.0.0.0/8": "private network",
    "100.64.0.0/10": "shared address space",  # carrier NAT, Alibaba's metadata
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "cloud platform",  # Azure's WireServer, in a public range
    "169.254.0.0/16": "link-local",  # metadata services; the Lambda runtime API
    "172.16.0.0/12": "private network",
    "192.0.0.0/24": "protocol assignments",  # Oracle's metadata
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "AS112",
    "192.52.193.0/24": "AMT relay",
    "192.88.99.0/24": "6to4 relay",
    "192.168.0.0/16": "private network",
    "192.175.48.0/24": "AS112",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",  # 255.255.255.255 too
}

# All addresses that are allocated for the internet; everything else is denied, whether listed below or not.
_IPV6_PUBLIC: Final = {"2000::/3": "public"}

_IPV6_DENIED: Final = {
    "2001::/23": "protocol assignments",  # Teredo, benchmarking, ORCHID, anycasts
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",  # carries an IPv4 address
    "2620:4f:8000::/48": "AS112",
    "3fff::/20": "documentation",
    # Outside 2000::/3: listed only so that the refusal can name them.
    "::1/128": "loopback",
    "::/96": "IPv4-compatible",  # :: too
    "::ffff:0:0/96": "IPv4-mapped",
    "::ffff:0:0:0/96": "IPv4-translated",
    "64:ff9b::/96": "NAT64",
    "64:ff9b:1::/48": "NAT64",
    "100::/64": "discard-only",
    "100:0:0:1::/64": "dummy prefix",
    "5f00::/16": "segment routing",
    "fc00::/7": "private network",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}


def refusal(address: str) -> str | None:
    """Return the name of the rule that blocks this address, None if the address is public."""
    if (number := _number(socket.AF_INET, address)) is not None:
        return _first_match(_IPV4_RULES, number, bits=32)
    if (number := _number(socket.AF_INET6, address)) is not None:
        if _first_match(_IPV6_PUBLIC_RULES, number, bits=128):
            return _first_match(_IPV6_RULES, number, bits=128)
        return _first_match(_IPV6_RULES, number, bits=128) or "not allocated"
    return "not an IP address"


def canonical(address: str) -> str | None:
    """Return an address in canonical form, None if the text is not an address.

    An IPv4 address has only one valid form. An IPv6 address with a zone (`%eth0`) is not accepted.
    """
    for family in (socket.AF_INET, socket.AF_INET6):
        if (packed := _packed(family, address)) is not None:
            return socket.inet_ntop(family, packed)
    return None


type _Rules = tuple[tuple[int, int, str], ...]  # network, prefix length, name


def _packed(family: socket.AddressFamily, address: str) -> bytes | None:
    try:
        # Not inet_aton, which accepts octal, hexadecimal and shortened forms.
        return socket.inet_pton(family, address)
    except (OSError, ValueError):
        return None


def _number(family: socket.AddressFamily, address: str) -> int | None:
    packed = _packed(family, address)
    return None if packed is None else int.from_bytes(packed)


def _rules(family: socket.AddressFamily, table: dict[str, str]) -> _Rules:
    def rule(network: str) -> tuple[int, int]:
        first, _, prefix = network.partition("/")
        return int.from_bytes(socket.inet_pton(family, first)), int(prefix)

    return tuple((*rule(network), name) for network, name in table.items())


def _first_match(rules: _Rules, number: int, *, bits: int) -> str | None:
    for network, prefix, name in rules:
        if (number ^ network) >> (bits - prefix) == 0:
            return name
    return None


_IPV4_RULES: Final = _rules(socket.AF_INET, _IPV4_DENIED)
_IPV6_RULES: Final = _rules(socket.AF_INET6, _IPV6_DENIED)
_IPV6_PUBLIC_RULES: Final = _rules(socket.AF_INET6, _IPV6_PUBLIC)
