"""What happens to endpoints without their owner: health, warnings, being switched off.

Whatever an owner is told of is one transaction with the event that tells it: neither exists without the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthorn.aws.clients import call
from posthorn.domain.errors import ConditionFailed
from posthorn.domain.models import DisabledReason, Health
from posthorn.stores import endpoint_rows as rows
from posthorn.stores import events
from posthorn.stores.items import n, s
from posthorn.stores.tables import expiry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.domain.models import Endpoint, Event
    from posthorn.stores.items import Item


class EndpointStates:
    """The states of every endpoint, and the events that tell of them."""

    def __init__(
        self, dynamodb: DynamoDBClient, config_table: str, events_table: str, *, retention_days: int
    ) -> None:
        self._dynamodb = dynamodb
        self._config_table = config_table
        self._events_table = events_table
        self._retention_days = retention_days

    def move(self, endpoint: Endpoint, health: Health, *, now_ms: int) -> None:
        """Bring an endpoint into another health, unless that has changed since it was read.

        Its `revision` stays: a change by the owner is not to fail for it.
        """
        condition, values = _same_health(endpoint)
        try:
            call(
                self._dynamodb.update_item,
                TableName=self._config_table,
                Key=rows.key_of(endpoint.channel, endpoint.id),
                UpdateExpression="SET health = :health, health_since = :now REMOVE warned_at",
                ConditionExpression=condition,
                ExpressionAttributeValues={**values, ":health": s(health), ":now": n(now_ms)},
            )
        except ConditionFailed:
            return

    def warn(self, endpoint: Endpoint, operational_event: Event, *, now_ms: int) -> None:
        """Note that the owner was warned, and warn; once for as long as the endpoint goes on failing."""
        condition, values = _same_health(endpoint)
        self._together(
            {
                **self._row(endpoint),
                "UpdateExpression": "SET warned_at = :now",
                "ConditionExpression": f"{condition} AND enabled = :yes AND attribute_not_exists(warned_at)",
                "ExpressionAttributeValues": {**values, ":now": n(now_ms), ":yes": {"BOOL": True}},
            },
            operational_event,
            now_ms,
        )

    def disable(
        self, endpoint: Endpoint, reason: DisabledReason, operational_event: Event, *, now_ms: int
    ) -> None:
        """Switch an endpoint off, and say so, unless its owner has changed it since it was read."""
        condition, values = "attribute_exists(pk)", dict[str, Any]()
        if reason is DisabledReason.FAILING:
            condition, values = _same_health(endpoint)  # a 2xx in the meantime is a new beginning
        self._together(
            {
                **self._row(endpoint),
                "UpdateExpression": (
                    "SET enabled = :no, disabled_reason = :reason, disabled_at = :now, revision = revision + :one"
                ),
                "ConditionExpression": f"{condition} AND revision = :read AND enabled = :yes",
                "ExpressionAttributeValues": {
                    **values,
                    ":no": {"BOOL": False},
                    ":yes": {"BOOL": True},
                    ":reason": s(reason),
                    ":now": n(now_ms),
                    ":read": n(endpoint.revision),
                    ":one": n(1),
                },
            },
            operational_event,
            now_ms,
        )

    def replace(self, old: Endpoint, new: Endpoint, operational_event: Event, *, now_ms: int) -> bool:
        """Write an endpoint anew, and what that is to be told by; false when it has changed since `old` was read."""
        write: Any = {
            "TableName": self._config_table,
            "Item": rows.to_item(new),
            "ConditionExpression": "revision = :old",
            "ExpressionAttributeValues": {":old": n(old.revision)},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            call(
                self._dynamodb.transact_write_items,
                TransactItems=[{"Put": write}, {"Put": self._event(operational_event, now_ms)}],
            )
        except ConditionFailed as lost:
            # a call whose answer was lost is repeated by botocore and then finds its own row
            return lost.found is not None and rows.from_item(dict(lost.found)) == new
        return True

    def _together(self, update: Any, operational_event: Event, now_ms: int) -> None:
        try:
            call(
                self._dynamodb.transact_write_items,
                TransactItems=[{"Update": update}, {"Put": self._event(operational_event, now_ms)}],
            )
        except ConditionFailed:
            return

    def _row(self, endpoint: Endpoint) -> dict[str, Any]:
        return {"TableName": self._config_table, "Key": rows.key_of(endpoint.channel, endpoint.id)}

    def _event(self, operational_event: Event, now_ms: int) -> Any:
        return {
            "TableName": self._events_table,
            "Item": events.to_item(operational_event, expires_at=expiry(now_ms, self._retention_days)),
            "ConditionExpression": "attribute_not_exists(pk)",
        }


def _same_health(endpoint: Endpoint) -> tuple[str, Item]:
    """Return the condition that an endpoint is there and its health as it was read."""
    if endpoint.health_since is None:
        return "attribute_exists(pk) AND attribute_not_exists(health_since)", {}
    return "health_since = :since", {":since": n(endpoint.health_since)}
