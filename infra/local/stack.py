"""The running stack: built, deployed, answering, and removed without a trace afterwards."""

import http.client
import json
import os
import shutil
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.local import sam
from infra.local.account import Account
from infra.local.adjustments import limit_queue_concurrency
from infra.local.emulator import Emulator, running_emulator
from infra.local.errors import StartFailed
from infra.local.lock import held_lock
from infra.local.places import STATE, TEMPLATE, StateDirectory, require_environments
from infra.local.process import terminable
from infra.local.progress import Write, step, write_stdout

_ANSWER_DEADLINE = 60.0  # seconds; the first request starts a process and imports the whole API


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed and running stack."""

    api_url: str  # without a trailing slash; the functions see the rest as the path
    account: Account
    outputs: Mapping[str, str] = field(repr=False)  # of the template, by name
    emulator: int  # process id

    @property
    def endpoint_url(self) -> str:
        """Return the endpoint of all AWS services."""
        return self.account.endpoint_url

    @property
    def region(self) -> str:
        return self.account.region

    def client(self, service: str) -> Any:
        """Return a boto3 client with the deployer's credentials."""
        return self.account.client(service)

    def physical_id(self, logical_id: str) -> str:
        """Return the physical name of a resource of the template."""
        return _physical_id(self.account, logical_id)

    def log_lines(self, log_group: str) -> list[str]:
        """Return a function's log lines, oldest first, by its log group's logical id (`ApiLogGroup`)."""
        pages = self.client("logs").get_paginator("filter_log_events")
        events = [
            event
            for page in pages.paginate(logGroupName=self.physical_id(log_group))
            for event in page["events"]
        ]
        return [event["message"] for event in sorted(events, key=lambda event: event["timestamp"])]


@contextmanager
def running_stack(
    parameters: Mapping[str, str] | None = None,
    *,
    state_directory: Path = STATE,
    template: Path = TEMPLATE,
    write: Write = write_stdout,
) -> Generator[Stack]:
    """Build, deploy and run the stack for the duration of the block.

    Call it in the main thread. `parameters` are the template's. Two stacks run side by side if each has its
    own state directory, which holds its logs. Raises AlreadyRunning or StartFailed.
    """
    require_environments()
    state = StateDirectory(state_directory.resolve())
    state.path.mkdir(parents=True, exist_ok=True)
    with terminable(), held_lock(state.lock) as tell, _clean(state), ExitStack() as running:
        sam.write_parameters(state, parameters or {})
        with step("building the functions (sam build)", write):
            sam.build(state, template.resolve())
        with step("starting the emulator (MiniStack)", write):
            emulator = running.enter_context(running_emulator(state))
        with step("deploying the stack (sam deploy)", write):
            sam.deploy(state, emulator.account)
        with step("waiting for the API to answer", write):
            stack = _adjusted(emulator)
            _wait_for_answer(stack)
        tell(f"process {os.getpid()}, {stack.api_url}")
        _describe(stack, state)
        try:
            yield stack
        finally:
            with step("stopping", write):
                running.close()


def _adjusted(emulator: Emulator) -> Stack:
    """Make up for differences of the emulator, and read what was deployed."""
    description = emulator.account.client("cloudformation").describe_stacks(StackName=sam.STACK_NAME)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in description["Stacks"][0]["Outputs"]}
    api_id = _physical_id(emulator.account, "Api")
    limit_queue_concurrency(emulator.account)
    return Stack(
        # The first path segment after the id is a stage if there is one of that name, else it belongs to
        # $default
        api_url=f"{emulator.account.endpoint_url}/_aws/execute-api/{api_id}",
        account=emulator.account,
        outputs=outputs,
        emulator=emulator.process_id,
    )


def _physical_id(account: Account, logical_id: str) -> str:
    resource = account.client("cloudformation").describe_stack_resource(
        StackName=sam.STACK_NAME, LogicalResourceId=logical_id
    )
    name: str = resource["StackResourceDetail"]["PhysicalResourceId"]
    return name


def _wait_for_answer(stack: Stack) -> None:
    """Wait until the API answers without a server error."""
    address = urlsplit(stack.api_url)
    deadline = time.monotonic() + _ANSWER_DEADLINE
    while True:
        connection = http.client.HTTPConnection(address.netloc, timeout=_ANSWER_DEADLINE)
        with closing(connection):
            connection.request("GET", f"{address.path}/health")
            response = connection.getresponse()
            body = response.read()
        if response.status < 500:
            return
        if time.monotonic() > deadline:
            lines = "\n".join(stack.log_lines("ApiLogGroup")[-20:])
            raise StartFailed(f"the API answered {response.status} {body.decode(errors='replace')}\n{lines}")
        time.sleep(0.2)


def _describe(stack: Stack, state: StateDirectory) -> None:
    """Write files that describe the running stack for people and tools."""
    facts = {
        "api_url": stack.api_url,
        "endpoint_url": stack.endpoint_url,
        "region": stack.region,
        "outputs": dict(stack.outputs),
        "pid": os.getpid(),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    state.description.write_text(json.dumps(facts, indent=2) + "\n")
    variables = stack.account.environment()
    exports = [f"export {name}={value}\n" for name, value in variables.items() if name.startswith("AWS_")]
    state.shell_environment.write_text("".join(exports))


@contextmanager
def _clean(state: StateDirectory) -> Generator[None]:
    """Remove the files of a running stack, including those of one that was killed."""
    _remove(state)
    state.temporary.mkdir()
    try:
        yield
    finally:
        _remove(state)


def _remove(state: StateDirectory) -> None:
    state.description.unlink(missing_ok=True)
    state.shell_environment.unlink(missing_ok=True)
    shutil.rmtree(state.temporary, ignore_errors=True)
