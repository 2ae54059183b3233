"""`posthorn check`: functions that do not start, and probes that do nothing."""

from __future__ import annotations

import io
import json
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from posthorn_cli.check.functions import PROBES
from tests.checks import only_problem, run_check
from tests.moto_account import listening

if TYPE_CHECKING:
    from tests.deployed_stack import DeployedStack
    from tests.installation import Installation


@pytest.mark.parametrize(
    ("state", "status", "says"),
    [
        (
            {"State": "Failed", "StateReasonCode": "DisallowedByVpcEncryptionControl"},
            "fail",
            "cannot run (Disallowed",
        ),
        (
            {"State": "Active", "LastUpdateStatus": "Failed", "LastUpdateStatusReasonCode": "InvalidRuntime"},
            "fail",
            "The last update of DeliverFunction failed (InvalidRuntime)",
        ),
        ({"State": "Pending"}, "warn", "DeliverFunction is still being updated"),
        (
            {"State": "Active", "LastUpdateStatus": "InProgress"},
            "warn",
            "DeliverFunction is still being updated",
        ),
    ],
)
def test_a_function_that_is_not_active_is_found(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str], state: dict[str, str], status: str, says: str
) -> None:
    """Its state and the reason are named; it is not invoked."""
    name = stack.physical("DeliverFunction")
    invoked: list[str] = []

    def invoke(parameters: Any) -> Any:
        invoked.append(parameters["FunctionName"])
        return {"Payload": io.BytesIO(b"{}")}

    stack.answers["GetFunctionConfiguration"] = lambda asked: (
        state if asked["FunctionName"] == name else {"State": "Active", "LastUpdateStatus": "Successful"}
    )
    stack.answers["Invoke"] = invoke

    problem = only_problem(run_check(capsys, "functions"))

    assert problem[0] == status
    assert says in problem[1]
    assert name not in invoked
    assert len(invoked) == len(PROBES) - 1


def test_a_function_that_is_gone_is_found(stack: DeployedStack, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody deleted it by hand."""
    stack.client("lambda").delete_function(FunctionName=stack.physical("SweepFunction"))

    assert only_problem(run_check(capsys, "functions")) == (
        "fail",
        "SweepFunction does not exist. Deploy the stack again.",
    )


def _error(stack: DeployedStack, function: str, error: str, message: str) -> None:
    """Let a function fail as Lambda reports it."""
    name = stack.physical(function)
    payload = json.dumps({"errorType": error, "errorMessage": message, "stackTrace": []}).encode()

    def invoke(parameters: Any) -> Any:
        failed = parameters["FunctionName"] == name
        return {
            "Payload": io.BytesIO(payload if failed else b"{}"),
            **({"FunctionError": "Unhandled"} if failed else {}),
        }

    stack.answers["Invoke"] = invoke


@pytest.mark.parametrize("function", PROBES)
def test_a_function_that_dies_at_import_is_found(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str], function: str
) -> None:
    """Wheels of another processor: CloudFormation reports success, and nothing else shows it."""
    _error(stack, function, "Runtime.ImportModuleError", "Unable to import module: No module named 'pycurl'")

    status, text = only_problem(run_check(capsys, "functions"))

    assert status == "fail"
    assert f"{function} dies before it starts: Runtime.ImportModuleError, Unable to import module" in text
    assert "make build ARCHITECTURE=arm64" in text


def test_the_text_of_another_error_is_not_printed(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may hold anything; its type is enough to look for it in the log."""
    _error(stack, "DeliverFunction", "KeyError", "canary")

    done = run_check(capsys, "functions")

    assert "DeliverFunction fails for an empty batch (KeyError)." in only_problem(done)[1]
    assert "canary" not in done.out + done.err


def test_the_sweeper_is_judged_by_its_metrics(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """To invoke it would sweep; its schedule does so every five minutes."""
    for function, count in (("SweepFunction", 3), ("ApiFunction", 5)):
        dimensions = [{"Name": "FunctionName", "Value": stack.physical(function)}]
        stack.client("cloudwatch").put_metric_data(
            Namespace="AWS/Lambda",
            MetricData=[{"MetricName": "Errors", "Dimensions": dimensions, "Value": count}],
        )

    status, text = only_problem(run_check(capsys, "functions"))

    assert status == "warn"
    assert text.startswith("SweepFunction failed 3 times within 15 minutes.")


def test_probes_do_nothing(posthorn: Installation) -> None:
    """The functions answer the events of the check without a call to AWS."""
    called: list[str] = []

    def note(*, model: Any, **_: Any) -> None:
        called.append(model.name)

    with ExitStack() as stacked:
        for service in ("dynamodb", "sqs", "kms", "sns"):
            stacked.enter_context(listening(service, "before-call", note))
        batches: dict[str, Any] = {
            "DispatchFunction": posthorn.dispatch,
            "DeliverFunction": posthorn.deliverer.deliver,
            "FeedbackFunction": posthorn.feedback.take,
            "ReplayFunction": posthorn.replayer.replay,
            "PurgeFunction": partial(posthorn.purger.purge, remaining_ms=lambda: 30_000),
        }
        failed = {name: batches[name](PROBES[name]["Records"]) for name in batches}
        health = posthorn.resolve(dict(PROBES["ApiFunction"]))

    assert PROBES.keys() == {*batches, "ApiFunction"}
    assert set(map(len, failed.values())) == {0}
    assert (health["statusCode"], health["body"]) == (200, '{"status":"ok"}')
    assert called == []
