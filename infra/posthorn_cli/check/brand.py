"""Checks that deliveries carry the operator's own brand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn.settings import Brand
from posthorn_cli.check.findings import ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn_cli.check.deployed import Deployed
    from posthorn_cli.check.findings import Finding

_BRAND: Final = Brand()
DEFAULTS: Final = {
    "BrandHeaderPrefix": _BRAND.header_prefix,
    "BrandAliasHeader": _BRAND.alias_header,
    "BrandUserAgent": _BRAND.user_agent,
    "EmailBrandHeaderPrefix": _BRAND.email_header_prefix,
    "EmailBrandUserAgent": _BRAND.email_user_agent,
}
"""The parameters, with the values of a deploy that sets none."""


def check_brand(deployed: Deployed) -> Iterator[Finding]:
    """Name the brand parameters that still have their defaults."""
    if deployed.is_local:
        yield ok("Stage local needs no brand.")
        return
    unset = [name for name, default in DEFAULTS.items() if deployed.parameters.get(name) == default]
    if not unset:
        yield ok(f"Webhooks are signed in {deployed.parameters.get('BrandHeaderPrefix')}-Signature.")
        return
    values = ", ".join(f"{name}={deployed.parameters[name]}" for name in unset)
    yield warn(
        f"Receivers see the default brand: {values}.",
        "Unless it is yours, set these parameters before the first customer depends on the headers.",
    )
