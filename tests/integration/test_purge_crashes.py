"""A purge that crashes anywhere goes on, leaves nothing, and touches nothing of a neighbor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import pytest

from posthorn.aws import clients
from posthorn.delivery.purger import RETRY_SECONDS
from posthorn.domain.errors import Unavailable
from posthorn.email.simulator import SimulatorBackend
from posthorn.stores import batches, workspace_rows
from tests.installation import START_MS, running
from tests.integration.test_lost_answers import lost_answers
from tests.purges import delete, new_tenant, rows, run, shown
from tests.replays import Death, until_over

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.installation import Installation, Waiting
    from tests.purges import Tenant

SMALL: Final = 10  # rows of a page


@dataclass
class Beginning:
    """An installation where the purge of a tenant has been started, which can be brought back to that."""

    posthorn: Installation
    tenant: Tenant
    before: dict[tuple[str, str, str], str]
    stored: dict[str, list[Any]]
    message: Waiting
    sets: set[str]

    def restore(self) -> None:
        """Write all rows again, and the message of the first step."""
        self.posthorn.clock.now_ms = START_MS
        self.posthorn.take("PurgeQueue")
        dynamodb = clients.client("dynamodb")
        for table, stored in self.stored.items():
            for chunk in batches.chunks(stored, batches.WRITE_LIMIT):
                batches.put_every(dynamodb, table, chunk)
        clients.client("sqs").send_message(
            QueueUrl=self.posthorn.queues["PurgeQueue"],
            MessageBody=self.message.body,
            MessageGroupId=self.tenant.workspace,
        )
        self.sets.add(self.tenant.ids["set kept"])

    def assert_done(self, where: object) -> None:
        assert rows(self.posthorn) == self.before, where
        assert self.tenant.ids["set kept"] not in self.sets, where
        assert shown(self.posthorn, self.tenant.workspace)["state"] == "done", where
        assert self.posthorn.waiting("PurgeQueue") == [], where


@pytest.fixture
def beginning(monkeypatch: pytest.MonkeyPatch) -> Iterator[Beginning]:
    sets: set[str] = set()
    monkeypatch.setattr(SimulatorBackend, "create_set", lambda _, __, set_id, ___: sets.add(set_id))
    monkeypatch.setattr(SimulatorBackend, "delete_set", lambda _, __, set_id: sets.discard(set_id))
    with running() as posthorn:
        neighbor = new_tenant(posthorn, "neighbor")
        neighbor.furnish()
        before = rows(posthorn)
        tenant = new_tenant(posthorn, "leaver")
        tenant.furnish()
        delete(posthorn, tenant.uid)
        (message,) = posthorn.take("PurgeQueue")
        dynamodb = clients.client("dynamodb")
        stored = {name: dynamodb.scan(TableName=name)["Items"] for name in posthorn.tables.values()}
        monkeypatch.setattr(workspace_rows, "PAGE", SMALL)
        yield Beginning(posthorn, tenant, before, stored, message, sets)
        assert neighbor.ids["set kept"] in sets


def _writes(name: str, _: dict[str, Any]) -> bool:
    """Return whether a call changes anything: crashes between two such calls are all the same."""
    return name not in {"Query", "GetItem"}


def test_a_crash_after_every_write(beginning: Beginning) -> None:
    """Each page, each record of the progress and each message is the last thing that an invocation did."""
    never = Death(0, after=False, matches=_writes)
    beginning.restore()
    run(beginning.posthorn, lambda _: never)
    beginning.assert_done("without a crash")
    assert never.calls > 40

    for at in range(1, never.calls + 1):
        death = Death(at, after=True, matches=_writes)
        beginning.restore()
        run(beginning.posthorn, until_over(death))
        assert death.is_over
        beginning.assert_done(at)


def test_a_crash_in_every_invocation(beginning: Beginning) -> None:
    """An invocation that dies one write later than the one before it still comes further."""
    beginning.restore()
    died = 0

    def dies_later_and_later(number: int) -> Death:
        nonlocal died
        died += 1
        return Death(number // 2 + 1, after=number % 2 == 1, matches=_writes)

    run(beginning.posthorn, dies_later_and_later)

    assert died > 10
    beginning.assert_done("in the end")


def test_lost_responses_do_no_harm(beginning: Beginning) -> None:
    """Botocore repeats a write whose response was lost; the second finds the first, and the job continues."""
    beginning.restore()
    with lost_answers("PutItem"):
        run(beginning.posthorn)
    beginning.assert_done("with lost responses")


def test_a_refused_call_ends_the_step_and_not_the_purge(beginning: Beginning) -> None:
    """DynamoDB refuses a call after some progress: the next step goes on, after a pause and without a failure."""
    beginning.restore()
    posthorn = beginning.posthorn
    calls = 0
    plain = batches.delete_every

    def refused(*given: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Unavailable("batch_write_item", "ThrottlingException")
        plain(*given)

    with mock.patch.object(batches, "delete_every", refused):
        assert posthorn.purge(posthorn.take("PurgeQueue")) == set()
    (message,) = posthorn.waiting("PurgeQueue")
    assert (message.task["step"], message.delay) == (2, RETRY_SECONDS)
    run(posthorn)
    beginning.assert_done("after the refusal")


def test_a_call_that_is_refused_at_once_is_tried_again(beginning: Beginning) -> None:
    """Without any progress the message stays, so that an outage ends in a dead letter that an operator sees."""
    beginning.restore()
    posthorn = beginning.posthorn
    failure = Unavailable("batch_write_item", "ThrottlingException")
    (message,) = posthorn.take("PurgeQueue")
    with mock.patch.object(batches, "delete_every", side_effect=failure):
        assert posthorn.purge([message]) == {message.id}
    assert posthorn.waiting("PurgeQueue") == []
    assert posthorn.purge([message]) == set()
    run(posthorn)
    beginning.assert_done("after the refusal")
