"""Checks that Lambda may run as many functions at once as the queues and the stream ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from posthorn_cli.check.deployed import CannotLook, Missing
from posthorn_cli.check.findings import fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from posthorn_cli.check.deployed import Deployed
    from posthorn_cli.check.findings import Finding

API_CONCURRENCY: Final = 100
"""What the API may take: 1,000 requests a second, the stage's limit, of 100 ms each."""

SWEEPS: Final = 1
_SHARDS: Final = 4  # of a new table with on-demand capacity; it gets more with its traffic
_REQUEST: Final = "Request more in Service Quotas, AWS Lambda, concurrent executions: 1,000 is enough."


def check_concurrency(deployed: Deployed) -> Iterator[Finding]:
    """Compare the account's concurrency with what the mappings may take, and what the API needs beside it."""
    limits = deployed.ask("lambda", "get_account_settings")["AccountLimit"]
    total, free = limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]
    wanted = sum(_most(deployed, mapping) for mapping in deployed.mappings.values() if mapping) + SWEEPS
    reserved = int(deployed.parameters.get("ApiReservedConcurrency") or 0)
    api = (
        f"{reserved} are reserved for the API"
        if reserved
        else f"the API needs up to {API_CONCURRENCY} beside them"
    )
    has = f"The account runs {total:,} functions at once, {free:,} of them unreserved. The queues and the stream may take {wanted:,}, and {api}."
    if not reserved and free <= wanted:
        yield fail(f"{has} A burst of deliveries leaves nothing for the API.", _REQUEST)
    elif free < wanted + (0 if reserved else API_CONCURRENCY):
        yield warn(f"{has} A burst throttles functions.", _REQUEST)
    else:
        yield ok(has)


def _most(deployed: Deployed, mapping: Mapping[str, Any]) -> int:
    """Return how many invocations of a mapping may run at once."""
    if "MaximumConcurrency" in (scaling := mapping.get("ScalingConfig") or {}):
        return int(scaling["MaximumConcurrency"])
    stream = str(mapping.get("EventSourceArn", ""))
    return int(mapping.get("ParallelizationFactor", 1)) * _shards(deployed, stream)


def _shards(deployed: Deployed, stream: str) -> int:
    """Count the open shards of a stream; those of a new one if it cannot be looked at."""
    count, start = 0, dict[str, str]()
    try:
        while True:
            page = deployed.ask("dynamodbstreams", "describe_stream", StreamArn=stream, **start)
            shards = page["StreamDescription"]["Shards"]
            count += sum("EndingSequenceNumber" not in one["SequenceNumberRange"] for one in shards)
            if (last := page["StreamDescription"].get("LastEvaluatedShardId")) is None:
                return count or _SHARDS
            start = {"ExclusiveStartShardId": last}
    except (CannotLook, Missing):
        return _SHARDS
