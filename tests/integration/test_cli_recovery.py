"""`posthorn redispatch` and `posthorn dead-letters` as commands: text, JSON and the permissions they lack."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from posthorn.aws import clients
from posthorn.domain.clock import rfc3339
from posthorn_cli import dead_letters, installed, outages
from posthorn_cli.dead_letters import QUEUES
from tests import operator
from tests.commands import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn_cli.installed import Installed
    from tests.installation import Installation


DENIED = (
    "User: arn:aws:iam::123456789012:user/op is not authorized to perform: {action} on resource:"
    " arn:aws:dynamodb:us-east-1:123456789012:table/t because no identity-based policy allows the {action} action"
)


@pytest.fixture(autouse=True)
def place(posthorn: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    """Let every command find this installation, and not wait for messages that do not come."""
    found = operator.installed(posthorn)
    monkeypatch.setattr(installed, "find", lambda *_, **__: found)
    with mock.patch.dict(dead_letters.go_through.__kwdefaults__, wait_seconds=0):
        yield found


def _window(posthorn: Installation) -> tuple[str, ...]:
    now = posthorn.clock()
    return ("--since", rfc3339(now - 1000), "--until", rfc3339(now + 1000))


def _refuse(client: Any, operation: str, action: str) -> None:
    """Let AWS deny an operation from now on."""
    error = {"Code": "AccessDeniedException", "Message": DENIED.format(action=action)}
    answer = mock.Mock(status_code=400), {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}
    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register_first(f"before-call.{service}.{operation}", lambda **_: answer)


def test_redispatch_says_the_same_as_text_and_as_json(
    posthorn: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dry run in both forms, then the real one, then nothing is missing."""
    posthorn.register()
    for _ in range(3):
        posthorn.publish()
    window = _window(posthorn)

    text = run(capsys, "redispatch", *window, "--dry-run")
    dry = run(capsys, "redispatch", *window, "--dry-run", "--json").document
    real = run(capsys, "redispatch", *window, "--json").document
    again = run(capsys, "redispatch", *window, "--json").document

    counts = {
        "channels": 1,
        "events": 3,
        "unreadable": 0,
        "missing": 3,
        "queued": 0,
        "failed": 0,
        "notices": 0,
    }
    printed = [re.split(r" {2,}", line) for line in text.out.splitlines()]
    assert (text.status, text.err) == (0, "")
    assert {name: int(count) for name, count, _ in printed} == counts
    now = posthorn.clock()
    assert dry == {
        "since": f"{rfc3339(now - 1000)[:-1]}.000Z",
        "until": f"{rfc3339(now + 1000)[:-1]}.000Z",
        "dryRun": True,
        **counts,
    }
    assert {**dry, "dryRun": False, "queued": 3} == real
    assert again["missing"] == 0


