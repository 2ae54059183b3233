"""`posthorn check`: queues and streams that nobody reads, and the concurrency that the account has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from moto.cloudformation.models import cloudformation_backends

from tests.checks import only_problem, run_check
from tests.template import ACCOUNT, REGION

if TYPE_CHECKING:
    from tests.deployed_stack import DeployedStack

MAPPING: Final = "DeliverFunctionFirstRetry"


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        (
            {"State": "Disabled"},
            "fail",
            f"{MAPPING} is disabled: nothing reads Retry1MinQueue. Run: aws lambda update",
        ),
        ({"State": "Updating"}, "warn", f"{MAPPING} is updating."),
        (
            {"LastProcessingResult": "PROBLEM: Function call failed"},
            "fail",
            f"{MAPPING} cannot read Retry1MinQueue (PROBLEM: Function",
        ),
    ],
)
def test_a_queue_that_nobody_reads_is_found(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str], change: dict[str, str], status: str, says: str
) -> None:
    """The mapping, its queue, and how to enable it."""
    uuid = stack.physical(MAPPING)
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:Retry1MinQueue"

    def mapping(asked: Any) -> Any:
        found = {
            "UUID": asked["UUID"],
            "State": "Enabled",
            "EventSourceArn": arn,
            "LastProcessingResult": "OK",
        }
        return found | change if asked["UUID"] == uuid else found

    stack.answers["GetEventSourceMapping"] = mapping

    problem = only_problem(run_check(capsys, "sources"))

    assert problem[0] == status
    assert problem[1].startswith(says)


def test_a_stream_that_nobody_reads_is_found(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mapping that was disabled or deleted by hand; the table is named by its stream."""
    client = stack.client("lambda")
    client.update_event_source_mapping(UUID=stack.physical("DispatchFunctionAcceptedEvents"), Enabled=False)
    disabled = only_problem(run_check(capsys, "sources"))
    client.delete_event_source_mapping(UUID=stack.physical("DispatchFunctionAcceptedEvents"))
    deleted = only_problem(run_check(capsys, "sources"))

    table = stack.physical("EventsTable")
    assert f"DispatchFunctionAcceptedEvents is disabled: nothing reads the stream of {table}." in disabled[1]
    assert deleted == (
        "fail",
        "The event source mapping DispatchFunctionAcceptedEvents does not exist. Deploy the stack again.",
    )


@pytest.mark.parametrize(
    ("total", "free", "reserved", "shards", "status"),
    [
        (1000, 1000, "", 4, "ok"),
        (10, 10, "", 4, "fail"),  # a new account
        (321, 321, "", 4, "fail"),  # 100 + 3 * 50 + 50 + 2 + 2 of queues, 4 * 4 of the stream, one sweep
        (322, 322, "", 4, "warn"),  # one is left for the API
        (420, 420, "", 4, "warn"),
        (421, 421, "", 4, "ok"),
        (421, 421, "", 5, "warn"),
        (1000, 321, "679", 4, "ok"),
        (1000, 320, "680", 4, "warn"),  # the API has its own; deliveries are throttled
        (1000, 421, "", 4, "ok"),  # 581 are reserved by somebody else
        (1000, 300, "", 4, "fail"),
    ],
)
def test_the_concurrency_of_the_account_is_compared_with_the_mappings(
    stack: DeployedStack,
    capsys: pytest.CaptureFixture[str],
    *,
    total: int,
    free: int,
    reserved: str,
    shards: int,
    status: str,
) -> None:
    """New accounts run 10 functions at once; the template's mappings may take 321, and starve the API."""
    limits = {"ConcurrentExecutions": total, "UnreservedConcurrentExecutions": free}
    stack.answers["GetAccountSettings"] = lambda _: {"AccountLimit": limits}
    stack.answers["DescribeStream"] = lambda asked: _stream(asked, shards)
    (made,) = cloudformation_backends[ACCOUNT][REGION].stacks.values()
    made.stack_parameters["ApiReservedConcurrency"] = reserved

    (found,) = run_check(capsys, "concurrency").document["findings"]

    assert found["status"] == status
    assert f"may take {305 + 4 * shards}" in found["text"]


def _stream(asked: Any, count: int) -> Any:
    """Describe a stream with closed and open shards, two on each page."""
    closed = [{"SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": "2"}}] * 3
    shards = [*closed, *[{"SequenceNumberRange": {"StartingSequenceNumber": "1"}}] * count]
    start = int(asked.get("ExclusiveStartShardId", "0").removeprefix("shardId-"))
    page: dict[str, Any] = {"Shards": shards[start : start + 2]}
    return {
        "StreamDescription": page
        | ({"LastEvaluatedShardId": f"shardId-{start + 2:021d}"} if start + 2 < len(shards) else {})
    }


def test_four_shards_are_assumed_without_the_right_to_count_them(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """The finding is worth more than its last digit."""
    stack.refused.add("DescribeStream")

    (found,) = run_check(capsys, "concurrency").document["findings"]

    assert (found["status"], "may take 321" in found["text"]) == ("ok", True)
