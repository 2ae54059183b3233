"""Checks that the functions start. One that dies while it is imported looks healthy in the state of the stack."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from posthorn_cli.check.deployed import FUNCTION, Missing
from posthorn_cli.check.findings import fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn_cli.check.deployed import Deployed
    from posthorn_cli.check.findings import Finding

_NO_RECORDS: Final[dict[str, Any]] = {"Records": []}
_HEALTH: Final[dict[str, Any]] = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/health",
    "rawQueryString": "",
    "headers": {},
    "requestContext": {
        "http": {"method": "GET", "path": "/health", "sourceIp": "127.0.0.1"},
        "stage": "$default",
        "requestId": "posthorn-check",
    },
    "isBase64Encoded": False,
}
PROBES: Final[dict[str, dict[str, Any]]] = {
    "ApiFunction": _HEALTH,
    "DispatchFunction": _NO_RECORDS,
    "DeliverFunction": _NO_RECORDS,
    "FeedbackFunction": _NO_RECORDS,
    "ReplayFunction": _NO_RECORDS,
    "PurgeFunction": _NO_RECORDS,
}
"""Events that the functions answer without a call to AWS."""

SCHEDULED: Final = "SweepFunction"  # any event makes it sweep, so its metrics are read instead
_SWEEPS: Final = timedelta(minutes=15)  # three runs


def check_functions(deployed: Deployed) -> Iterator[Finding]:
    """Look at the state of each function, and invoke it with an empty batch."""
    names = deployed.of_type(FUNCTION)
    for name, physical in names.items():
        found = list(_state(deployed, name, physical))
        if not found and name in PROBES:
            found = list(_probe(deployed, name, physical, PROBES[name]))
        yield from found
    if SCHEDULED in names:
        yield from _sweeps(deployed, names[SCHEDULED])
    yield ok(f"{len(names)} functions are active and start.")


def _state(deployed: Deployed, name: str, physical: str) -> Iterator[Finding]:
    try:
        found = deployed.ask("lambda", "get_function_configuration", FunctionName=physical)
    except Missing:
        yield fail(f"{name} does not exist.", "Deploy the stack again.")
        return
    state, update = found.get("State"), found.get("LastUpdateStatus")
    if state == "Failed":
        yield fail(f"{name} cannot run ({found.get('StateReasonCode')}).", "Deploy the stack again.")
    elif update == "Failed":
        reason = found.get("LastUpdateStatusReasonCode")
        yield fail(f"The last update of {name} failed ({reason}).", "Deploy the stack again.")
    elif state == "Pending" or update == "InProgress":
        yield warn(f"{name} is still being updated.", "Run the command again in a minute.")


def _probe(deployed: Deployed, name: str, physical: str, event: dict[str, Any]) -> Iterator[Finding]:
    try:
        answer = deployed.ask("lambda", "invoke", FunctionName=physical, Payload=json.dumps(event).encode())
    except Missing:
        return  # reported as such already
    if "FunctionError" not in answer:
        return
    error, text = _error(answer["Payload"].read())
    log = f"sam logs --stack-name {deployed.stack} --name {name}"
    if error.startswith("Runtime."):  # the runtime's own texts, such as the name of a module that is missing
        yield fail(
            f"{name} dies before it starts: {error}, {text}",
            f"Build for the processor of the stack ({deployed.parameters.get('Architecture')}) and deploy again:"
            f" make build ARCHITECTURE={deployed.parameters.get('Architecture')}, sam deploy. Its log: {log}",
        )
    else:
        yield fail(f"{name} fails for an empty batch ({error}).", f"Read its log: {log}")


def _error(payload: bytes) -> tuple[str, str]:
    try:
        found = json.loads(payload)
    except ValueError:
        return "unknown error", ""
    return str(found.get("errorType", "unknown error"))[:100], str(found.get("errorMessage", ""))[:200]


def _sweeps(deployed: Deployed, physical: str) -> Iterator[Finding]:
    now = datetime.now(UTC)
    answer = deployed.ask(
        "cloudwatch",
        "get_metric_statistics",
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=[{"Name": "FunctionName", "Value": physical}],
        StartTime=now - _SWEEPS,
        EndTime=now + timedelta(minutes=1),  # the end is excluded, and rounded down to a minute
        Period=int(_SWEEPS.total_seconds()),
        Statistics=["Sum"],
    )
    failed = int(sum(point["Sum"] for point in answer["Datapoints"]))
    if failed:
        yield warn(
            f"{SCHEDULED} failed {failed} times within 15 minutes.",
            f"Read its log: sam logs --stack-name {deployed.stack} --name {SCHEDULED}",
        )
