"""Rules of DynamoDB that moto leaves out, added to moto: tests run on tables that are as strict as AWS's.

Each rule names the page of AWS that states it: `API` is docs.aws.amazon.com/amazondynamodb/latest/APIReference, `Guide`
is docs.aws.amazon.com/amazondynamodb/latest/developerguide.
"""

from __future__ import annotations

import re
import zlib
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from moto.dynamodb.exceptions import DynamodbException, MockValidationException
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing.key_condition_expression import parse_expression
from moto.dynamodb.responses import DynamoHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

type Json = Any

_OPERATIONS: Final = (
    "get_item",
    "put_item",
    "update_item",
    "delete_item",
    "query",
    "scan",
    "batch_get_item",
    "batch_write_item",
    "transact_write_items",
)
_WRITES_OF_A_BATCH: Final = 25
_KEY_BYTES: Final = (2048, 1024)  # partition key, sort key
_READS: Final = {
    "query": (3, 6, 7, 9),
    "scan": (1, 6, 4, 3),
}  # limit, projection, index, filter in moto's arguments
_PLACEHOLDER: Final = re.compile(r"[#:]\w+")
_BETWEEN: Final = re.compile(r"BETWEEN\s+(:\w+)\s+AND\s+(:\w+)", re.IGNORECASE)


@contextmanager
def strict() -> Iterator[None]:
    """Apply the rules to everything that moto's DynamoDB is asked for in the block."""
    answered: dict[str, tuple[Json, Json]] = {}  # by ClientRequestToken
    with ExitStack() as patches:
        for name in _OPERATIONS:
            plain = getattr(DynamoHandler, name)
            patches.enter_context(mock.patch.object(DynamoHandler, name, _strictly(name, plain, answered)))
        for name, places in _READS.items():
            plain = getattr(Table, name)
            patches.enter_context(mock.patch.object(Table, name, _stopped_by_limit(plain, *places)))
        yield


def _strictly(
    name: str, plain: Callable[[DynamoHandler], Json], answered: dict[str, tuple[Json, Json]]
) -> Callable[[DynamoHandler], Json]:
    def operation(self: DynamoHandler) -> Json:
        asked: Json = self.body
        backend = self.dynamodb_backend
        for table, part in _parts(asked):
            _no_unused_placeholders(part)
            _bounds_in_order(part)
            for key in _keys(part):
                _short_enough(backend.get_table(table), key)
        if name == "batch_write_item":
            _one_write_for_each_row(backend, asked["RequestItems"])
        if name == "query":
            _start_within_the_condition(backend, asked)
        if name == "transact_write_items":
            return _once_for_each_token(asked, answered, lambda: plain(self))
        answer = plain(self)
        if name == "batch_get_item":
            for rows in answer.result["Responses"].values():
                rows.sort(key=_disorder)
        if name == "scan":
            answer.result.get("Items", []).sort(key=_disorder)
        return answer

    operation.__name__ = name
    return operation


def _parts(asked: Json) -> Iterator[tuple[str, Json]]:
    """Yield every part of a request that has keys and expressions of its own, with its table."""
    if "TransactItems" in asked:
        for write in asked["TransactItems"]:
            (part,) = write.values()
            yield part["TableName"], part
    elif "RequestItems" in asked:
        for table, wanted in asked["RequestItems"].items():
            if isinstance(wanted, dict):
                yield table, wanted
            else:
                yield from ((table, part) for write in wanted for part in write.values())
    else:
        yield asked["TableName"], asked


def _keys(part: Json) -> list[Json]:
    return [*part.get("Keys", ()), *(part[name] for name in ("Key", "Item") if name in part)]


def _key_names(table: Table) -> tuple[Any, Any]:
    return table.hash_key_attr, table.range_key_attr


def _expressions(part: Json) -> str:
    return " ".join(text for name, text in part.items() if name.endswith("Expression"))


@cache
def _placeholders(expressions: str) -> frozenset[str]:
    return frozenset(_PLACEHOLDER.findall(expressions))


@cache
def _ranges(expressions: str) -> list[tuple[str, str]]:
    return _BETWEEN.findall(expressions)


def _no_unused_placeholders(part: Json) -> None:
    """Refuse placeholders that no expression uses (Guide, Expressions.ExpressionAttributeValues.html)."""
    if not ("ExpressionAttributeNames" in part or "ExpressionAttributeValues" in part):
        return
    used = _placeholders(_expressions(part))
    for name in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        if unused := (part.get(name) or {}).keys() - used:
            raise MockValidationException(
                f"Value provided in {name} unused in expressions: keys: {{{', '.join(sorted(unused))}}}"
            )


