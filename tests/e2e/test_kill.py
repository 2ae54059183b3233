"""Functions die while two thousand events are published and delivered; none of them is lost."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from posthorn_cli.access import create_workspace_key
from tests.e2e.accounts import Account, Party, unsettled
from tests.e2e.customer import Customer
from tests.e2e.killing import dying_workers
from tests.receivers.recorder import always, in_turn, recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from infra.local.stack import Stack
    from tests.receivers.recorder import Answer, Recorded

EVENTS: Final = 100  # of each customer
BATCH: Final = 50
PUBLISHERS: Final = 2
VISIBILITY: Final = 35
"""Seconds; the template's 180 would dominate the test. A claim must expire before: AttemptDeadline and 30 s."""
SWEEP_POLLS: Final = 20
"""Polls between two runs of the sweeper, which sends the messages that a dead DispatchFunction left unsent."""
PATIENCE: Final = 240.0  # seconds until every event has settled, on a busy machine
QUEUES: Final = ("DeliverQueue", "Retry1MinQueue", "Retry5MinQueue", "Retry15MinQueue")
FUNCTIONS: Final = ("ApiFunction", "DispatchFunction", "DeliverFunction")


def hanging(_: Recorded) -> int:
    """Answer after the client has given up."""
    threading.Event().wait(4)
    return 200


RECEIVERS: Final[dict[str, tuple[Answer, int]]] = {
    "well": (always(200), 14),
    "better the second time": (in_turn(500, 200), 2),
    "broken": (always(500), 1),
    "hanging": (hanging, 1),
    "refusing the URL": (always(404), 1),
    "moved": (always(302), 1),
}
"""How each of the twenty receivers answers."""


def test_no_event_is_lost_while_functions_die(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Every accepted event is delivered or failed with a reason, and its receiver saw it."""
    account = Account()
    with ExitStack() as running:
        running.enter_context(_messages_soon_visible_again(stack))
        parties = [
            _party(stack, kind, running, answer)
            for kind, (answer, count) in RECEIVERS.items()
            for _ in range(count)
        ]
        functions = {stack.physical_id(name): name for name in FUNCTIONS}
        with dying_workers(stack.emulator, functions.keys(), seed=len(parties)) as died:
            _publish(parties)
            _wait(stack, parties, some_seconds=10)
            _wait(stack, parties, some_seconds=PATIENCE, until=lambda: died.keys() == functions.keys())
        _wait(stack, parties, some_seconds=PATIENCE)
        for _, party in parties:
            account.take(stack, party)
    for function, times in died.items():
        account.sums[f"killed: {functions[function]}"] = times
    with capsys.disabled():
        print(f"\n{account.table()}")  # noqa: T201 - figures for the record
    assert account.wrong == []
    assert account.sums["accepted"] == EVENTS * len(parties)
    assert account.sums["delivered"] >= EVENTS * RECEIVERS["well"][1]
    assert died.keys() == functions.keys()


def _party(stack: Stack, kind: str, running: ExitStack, answer: Answer) -> tuple[Customer, Party]:
    recorder = running.enter_context(recording(answer))
    _, key = create_workspace_key(
        stack.client("dynamodb"),
        stack.outputs["ConfigTableName"],
        workspace_name=kind,
        scopes=["publish", "api_user", "user"],
    )
    customer = Customer(stack.api_url, key)
    return customer, Party(kind, recorder, customer.register(recorder.url)["id"])


def _publish(parties: list[tuple[Customer, Party]]) -> None:
    """Publish everything; a request that dies is repeated with its key, as a client would."""
    batches = [(*party, first) for first in range(0, EVENTS, BATCH) for party in parties]
    with ThreadPoolExecutor(PUBLISHERS) as publishers:
        published = [publishers.submit(_publish_batch, *batch) for batch in batches]
    for one in published:
        one.result()


def _publish_batch(customer: Customer, party: Party, first: int) -> None:
    told = [{"event": "CONTACT_CREATED", "data": {"n": first + at}} for at in range(BATCH)]
    for _ in range(20):
        status, body = customer.call(
            "POST", "/v1/events", {"events": told}, headers={"idempotency-key": f"batch-{first}"}
        )
        if status == 202:
            party.accepted |= {event["id"] for event in body["events"]}
            return
        assert status >= 500, body
    raise AssertionError("the API did not recover")


def _wait(
    stack: Stack,
    parties: list[tuple[Customer, Party]],
    *,
    some_seconds: float,
    until: Callable[[], bool] = lambda: False,
) -> None:
    """Wait until everything has settled, up to the limit; the sweeper runs as often as it would at real delays."""
    deadline = time.monotonic() + some_seconds
    polls = 0
    while not until() and unsettled(stack, [party for _, party in parties]) and time.monotonic() < deadline:
        time.sleep(1)  # between two polls
        polls += 1
        if polls % SWEEP_POLLS == 0:
            stack.client("lambda").invoke(FunctionName=stack.outputs["SweepFunctionName"])


@contextmanager
def _messages_soon_visible_again(stack: Stack) -> Iterator[None]:
    """Shorten the visibility timeout of the queues during the block."""
    queues = stack.client("sqs")
    urls = [queues.get_queue_url(QueueName=stack.outputs[f"{name}Name"])["QueueUrl"] for name in QUEUES]
    before = {
        url: queues.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
        for url in urls
    }
    for url in urls:
        queues.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(VISIBILITY)})
    yield
    for url, attributes in before.items():
        queues.set_queue_attributes(QueueUrl=url, Attributes=attributes)
