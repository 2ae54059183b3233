"""The stack itself: it answers, its functions run under the template's roles, and nothing is left running."""

import http.client
import io
import json
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from infra.local.adjustments import QUEUE_CONCURRENCY
from infra.local.stack import Stack

type Probe = Callable[..., dict[str, Any]]

KEY = {"pk": {"S": "nobody"}, "sk": {"S": "nothing"}}
CONTEXT = {"app": "posthorn"}


@pytest.fixture(scope="module")
def probe(stack: Stack) -> Generator[Probe]:
    """Run the probe in the stack, under ApiFunction's role."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.write(Path(__file__).parent / "functions/probe.py", "probe.py")
    functions = stack.client("lambda")
    functions.create_function(
        FunctionName="probe",
        Runtime="python3.13",
        Handler="probe.handler",
        Role=_role(stack, "ApiFunction"),
        Code={"ZipFile": archive.getvalue()},
        Timeout=20,
    )

    def run(*calls: tuple[str, str, dict[str, Any]], modules: tuple[str, ...] = ()) -> dict[str, Any]:
        answer = functions.invoke(
            FunctionName="probe", Payload=json.dumps({"calls": calls, "modules": modules}).encode()
        )
        result: dict[str, Any] = json.load(answer["Payload"])
        return result

    yield run
    functions.delete_function(FunctionName="probe")


def _role(stack: Stack, function: str) -> str:
    configuration = stack.client("lambda").get_function_configuration(
        FunctionName=stack.physical_id(function)
    )
    role: str = configuration["Role"]
    return role


def test_the_api_answers(stack: Stack) -> None:
    """A plain request to the printed URL reaches ApiFunction, which logs to its own log group."""
    address = urlsplit(stack.api_url)
    connection = http.client.HTTPConnection(address.netloc, timeout=30)
    for path, kind in (("/health", "application/json"), ("/docs", "text/html; charset=utf-8")):
        connection.request("GET", address.path + path)
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, answer.headers["content-type"]) == (200, kind)
    connection.close()
    assert any(line.startswith("REPORT ") for line in stack.log_lines("ApiLogGroup"))


@pytest.mark.parametrize("name", ["Api", "Dispatch", "Deliver"])
def test_each_function_has_the_role_of_its_name(stack: Stack, name: str) -> None:
    """Each function runs under the role of its own name."""
    assert _role(stack, f"{name}Function").endswith(f":role/{stack.physical_id(f'{name}Role')}")


def test_a_role_allows_exactly_what_the_template_grants(stack: Stack, probe: Probe) -> None:
    """ApiFunction's role allows a granted call, but not on another table or with another operation."""
    config, events = stack.outputs["ConfigTableName"], stack.outputs["EventsTableName"]
    queue = stack.client("sqs").get_queue_url(QueueName=stack.outputs["FeedbackQueueName"])["QueueUrl"]
    assert probe(
        ("dynamodb", "get_item", {"TableName": config, "Key": KEY}),
        ("dynamodb", "scan", {"TableName": config}),
        ("dynamodb", "delete_item", {"TableName": events, "Key": KEY}),
        ("sqs", "send_message", {"QueueUrl": queue, "MessageBody": "nobody's"}),
        ("iam", "list_roles", {}),
    )["calls"] == [
        "allowed",
        "AccessDeniedException",
        "AccessDeniedException",
        "AccessDenied",
        "AccessDenied",
    ]


def test_the_key_serves_only_posthorns_encryption_context(stack: Stack, probe: Probe) -> None:
    """The condition on the encryption context, which MiniStack does not support by itself, is enforced."""
    request = {"KeyId": stack.outputs["SecretsKeyArn"], "Plaintext": "whatever"}
    assert probe(
        ("kms", "encrypt", {**request, "EncryptionContext": CONTEXT}),
        ("kms", "encrypt", {**request, "EncryptionContext": {"app": "another"}}),
        ("kms", "encrypt", request),
        ("kms", "generate_data_key", {"KeyId": request["KeyId"], "KeySpec": "AES_256"}),
    )["calls"] == ["allowed", *["AccessDeniedException"] * 3]


def test_functions_see_lambdas_packages_and_no_others(probe: Probe) -> None:
    """boto3 is available as in Lambda; the emulator's and the developer's packages are not."""
    found = probe(modules=("boto3", "hypercorn", "ministack", "pydantic", "pytest", "posthorn"))
    assert [name for name, there in found["modules"].items() if there] == ["boto3"]


def test_queues_are_configured_as_in_the_template(stack: Stack) -> None:
    """Delays are the caller's, and failing messages end in the dead-letter queue."""
    queues = stack.client("sqs")
    delays = []
    for name in ("Retry1MinQueueName", "Retry5MinQueueName", "Retry15MinQueueName"):
        url = queues.get_queue_url(QueueName=stack.outputs[name])["QueueUrl"]
        attributes = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        delays.append(attributes["DelaySeconds"])
        assert stack.outputs["DeliverDeadLetterQueueName"] in attributes["RedrivePolicy"]
    assert delays == ["2", "3", "4"]


def test_no_queue_may_take_the_machine_down(stack: Stack) -> None:
    """Every queue's mapping is limited, since each concurrent batch is a process here."""
    mappings = stack.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    limits = [
        mapping["ScalingConfig"]["MaximumConcurrency"]
        for mapping in mappings
        if ":sqs:" in mapping["EventSourceArn"]
    ]
    assert limits
    assert set(limits) == {QUEUE_CONCURRENCY}


def test_the_emulator_ends_with_a_runner_that_was_killed(tmp_path: Path) -> None:
    """Even if the runner is killed, the emulator ends."""
    run = f"""
import sys, pathlib
from infra.local.emulator import running_emulator
from infra.local.places import StateDirectory
state = StateDirectory(pathlib.Path({str(tmp_path)!r}))
state.temporary.mkdir()
with running_emulator(state) as emulator:
    print(emulator.account.endpoint_url, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(  # the lines above
        [sys.executable, "-c", run], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as runner:
        assert runner.stdout is not None
        address = urlsplit(runner.stdout.readline().strip())
        assert _listens(address.hostname, address.port)
        runner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while _listens(address.hostname, address.port):
        assert time.monotonic() < deadline


def _listens(host: str | None, port: int | None) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host or "", port or 0)) == 0
