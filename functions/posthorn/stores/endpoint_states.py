"""State changes of endpoints: health, warnings, disabling.

A change that the owner hears of is one transaction with the event that reports it: neither exists without the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthorn.domain.models import DisabledReason, Health
from posthorn.domain.trouble import Trouble, disabled_trouble
from posthorn.stores import endpoint_rows as rows
from posthorn.stores import events
from posthorn.stores.items import n, s
from posthorn.stores.table import NEW, Table
from posthorn.stores.tables import TROUBLE, TROUBLE_SINCE, expiry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.domain.models import Endpoint, Event
    from posthorn.stores.items import Item


class EndpointStates:
    """The states of every endpoint, and the events that report them."""

    def __init__(
        self, dynamodb: DynamoDBClient, config_table: str, events_table: str, *, retention_days: int
    ) -> None:
        self._config = Table(dynamodb, config_table)
        self._events_table = events_table
        self._retention_days = retention_days

    def move(self, endpoint: Endpoint, health: Health, *, now_ms: int) -> None:
        """Change the health of an endpoint, unless it has changed or was disabled since the endpoint was read.

        `revision` stays the same, so that a concurrent change by the owner does not fail.
        """
        condition, values = _same_health(endpoint)
        change, no_trouble = "SET health = :health, health_since = :now", f", {TROUBLE}, {TROUBLE_SINCE}"
        if health is Health.FAILING:
            set_trouble, in_trouble = _trouble(endpoint, Trouble.FAILING, now_ms)
            change, no_trouble, values = f"{change}, {set_trouble}", "", {**values, **in_trouble}
        self._config.update(
            rows.key_of(endpoint.channel, endpoint.id),
            f"{change} REMOVE warned_at{no_trouble}",
            # a disabled endpoint stays in the list of those
            condition=f"{condition} AND enabled = :yes",
            ExpressionAttributeValues={
                **values,
                ":health": s(health),
                ":now": n(now_ms),
                ":yes": {"BOOL": True},
            },
        )

    def warn(self, endpoint: Endpoint, operational_event: Event, *, now_ms: int) -> None:
        """Record that the owner was warned, and write the warning; once for as long as the endpoint keeps failing."""
        condition, values = _same_health(endpoint)
        self._config.transact(
            {
                "Update": {
                    **self._row(endpoint),
                    "UpdateExpression": "SET warned_at = :now",
                    "ConditionExpression": f"{condition} AND enabled = :yes AND attribute_not_exists(warned_at)",
                    "ExpressionAttributeValues": {**values, ":now": n(now_ms), ":yes": {"BOOL": True}},
                }
            },
            {"Put": self._event(operational_event, now_ms)},
        )

    def disable(
        self, endpoint: Endpoint, reason: DisabledReason, operational_event: Event, *, now_ms: int
    ) -> None:
        """Disable an endpoint and write the event that reports it, unless the owner changed it since it was read."""
        condition, values = "attribute_exists(pk)", dict[str, Any]()
        if reason is DisabledReason.FAILING:
            condition, values = _same_health(endpoint)  # a 2xx in the meantime resets its health
        set_trouble, in_trouble = _trouble(endpoint, disabled_trouble(reason), now_ms)
        self._config.transact(
            {
                "Update": {
                    **self._row(endpoint),
                    "UpdateExpression": (
                        "SET enabled = :no, disabled_reason = :reason, disabled_at = :now,"
                        f" revision = revision + :one, {set_trouble}"
                    ),
                    "ConditionExpression": f"{condition} AND revision = :read AND enabled = :yes",
                    "ExpressionAttributeValues": {
                        **values,
                        **in_trouble,
                        ":no": {"BOOL": False},
                        ":yes": {"BOOL": True},
                        ":reason": s(reason),
                        ":now": n(now_ms),
                        ":read": n(endpoint.revision),
                        ":one": n(1),
                    },
                }
            },
            {"Put": self._event(operational_event, now_ms)},
        )

    def report(self, operational_event: Event, *, now_ms: int) -> dict[str, Any]:
        """Return the write of a transaction that reports a change."""
        return {"Put": self._event(operational_event, now_ms)}

    def _row(self, endpoint: Endpoint) -> dict[str, Any]:
        return {"TableName": self._config.name, "Key": rows.key_of(endpoint.channel, endpoint.id)}

    def _event(self, operational_event: Event, now_ms: int) -> Any:
        return {
            "TableName": self._events_table,
            "Item": events.to_item(operational_event, expires_at=expiry(now_ms, self._retention_days)),
            "ConditionExpression": NEW,
        }


def _trouble(endpoint: Endpoint, trouble: Trouble, since_ms: int) -> tuple[str, Item]:
    """Return what puts a row into the index of endpoints in trouble: assignments, and their values."""
    marks = rows.trouble_item(endpoint.id, trouble, since_ms)
    assignments = f"{TROUBLE} = :trouble, {TROUBLE_SINCE} = :trouble_since"
    return assignments, {":trouble": marks[TROUBLE], ":trouble_since": marks[TROUBLE_SINCE]}


def _same_health(endpoint: Endpoint) -> tuple[str, Item]:
    """Return the condition that an endpoint exists and that its health is as it was read."""
    if endpoint.health_since is None:
        return "attribute_exists(pk) AND attribute_not_exists(health_since)", {}
    return "health_since = :since", {":since": n(endpoint.health_since)}
