"""The SSRF vectors: URLs, what their names resolve to, and whether a delivery may go there.

`SSRF_VECTORS=<file> pytest tests/unit/transport/test_addresses.py` runs another file of the same schema.
"""

import ipaddress
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from posthorn.domain.errors import NameNotResolved

OWN_FILE: Final = Path(__file__).parents[2] / "vectors" / "ssrf.json"


@dataclass(frozen=True, slots=True)
class Vector:
    id: str
    url: str
    expect: str  # allow, deny
    level: str  # must, should, may
    stage: str  # url, dns, rebind, redirect
    category: str = ""
    reason: str = ""
    dns: dict[str, list[str]] = field(default_factory=dict)
    dns_seq: dict[str, list[list[str]]] = field(default_factory=dict)
    http: list[dict[str, Any]] = field(default_factory=list)
    must_dial: list[str] = field(default_factory=list)
    never_dial: list[str] = field(default_factory=list)

    @property
    def is_binding(self) -> bool:
        """Return whether the result is required. Projects may deviate from `should`; this one does not."""
        return self.level in {"must", "should"}


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def vectors(*stages: str) -> list[Vector]:
    known = Vector.__dataclass_fields__
    listed = _read(Path(os.environ.get("SSRF_VECTORS", OWN_FILE)))["vectors"]
    every = [Vector(**{key: value for key, value in vector.items() if key in known}) for vector in listed]
    return [vector for vector in every if vector.stage in stages]


def each(*stages: str) -> pytest.MarkDecorator:
    """Run a test once for each vector of these stages."""
    return pytest.mark.parametrize("vector", vectors(*stages), ids=lambda vector: vector.id)


def resolver_of(vector: Vector) -> Callable[[str], Iterable[str]]:
    """Return a resolver that answers as the vector says; the last answer of a sequence repeats."""
    sequences = {**{host: [answer] for host, answer in vector.dns.items()}, **vector.dns_seq}
    lookups: dict[str, int] = {}

    def resolver(host: str) -> Iterable[str]:
        if host not in sequences:
            raise NameNotResolved(f"DNS has no IPv4 address for {host}")
        at = lookups.get(host, 0)
        lookups[host] = at + 1
        return sequences[host][min(at, len(sequences[host]) - 1)]

    return resolver


_RANGES: Final = _read(OWN_FILE)["meta"]["ranges"]
DENIED_IPV4: Final = [ipaddress.IPv4Network(block) for block in _RANGES["v4_deny"]]
PUBLIC_IPV6: Final = ipaddress.IPv6Network(_RANGES["v6_allow_only"])
DENIED_IPV6: Final = [
    ipaddress.IPv6Network(block) for block in (*_RANGES["v6_deny_inside"], *_RANGES["v6_named_outside"])
]


def is_public(text: str) -> bool:
    """Decide by the ranges that come with the vectors: an independent second opinion."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in block for block in DENIED_IPV4)
    return address in PUBLIC_IPV6 and not any(address in block for block in DENIED_IPV6)