def _bounds_in_order(part: Json) -> None:
    """Refuse a BETWEEN whose lower bound is above its upper one (API, API_Query.html, KeyConditionExpression)."""
    values = part.get("ExpressionAttributeValues") or {}
    for lower, upper in _ranges(_expressions(part)) if values else ():
        if _order(values[lower]) > _order(values[upper]):
            raise MockValidationException(
                "The BETWEEN operator requires upper bound to be greater than or equal to lower bound;"
                f" lower bound operand: {values[lower]}, upper bound operand: {values[upper]}"
            )


def _order(value: Json) -> Any:
    ((kind, content),) = value.items()
    return Decimal(content) if kind == "N" else content.encode() if isinstance(content, str) else content


def _short_enough(table: Table, key: Json) -> None:
    """Refuse partition keys above 2,048 bytes and sort keys above 1,024 (Guide, Constraints.html)."""
    for name, most in zip(_key_names(table), _KEY_BYTES, strict=True):
        if len(str(key.get(name, {}).get("S", "")).encode()) > most:
            raise MockValidationException(
                f"One or more parameter values were invalid: The key {name} exceeds the size limit of {most} bytes"
            )


def _one_write_for_each_row(backend: Json, requests: Json) -> None:
    """Refuse more than 25 requests, none, and two of them for one row (API, API_BatchWriteItem.html)."""
    rows: list[Json] = []
    for table, writes in requests.items():
        names = _key_names(backend.get_table(table))
        for write in writes:
            ((kind, request),) = write.items()
            row = request["Item" if kind == "PutRequest" else "Key"]
            rows.append([table, *(row[name] for name in names)])
    if not 1 <= len(rows) <= _WRITES_OF_A_BATCH:
        raise MockValidationException("Too many items requested for the BatchWriteItem call")
    if any(row in rows[:at] for at, row in enumerate(rows)):
        raise MockValidationException("Provided list of item keys contains duplicates")


def _start_within_the_condition(backend: Json, asked: Json) -> None:
    """Refuse a start key that the same query cannot have returned (Guide, Query.Pagination.html)."""
    if (start := asked.get("ExclusiveStartKey")) is None:
        return
    values = asked["ExpressionAttributeValues"]
    schema = backend.get_schema(asked["TableName"], asked.get("IndexName"))
    partitions, ranges, _ = parse_expression(
        asked["KeyConditionExpression"], values, asked.get("ExpressionAttributeNames") or {}, schema
    )
    table = backend.get_table(asked["TableName"])
    if start.keys() != {*_key_names(table), *(key["AttributeName"] for key in schema)}:
        raise MockValidationException("The provided starting key is invalid")
    within = [start[name] == value for name, value in partitions]
    within += [
        DynamoType(start[name]).compare(comparison, [DynamoType(bound) for bound in bounds])
        for name, comparison, bounds in ranges
    ]
    if not all(within):
        raise MockValidationException(
            "The provided starting key is outside query boundaries based on provided conditions"
        )


def _once_for_each_token(
    asked: Json, answered: dict[str, tuple[Json, Json]], apply: Callable[[], Json]
) -> Json:
    """Apply a request once for each ClientRequestToken, and refuse another one with it (API, API_TransactWriteItems.html)."""
    token = asked.get("ClientRequestToken")
    if token not in answered:
        answer = apply()
        if token is not None:
            answered[token] = (asked["TransactItems"], answer)
        return answer
    before, answer = answered[token]
    if before != asked["TransactItems"]:
        raise DynamodbException(
            "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException",
            message="Request parameters do not match those of an earlier request with this token",
        )
    return answer


def _disorder(row: Json) -> int:
    """Order rows as no caller expects, but the same every time (API, API_BatchGetItem.html: no particular order)."""
    return zlib.crc32(repr(row).encode())


def _stopped_by_limit(
    plain: Callable[..., Json], limit: int, projection: int, index: int, filtered: int
) -> Callable[..., Json]:
    """Return a key to go on from whenever the limit stopped a read, even behind the last row (API, API_Query.html, Limit)."""

    def read(self: Table, *args: Json, **options: Json) -> Json:
        rows, scanned, last = plain(self, *args, **options)
        if last is None and scanned == args[limit]:
            whole = [None if at in {projection, filtered} else one for at, one in enumerate(args)]
            last = self._get_last_evaluated_key(plain(self, *whole, **options)[0][-1], args[index])
        return rows, scanned, last

    return read