def test_redispatch_says_which_permission_it_lacks(
    posthorn: Installation, place: Installed, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows that cannot be written are counted; the reason is one sentence, and no log line gets into the result."""
    posthorn.register()
    posthorn.publish()
    _refuse(place.dynamodb, "PutItem", "dynamodb:PutItem")

    done = run(capsys, "redispatch", *_window(posthorn), "--json")

    assert done.status == 1
    assert (done.document["missing"], done.document["queued"], done.document["failed"]) == (1, 0, 1)
    assert done.err == (
        "posthorn: 1 delivery could not be queued. Your AWS identity may not perform dynamodb:PutItem on"
        " arn:aws:dynamodb:us-east-1:123456789012:table/t. Run the command again.\n"
    )


def test_a_message_that_cannot_be_sent_is_explained_as_well(
    posthorn: Installation, place: Installed, capsys: pytest.CaptureFixture[str]
) -> None:
    """The queues keep the reason to themselves; the command hears it from the client."""
    posthorn.register()
    posthorn.publish()
    _refuse(place.sqs, "SendMessageBatch", "sqs:SendMessage")

    done = run(capsys, "redispatch", *_window(posthorn))

    assert done.status == 1
    assert "Your AWS identity may not perform sqs:SendMessage on arn:" in done.err


@pytest.mark.parametrize(
    ("operation", "action"), [("BatchGetItem", "dynamodb:BatchGetItem"), ("Scan", "dynamodb:Scan")]
)
def test_a_read_that_is_denied_ends_the_command(
    posthorn: Installation,
    place: Installed,
    capsys: pytest.CaptureFixture[str],
    operation: str,
    action: str,
) -> None:
    """Whether the store passes the refusal on or only counts what it could not read."""
    posthorn.register()
    posthorn.publish()
    _refuse(place.dynamodb, operation, action)

    done = run(capsys, "redispatch", *_window(posthorn), "--json")

    assert (done.status, done.out) == (1, "")
    assert done.err == (
        f"posthorn: Your AWS identity may not perform {action} on"
        " arn:aws:dynamodb:us-east-1:123456789012:table/t.\n"
    )


def test_listening_for_failures_ends_with_the_command(place: Installed) -> None:
    """What a client says later belongs to nobody."""
    with outages.noticed(place) as sentences:
        pass
    _refuse(place.sqs, "ListQueues", "sqs:ListQueues")
    with pytest.raises(Exception, match="AccessDenied"):
        place.sqs.list_queues()

    assert sentences == set()


def test_dead_letters_say_the_same_as_text_and_as_json(
    posthorn: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every queue has its counts; a letter that cannot be moved says why and is kept."""
    webhook = posthorn.register()
    odd = {"kind": "message", "reason": "odd \x1b[31mreason", "body": "canary"}
    posthorn.call("POST", f"/v1/webhooks/{webhook['id']}/replays", {"since": "2023-04-01T00:00:00Z"})
    (step,) = posthorn.take("ReplayQueue")
    for queue, body in (("DeliverDeadLetterQueue", json.dumps(odd)), ("ReplayDeadLetterQueue", step.body)):
        clients.client("sqs").send_message(QueueUrl=posthorn.queues[queue], MessageBody=body)

    listed = run(capsys, "dead-letters")
    dry = run(capsys, "dead-letters", "--move", "--dry-run", "--json").document
    moved = run(capsys, "dead-letters", "--move", "--json")
    left = run(capsys, "dead-letters", "--queue", "deliver", "--json").document

    assert listed.status == moved.status == 0
    lines = [re.split(r" {2,}", line) for line in listed.out.splitlines()]
    assert [[one["queue"], one["sentAt"], one["kind"], one["about"]] for one in dry["deadLetters"]] == [
        line[:4] for line in lines
    ]
    assert "\x1b" not in listed.out
    assert "odd \N{REPLACEMENT CHARACTER}[31mreason" in listed.out
    assert "canary" not in listed.out + moved.out
    assert [one["outcome"] for one in dry["deadLetters"]] == ["kept", "would_move"]
    assert [(one["outcome"], one["error"]) for one in moved.document["deadLetters"]] == [
        ("kept", "it does not say where it belongs"),
        ("moved", None),
    ]
    nothing = {"found": 0, "moved": 0}
    assert moved.document["queues"] == {
        "dispatch": nothing,
        "deliver": {"found": 1, "moved": 0},
        "feedback": nothing,
        "replay": {"found": 1, "moved": 1},
        "purge": nothing,
    }
    assert moved.err.splitlines() == [
        f"{queue}: {counts['found']} found, {counts['moved']} moved"
        for queue, counts in moved.document["queues"].items()
    ]
    assert left["queues"] == {"deliver": {"found": 1, "moved": 0}}


def test_what_was_moved_is_reported_although_the_next_one_fails(
    posthorn: Installation, place: Installed, capsys: pytest.CaptureFixture[str]
) -> None:
    """The document is complete up to the failure, which is one sentence beside it."""
    for queue in ("DeliverDeadLetterQueue", "FeedbackDeadLetterQueue"):
        clients.client("sqs").send_message(QueueUrl=posthorn.queues[queue], MessageBody="{}")
    _refuse(place.sqs, "SendMessage", "sqs:SendMessage")

    done = run(capsys, "dead-letters", "--move", "--json")

    assert done.status == 1
    assert [one["queue"] for one in done.document["deadLetters"]] == ["deliver"]
    assert done.document["queues"].keys() == set(QUEUES)
    (sentence,) = done.err.splitlines()
    assert sentence.startswith("posthorn: Your AWS identity may not perform sqs:SendMessage on arn:")
