"""The row of an endpoint: `pk` is the channel, `sk` is `endpoint#<id>`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.errors import Malformed
from posthorn.domain.models import DisabledReason, Endpoint, Health, PreviousSecret, SealedSecret
from posthorn.domain.trouble import trouble_of
from posthorn.stores import items
from posthorn.stores.items import n, s
from posthorn.stores.tables import PK, ROW_VERSION, SK, TROUBLE, TROUBLE_SINCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthorn.domain.trouble import Trouble
    from posthorn.stores.items import Item

PREFIX: Final = "endpoint#"


def key_of(channel: str, endpoint_id: str) -> Item:
    return {PK: s(channel), SK: s(PREFIX + endpoint_id)}


def id_of(item: Mapping[str, Any]) -> str:
    return items.text(item, SK).removeprefix(PREFIX)


def to_item(endpoint: Endpoint) -> Item:
    item: Item = {
        **key_of(endpoint.channel, endpoint.id),
        "v": n(ROW_VERSION),
        "workspace": s(endpoint.workspace),
        "kind": s(endpoint.kind),
        "format": s(endpoint.format),
        "url": s(endpoint.url),
        "events": items.texts(endpoint.events),
        "secret": {"B": endpoint.secret.ciphertext},
        "secret_version": n(endpoint.secret.version),
        "created_at": n(endpoint.created_at),
        "enabled": {"BOOL": endpoint.enabled},
        "retry_rate_limited": {"BOOL": endpoint.retry_rate_limited},
        "revision": n(endpoint.revision),
    }
    if endpoint.name is not None:
        item["name"] = s(endpoint.name)
    if endpoint.previous_secret is not None:
        item["previous_secret"] = {"B": endpoint.previous_secret.sealed.ciphertext}
        item["previous_version"] = n(endpoint.previous_secret.sealed.version)
        item["previous_until"] = n(endpoint.previous_secret.until)
    if endpoint.description is not None:
        item["description"] = s(endpoint.description)
    if endpoint.disabled_reason is not None:
        item["disabled_reason"] = s(endpoint.disabled_reason)
    if endpoint.disabled_at is not None:
        item["disabled_at"] = n(endpoint.disabled_at)
    if endpoint.url_since is not None:
        item["url_since"] = n(endpoint.url_since)
    if endpoint.health_since is not None:
        item["health"] = s(endpoint.health)
        item["health_since"] = n(endpoint.health_since)
    if endpoint.warned_at is not None:
        item["warned_at"] = n(endpoint.warned_at)
    if (trouble := trouble_of(endpoint)) is not None:
        item |= trouble_item(endpoint.id, *trouble)
    return item


def trouble_item(endpoint_id: str, trouble: Trouble, since_ms: int) -> Item:
    """Return the attributes that put a row into the index of endpoints in trouble."""
    return {TROUBLE: s(trouble), TROUBLE_SINCE: s(f"{since_ms:013d}#{endpoint_id}")}


def from_item(item: Mapping[str, Any]) -> Endpoint:
    """Read a row; `Malformed` if this version cannot read it."""
    if (version := items.number(item, "v")) > ROW_VERSION:
        raise Malformed(f"the row of an endpoint has the unknown version {version}")
    reason = items.optional_text(item, "disabled_reason")
    try:
        return Endpoint(
            id=id_of(item),
            channel=items.text(item, PK),
            workspace=items.text(item, "workspace"),
            kind=EndpointKind(items.text(item, "kind")),
            format=PayloadFormat(items.text(item, "format")),
            url=items.text(item, "url"),
            events=items.text_list(item, "events"),
            secret=SealedSecret(items.binary(item, "secret"), items.number(item, "secret_version")),
            created_at=items.number(item, "created_at"),
            enabled=items.flag(item, "enabled", default=True),
            disabled_reason=_disabled_reason(reason),
            disabled_at=items.optional_number(item, "disabled_at"),
            description=items.optional_text(item, "description"),
            retry_rate_limited=items.flag(item, "retry_rate_limited", default=False),
            name=items.optional_text(item, "name"),
            previous_secret=_previous_secret(item),
            url_since=items.optional_number(item, "url_since"),
            health=_health(items.optional_text(item, "health")),
            health_since=items.optional_number(item, "health_since"),
            warned_at=items.optional_number(item, "warned_at"),
            revision=items.number(item, "revision"),
        )
    except ValueError as error:
        raise Malformed("the row of an endpoint holds an unknown value") from error


def _disabled_reason(text: str | None) -> DisabledReason | None:
    """Read why an endpoint is disabled; it stays disabled even if only a later version knows the reason."""
    if text is None:
        return None
    return DisabledReason(text) if text in frozenset(DisabledReason) else DisabledReason.MANUAL


def _health(text: str | None) -> Health:
    """Read the health of an endpoint; one with a state that only a later version knows is kept apart."""
    if text is None:
        return Health.HEALTHY
    return Health(text) if text in frozenset(Health) else Health.SLOW


def _previous_secret(item: Mapping[str, Any]) -> PreviousSecret | None:
    if "previous_secret" not in item:
        return None
    sealed = SealedSecret(items.binary(item, "previous_secret"), items.number(item, "previous_version"))
    return PreviousSecret(sealed, until=items.number(item, "previous_until"))
