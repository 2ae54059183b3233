"""DynamoDB refuses to write rows for minutes, whatever is tried meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable


class Throttling:
    """Refuses writes of a table until a time: of all its partitions, or of one.

    Reads go through, as they have a capacity of their own. `spares_claims` is throttling that comes and goes: it lets
    the claims of attempts through, and refuses the results of the same attempts.
    """

    def __init__(self, table: str, clock: Callable[[], int]) -> None:
        self._table = table
        self._clock = clock
        self.end()

    _partition: str | None

    def begin(self, seconds: int, *, partition: str | None = None, spares_claims: bool = False) -> None:
        self._until = self._clock() + seconds * 1000
        self._partition = partition
        self._spares_claims = spares_claims

    def end(self) -> None:
        self._until = 0
        self._partition = None
        self._spares_claims = False

    @property
    def is_active(self) -> bool:
        return self._clock() < self._until

    def call(self, name: str, parameters: Any, act: Callable[[Any], Any]) -> Any:
        """Make an AWS call, or refuse it as far as it writes what is throttled."""
        if not self.is_active:
            return act(parameters)
        if name == "BatchWriteItem" and self._table in parameters["RequestItems"]:
            return self._batch(name, parameters["RequestItems"][self._table], act)
        if parameters.get("TableName") == self._table and name in {"PutItem", "UpdateItem"}:
            row = parameters.get("Item") or parameters["Key"]
            claims = "lease_until" in row or "SET lease_until" in parameters.get("UpdateExpression", "")
            if self._refuses(row) and not (claims and self._spares_claims):
                raise _refusal(name)
        return act(parameters)

    def _batch(self, name: str, requests: list[Any], act: Callable[[Any], Any]) -> Any:
        refused = [one for one in requests if self._refuses(one["PutRequest"]["Item"])]
        if len(refused) == len(requests):
            raise _refusal(name)
        answer = act({"RequestItems": {self._table: [one for one in requests if one not in refused]}})
        return {**answer, "UnprocessedItems": {self._table: refused} if refused else {}}

    def _refuses(self, row: Any) -> bool:
        return self._partition in {None, row["pk"]["S"]}


def _refusal(name: str) -> ClientError:
    code = "ProvisionedThroughputExceededException"
    error: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(error, name)
