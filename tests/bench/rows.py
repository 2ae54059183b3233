"""The tables of the AWS stand-in: a dict, with constant access time for any number of rows."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

type Item = dict[str, Any]

_PAGE: Final = 1_000_000  # bytes: a Query returns at most 1 MB


class Rows:
    """Answers the handlers' DynamoDB calls.

    Conditions always hold, and updates change nothing: a benchmark repeats the same work, and the tests check
    the rows.
    """

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self._rows: dict[str, bytes] = {}
        self._others: dict[str, dict[str, bytes]] = {"": self._rows}
        self._by_partition: dict[str, dict[str, bytes]] = {}  # only for rows of `put_all`, for queries

    def put_all(self, table: str, items: list[Item]) -> None:
        """Replace the partitions of these rows."""
        for partition in {_partition(table, item) for item in items}:
            self._by_partition[partition] = {}
        for item in items:
            row = _encode(item)
            self._rows[_name(table, item)] = row
            self._by_partition[_partition(table, item)][item["sk"]["S"]] = row

    def fill(self, table: str, count: int) -> None:
        """Store that many rows that no call reads."""
        row = _encode({"pk": {"S": "x"}, "sk": {"S": "y"}})
        for number in range(count):
            self._rows[f"{table}/wh_{number % 1000:026d}/evt_{number:026d}"] = row

    def use(self, name: str) -> None:
        """Switch to the rows of another set of tables; queries use the rows of all sets."""
        self._rows = self._others.setdefault(name, {})

    def clear(self) -> None:
        self._rows.clear()
        self._by_partition.clear()

    def call(  # noqa: C901, PLR0912 - a table of operations
        self, service: str, operation: str, body: bytes
    ) -> tuple[int, bytes]:
        """Answer one call of the JSON protocol; return HTTP status and body."""
        self.calls[operation] = self.calls.get(operation, 0) + 1
        asked: Any = json.loads(body)
        match operation:
            case "BatchGetItem":
                return 200, self._batch_get(asked)
            case "BatchWriteItem":
                for table, writes in asked["RequestItems"].items():
                    for write in writes:
                        item = write["PutRequest"]["Item"]
                        self._rows[_name(table, item)] = _encode(item)
                return 200, b'{"UnprocessedItems":{}}'
            case "PutItem":
                self._rows[_name(asked["TableName"], asked["Item"])] = _encode(asked["Item"])
                return 200, b"{}"
            case "TransactWriteItems":
                for write in asked["TransactItems"]:
                    if put := write.get("Put"):
                        self._rows[_name(put["TableName"], put["Item"])] = _encode(put["Item"])
                return 200, b"{}"
            case "GetItem":
                row = self._rows.get(_name(asked["TableName"], asked["Key"]))
                return 200, b"{}" if row is None else b'{"Item":' + row + b"}"
            case "UpdateItem":
                row = self._rows.get(_name(asked["TableName"], asked["Key"]), b"{}")
                return 200, b'{"Attributes":' + row + b"}"
            case "DeleteItem":
                row = self._rows.get(_name(asked["TableName"], asked["Key"]), b"{}")
                return 200, b'{"Attributes":' + row + b"}"
            case "Query":
                return 200, self._query(asked)
            case "SendMessage":
                return 200, b'{"MessageId":"00000000-0000-0000-0000-000000000000","MD5OfMessageBody":""}'
            case "SendMessageBatch":
                return 200, b'{"Successful":[],"Failed":[]}'
            case "Encrypt":
                sealed = base64.b64encode(b"sealed:" + base64.b64decode(asked["Plaintext"]))
                return 200, b'{"CiphertextBlob":"' + sealed + b'"}'
            case "Decrypt":
                opened = base64.b64encode(base64.b64decode(asked["CiphertextBlob"]).removeprefix(b"sealed:"))
                return 200, b'{"Plaintext":"' + opened + b'"}'
        return 400, json.dumps({"__type": f"{service}#Unknown", "message": operation}).encode()

    def _batch_get(self, asked: Any) -> bytes:
        found = (
            f'"{table}":['.encode()
            + b",".join(row for key in wanted["Keys"] if (row := self._rows.get(_name(table, key))))
            + b"]"
            for table, wanted in asked["RequestItems"].items()
        )
        return b'{"Responses":{' + b",".join(found) + b'},"UnprocessedKeys":{}}'

    def _query(self, asked: Any) -> bytes:
        values = asked["ExpressionAttributeValues"]
        partition = next(value["S"] for name, value in values.items() if name != ":prefix")
        rows = self._by_partition.get(f"{asked['TableName']}/{partition}", {})
        after = asked.get("ExclusiveStartKey", {}).get("sk", {}).get("S", "")
        page: list[bytes] = []
        size, last = 0, ""
        limit = asked.get("Limit", len(rows) + 1)
        more = False
        for sk in sorted(rows):
            if sk <= after:
                continue
            if len(page) == limit or size > _PAGE:
                more = True
                break
            page.append(rows[sk])
            size, last = size + len(rows[sk]), sk
        end = {"LastEvaluatedKey": {"pk": {"S": partition}, "sk": {"S": last}}} if more else {}
        return b'{"Items":[' + b",".join(page) + b"]," + json.dumps({"Count": len(page), **end})[1:].encode()


def _name(table: str, item: Item) -> str:
    return f"{table}/{item['pk']['S']}/{item['sk']['S']}"


def _partition(table: str, item: Item) -> str:
    return f"{table}/{item['pk']['S']}"


def _encode(item: Item) -> bytes:
    return json.dumps(item, separators=(",", ":")).encode()
