"""`posthorn workspaces delete`: asks first, starts the purge, and shows how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import typer

from posthorn_cli import dead_letters, installed
from posthorn_cli.dead_letters import QueueCounts
from posthorn_cli.workspace_deletion import follow, start
from tests import operator, purges
from tests.commands import run

if TYPE_CHECKING:
    from posthorn_cli.installed import Installed
    from tests.installation import Installation


@pytest.fixture(autouse=True)
def place(posthorn: Installation, monkeypatch: pytest.MonkeyPatch) -> Installed:
    """Let every command find this installation."""
    found = operator.installed(posthorn)
    monkeypatch.setattr(installed, "find", lambda *_, **__: found)
    return found


def test_a_deletion_is_confirmed_first(
    posthorn: Installation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a yes, nothing happens; with it, or with --yes, the purge starts."""
    tenant = purges.new_tenant(posthorn, "tenant")
    answers = iter(["n\n", "y\n"])
    monkeypatch.setattr("typer.confirm", _confirm(answers))

    assert run(capsys, "workspaces", "delete", "tenant", "--no-wait").status == 1
    assert posthorn.waiting("PurgeQueue") == []
    said = run(capsys, "workspaces", "delete", "tenant", "--no-wait")

    assert said.status == 0
    assert [message.task["workspace"] for message in posthorn.waiting("PurgeQueue")] == [tenant.workspace]
    assert f"workspace          {tenant.workspace}" in said.out
    assert f"posthorn workspaces delete --yes {tenant.workspace}" in said.err


def _confirm(answers: Any) -> Any:
    def confirm(text: str, *, abort: bool, err: bool) -> None:
        assert "Delete the workspace tenant (tenant)" in text
        assert err
        if abort and next(answers).startswith("n"):
            raise typer.Abort

    return confirm


def test_json_is_what_the_api_shows(posthorn: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    """With --yes it does not ask, and by the id it finds the purge when the workspace is gone."""
    tenant = purges.new_tenant(posthorn, "tenant")
    arguments = ("workspaces", "delete", "--yes", "--json")
    first = run(capsys, *arguments, "--no-wait", "tenant").document
    assert first["purge"] == purges.shown(posthorn, "tenant")
    purges.run(posthorn)
    again = run(capsys, *arguments, tenant.workspace).document
    assert again["purge"] == purges.shown(posthorn, tenant.workspace)
    assert again["purge"]["state"] == "done"


def test_an_unknown_workspace_is_refused(posthorn: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    """A uid that is unknown, or gone, is an error, and nothing is sent."""
    said = run(capsys, "workspaces", "delete", "--yes", "nobody")
    assert (said.status, said.out) == (1, "")
    assert "There is no workspace with the id or uid nobody." in said.err
    assert posthorn.waiting("PurgeQueue") == []


def test_the_command_waits_until_the_purge_is_done(posthorn: Installation, place: Installed) -> None:
    """It looks again and again, and returns the job as it is in the end."""
    tenant = purges.new_tenant(posthorn, "tenant")
    job = start(place, "tenant")
    looks: list[float] = []

    def work(seconds: float) -> None:
        looks.append(seconds)
        purges.run(posthorn, steps=1)

    done = follow(place, job, sleep=work)

    assert len(looks) > 1
    assert not done.is_unfinished
    assert list(purges.belonging_to(tenant)) == []


def test_a_step_of_a_purge_goes_back_to_its_queue(posthorn: Installation, place: Installed) -> None:
    """A purge whose step was given up on goes on from there."""
    tenant = purges.new_tenant(posthorn, "tenant")
    job = start(place, "tenant")
    (message,) = posthorn.take("PurgeQueue")
    place.sqs.send_message(QueueUrl=posthorn.queues["PurgeDeadLetterQueue"], MessageBody=message.body)
    said: list[str] = []

    dead_letters.go_through(
        place,
        "purge",
        counts=QueueCounts(),
        move=True,
        dry_run=False,
        say=lambda handled: said.append(handled.about),
        wait_seconds=0,
    )

    assert said == [f"purge of {tenant.workspace}"]
    purges.run(posthorn)
    assert purges.shown(posthorn, job.workspace)["state"] == "done"
