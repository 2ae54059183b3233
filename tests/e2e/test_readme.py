"""The README's commands, run as they are printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from infra.local.places import REPOSITORY
from posthorn_cli.access import create_key, create_workspace_key
from posthorn_cli.dead_letters import QUEUES
from tests.e2e.customer import Customer, awaited
from tests.receivers.recorder import always, recording

if TYPE_CHECKING:
    from infra.local.stack import Stack

README: Final = (REPOSITORY / "README.md").read_text("utf-8")
_BLOCK: Final = re.compile(r"(?:<!-- run: (?P<kind>\w+) -->\n)?```sh\n(?P<command>.*?)```", re.DOTALL)
COMMANDS: Final = [(block["kind"], block["command"]) for block in _BLOCK.finditer(README)]
ELSEWHERE: Final = {
    "make demo": "tests/e2e/test_demo.py",
    "make test": "CI",
    "export ": "the reader's own values",
    "# needs AWS": "AWS",
    "# needs Docker": "Docker",
}


def _run(command: str, stack: Stack, **variables: str) -> str:
    environment = {**os.environ, **stack.account.environment(), **variables}
    done = subprocess.run(  # noqa: S602 - the README's own words
        command, shell=True, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_newcomer_gets_from_the_first_key_to_the_first_event(stack: Stack) -> None:
    """Platform key, workspace, webhook, event, its deliveries, keys and revocation: each command works as printed."""
    create, revoke = [command for kind, command in COMMANDS if kind == "cli"]
    sign_up, register, publish, look = [command for kind, command in COMMANDS if kind == "api"]
    create_own, look_up = [command for kind, command in COMMANDS if kind == "keys"]

    printed = _run(create, stack)
    key = re.search(r"phk_\w{50}", printed)
    assert key is not None
    known = {"API_URL": stack.api_url, "API_KEY": key[0]}
    workspace = json.loads(_run(sign_up, stack, **known))["workspace"]
    webhook = json.loads(_run(register, stack, **known))["webhook"]
    (event,) = json.loads(_run(publish, stack, **known))["events"]
    seen = json.loads(_run(look, stack, **known, EVENT_ID=event["id"]))["event"]
    own = _run(create_own, stack)
    found = _run(look_up, stack)
    revoked = _run(revoke, stack, KEY_ID=key[0][4:16])

    assert workspace["uid"] == "customer_8812"
    assert workspace["id"] in own
    assert found.count(workspace["id"]) == 2
    assert webhook["token"].startswith("wht_")
    assert seen["data"] == {"contact": {"id": "cont_123456789"}}
    assert revoked == f"revoked {key[0][4:16]}\n"


def test_a_platform_registers_a_sender(stack: Stack) -> None:
    """The command works as printed, for the workspace that the sign-up creates."""
    (register,) = [command for kind, command in COMMANDS if kind == "senders"]
    sign_up = next(command for kind, command in COMMANDS if kind == "api")
    table = stack.outputs["ConfigTableName"]
    key = create_key(stack.client("dynamodb"), table, workspace=None, name="platform")
    _run(sign_up, stack, API_URL=stack.api_url, API_KEY=key)
    made = json.loads(_run(register, stack, API_URL=stack.api_url, PLATFORM_KEY=key))["senderIdentity"]

    assert (made["identity"], made["kind"]) == ("mail.customer.example", "domain")


def test_a_newcomer_sends_a_first_mail(stack: Stack) -> None:
    """Set, destination and mail: each command works as printed."""
    make_set, make_destination, send = [command for kind, command in COMMANDS if kind == "mail"]
    _, key = create_workspace_key(
        stack.client("dynamodb"),
        stack.outputs["ConfigTableName"],
        workspace_name="readme",
        scopes=["partner"],
    )
    known = {"API_URL": stack.api_url, "API_KEY": key}

    set_id = json.loads(_run(make_set, stack, **known))["config_set_id"]
    destination = json.loads(_run(make_destination, stack, **known, CONFIG_SET_ID=set_id))
    sent = json.loads(_run(send, stack, **known))

    assert destination["webhook_url"] == "https://yourapp.com/webhooks/splashify"
    assert list(sent) == ["message_id"]


def test_the_cost_of_a_million_is_printed(stack: Stack) -> None:
    """The cost command works as printed."""
    (command,) = [command for kind, command in COMMANDS if kind == "cost"]

    assert "$ per million deliveries" in _run(command, stack)


def test_an_operator_checks_the_deploy(stack: Stack) -> None:
    """The check works as printed, and nothing fails."""
    (command,) = [command for kind, command in COMMANDS if kind == "check"]

    printed = _run(command, stack, POSTHORN_API_URL=stack.api_url)

    assert {line.split()[0] for line in printed.splitlines() if line[0] != " "} <= {"ok", "warn"}


def test_an_operator_finds_lost_work(stack: Stack) -> None:
    """Dead letters and redispatch: each command works as printed, and reports what it found."""
    letters, again = [_run(command, stack) for kind, command in COMMANDS if kind == "operator"]
    assert {line.split()[0] for line in letters.splitlines()} <= set(QUEUES)
    assert {line.split()[0]: line.split()[1] for line in again.splitlines()}["failed"] == "0"


def test_missed_deliveries_can_be_replayed(stack: Stack) -> None:
    """Log, detail, match, example, enabling, replays and progress: each command works as printed."""
    commands = [command for kind, command in COMMANDS if kind == "failed"]
    _, key = create_workspace_key(
        stack.client("dynamodb"),
        stack.outputs["ConfigTableName"],
        workspace_name="readme",
        scopes=["publish", "api_user", "user"],
    )
    customer = Customer(stack.api_url, key)
    with recording(always(400)) as receiver:
        webhook = customer.register(receiver.url, ["CONTACT_CREATED"])
        event_id = customer.publish()
        customer.settled(event_id)
        customer.call("PUT", f"/v1/webhooks/{webhook['id']}", {"enabled": False})
        customer.call("PUT", f"/v1/webhooks/{webhook['id']}", {"enabled": True})
        known = {"API_URL": stack.api_url, "API_KEY": key, "WEBHOOK_ID": webhook["id"], "EVENT_ID": event_id}

        answers = []
        for command in commands:
            answers.append(json.loads(_run(command, stack, **known)))
            if "replay" in answers[-1]:
                known["REPLAY_ID"] = answers[-1]["replay"]["id"]
        undelivered, detail, match, test, switched, replayed, everything, progress = answers

    assert [one["eventId"] for one in undelivered["deliveries"]] == [event_id]
    assert detail["delivery"]["reason"] == "rejected"
    assert [(one["webhookId"], one["matched"]) for one in match["webhooks"]] == [(webhook["id"], True)]
    assert test["event"]["event"] == "CONTACT_CREATED"
    assert switched["webhook"]["enabled"] is True
    assert replayed["delivery"]["status"] == "queued"
    assert everything["replay"]["id"] == progress["replay"]["id"]


def test_a_retry_is_made_now(stack: Stack) -> None:
    """The receiver asks for ten minutes; the command makes the second attempt now, and prints the delivery."""
    (command,) = [command for kind, command in COMMANDS if kind == "retry"]
    _, key = create_workspace_key(
        stack.client("dynamodb"),
        stack.outputs["ConfigTableName"],
        workspace_name="readme",
        scopes=["publish", "api_user", "user"],
    )
    customer = Customer(stack.api_url, key)

    def attempts(path: str) -> list[dict[str, Any]]:
        _, body = customer.call("GET", path)
        made: list[dict[str, Any]] = body.get("delivery", {}).get("attempts", [])
        return made

    with recording(always(503), retry_after=600) as receiver:
        webhook = customer.register(receiver.url, ["CONTACT_CREATED"])
        event_id = customer.publish()
        path = f"/v1/webhooks/{webhook['id']}/deliveries/{event_id}"
        awaited(lambda: attempts(path) or None)
        known = {"API_URL": stack.api_url, "API_KEY": key, "WEBHOOK_ID": webhook["id"], "EVENT_ID": event_id}
        moved = json.loads(_run(command, stack, **known))["delivery"]
        made = awaited(lambda: made if len(made := attempts(path)) > 1 else None)

    due = datetime.fromisoformat(moved["nextAttemptAt"])
    assert moved["status"] == "retrying"
    assert due <= datetime.fromisoformat(made[1]["startedAt"])
    assert due - datetime.fromisoformat(made[0]["startedAt"]) < timedelta(minutes=10)


@pytest.mark.parametrize("command", [command for kind, command in COMMANDS if kind is None])
def test_every_other_command_says_why_it_is_not_run_here(command: str) -> None:
    """A command without a marker is run by another test, or says that it needs AWS or Docker."""
    assert any(mark in command for mark in ELSEWHERE)


def test_the_make_targets_exist() -> None:
    """Every `make` target that the README names is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE))

    assert set(re.findall(r"make ([a-z-]+)`", README)) <= targets
    assert {"demo", "test"} <= targets


def test_the_stages_match_the_readme() -> None:
    """The `make test` output in the README has the Makefile's headlines, in order."""
    printed = re.findall(r"^(== .*)$", README, re.MULTILINE)
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")

    last = "== all stages passed"
    stages = [line for line in re.findall(r'@echo "(== .*)"', makefile) if line != last]
    assert printed == [*stages, last]


def test_the_paths_exist() -> None:
    """Every path that the README names exists."""
    for path in re.findall(r"`((?:functions|infra|tests|docs)/[\w./-]*)`", README):
        assert (REPOSITORY / path).exists(), path
