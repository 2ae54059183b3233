"""`posthorn` as an operator types it, in moto: text and JSON say the same, and mistakes are one sentence."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
import pytest

from posthorn.api.access import HEADER
from posthorn.aws import clients
from posthorn.domain.clock import rfc3339
from posthorn.stores.api_keys import ApiKeys
from posthorn.stores.workspaces import Workspaces
from posthorn_cli import dead_letters, installed, outages
from posthorn_cli.dead_letters import QUEUES
from posthorn_cli.installed import Installed
from tests.commands import run
from tests.template import REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.installation import Installation

DENIED = (
    "User: arn:aws:iam::123456789012:user/op is not authorized to perform: {action} on resource:"
    " arn:aws:dynamodb:us-east-1:123456789012:table/t because no identity-based policy allows the {action} action"
)


@pytest.fixture(autouse=True)
def place(posthorn: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    """Let every command find this installation, and not wait for messages that do not come."""
    outputs = {f"{name}Name": table for name, table in posthorn.tables.items()}
    outputs |= {f"{name}Name": url.rsplit("/", 1)[1] for name, url in posthorn.queues.items()}
    outputs["RetentionDays"] = "30"
    found = Installed("posthorn", boto3.Session(region_name=REGION), outputs, posthorn.clock)
    monkeypatch.setattr(installed, "find", lambda *_, **__: found)
    with mock.patch.dict(dead_letters.go_through.__kwdefaults__, wait_seconds=0):
        yield found


def _window(posthorn: Installation) -> tuple[str, ...]:
    now = posthorn.clock()
    return ("--since", rfc3339(now - 1000), "--until", rfc3339(now + 1000))


def _paged(page: Any) -> Any:
    """Return a store's method with pages of two, whatever the caller asks for."""
    return lambda self, *given, **options: page(self, *given, **{**options, "limit": 2})


def _refuse(client: Any, operation: str, action: str) -> None:
    """Let AWS deny an operation from now on."""
    error = {"Code": "AccessDeniedException", "Message": DENIED.format(action=action)}
    answer = mock.Mock(status_code=400), {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}
    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register_first(f"before-call.{service}.{operation}", lambda **_: answer)


def test_keys_are_created_and_work(posthorn: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys of a workspace that is named by its uid or its id; text and JSON have the same fields."""
    workspace = run(capsys, "workspaces", "create", "acme", "--json").document["workspace"]["id"]
    create = ("keys", "create", "--scope", "user", "--scope", "api_user")
    text = run(capsys, *create, "--name", "one", "--workspace", "acme")
    fields = dict(re.split(r" {2,}", line) for line in text.out.splitlines())
    document = run(capsys, *create, "--name", "two", "--workspace", workspace, "--json").document

    assert text.status == 0
    assert list(fields) == ["workspace", "uid", "scopes", "API key"]
    assert [fields[name] for name in ("workspace", "uid", "scopes")] == [workspace, "acme", "api_user user"]
    assert "cannot be shown again" in text.err
    assert document == {
        "id": document["key"][4:16],
        "name": "two",
        "workspace": workspace,
        "uid": "acme",
        "scopes": ["api_user", "user"],
        "key": document["key"],
    }
    for key in (fields["API key"], document["key"]):
        assert posthorn.call("GET", "/v1/webhooks", key=key, headers={HEADER: "acme"}).status == 200


def test_a_platform_key_is_created_and_works(
    posthorn: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    """It belongs to no workspace, manages them, and acts in any of them."""
    text = run(capsys, "keys", "create", "--name", "backend", "--platform")
    document = run(capsys, "keys", "create", "--name", "backend", "--platform", "--json").document
    fields = dict(re.split(r" {2,}", line) for line in text.out.splitlines())

    assert (text.status, list(fields), fields["scopes"]) == (0, ["scopes", "API key"], "platform")
    assert document == {
        "id": document["key"][4:16],
        "name": "backend",
        "scopes": ["platform"],
        "key": document["key"],
    }
    for key in (fields["API key"], document["key"]):
        assert posthorn.call("PUT", "/v1/workspaces/acme", key=key).status in {200, 201}
        assert posthorn.call("GET", "/v1/webhooks", key=key, headers={HEADER: "acme"}).status == 200


@pytest.mark.parametrize("name", ["nobody", "wksp_01GY5BVC309NNKZNNKZNNKZNNK", "wksp_1"])
@pytest.mark.parametrize(
    "command",
    [
        ("keys", "create", "--name", "x", "--scope", "user", "--workspace"),
        ("keys", "list", "--workspace"),
        ("workspaces", "show"),
    ],
)
def test_no_command_makes_a_workspace_by_accident(
    capsys: pytest.CaptureFixture[str], command: tuple[str, ...], name: str
) -> None:
    """An id or uid that nothing has is refused in one sentence, and nothing is made."""
    before = run(capsys, "workspaces", "list", "--json").document

    done = run(capsys, *command, name)

    assert (done.status, done.out) == (1, "")
    assert done.err == f"posthorn: There is no workspace with the id or uid {name}.\n"
    assert run(capsys, "workspaces", "list", "--json").document == before


def test_workspaces_are_created_listed_and_shown(
    posthorn: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    """Text and JSON say the same, and the JSON is that of the API; a uid that is taken is refused."""
    platform = posthorn.new_platform_key()
    made = run(capsys, "workspaces", "create", "org:1", "--name", "Acme Inc.", "--json").document
    body = {"status": "suspended", "metadata": {"plan": "pro"}, "limits": {"endpoints": 5}}
    change = posthorn.call("PATCH", "/v1/workspaces/org:1", body, key=platform)
    again = run(capsys, "workspaces", "create", "org:1")

    shown = run(capsys, "workspaces", "show", "org:1")
    suspended = run(capsys, "workspaces", "list", "--status", "suspended")
    everything = run(capsys, "workspaces", "list", "--json").document

    assert (made["workspace"]["uid"], made["workspace"]["name"]) == ("org:1", "Acme Inc.")
    assert (again.status, again.err) == (1, "posthorn: There is a workspace with the uid org:1 already.\n")
    one = change.body["workspace"]
    assert run(capsys, "workspaces", "show", one["id"], "--json").document == change.body
    assert [re.split(r" {2,}", line) for line in shown.out.splitlines()] == [
        ["id", one["id"]],
        ["uid", "org:1"],
        ["name", "Acme Inc."],
        ["status", "suspended"],
        ["created", one["createdAt"]],
        ["metadata", "plan=pro"],
        ["limits", "endpoints=5"],
    ]
    assert [re.split(r" {2,}", line) for line in suspended.out.splitlines()] == [
        [one["id"], "org:1", "suspended", one["createdAt"], "Acme Inc."]
    ]
    assert everything == posthorn.call("GET", "/v1/workspaces", key=platform).body
    assert one in everything["workspaces"]


def test_a_list_goes_on_to_its_last_page(
    posthorn: Installation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command reads page after page."""
    for number in range(3):
        run(capsys, "workspaces", "create", f"acme-{number}")
        posthorn.new_key("user", workspace=posthorn.workspace)
    for store in (Workspaces, ApiKeys):
        whole = store.page
        monkeypatch.setattr(store, "page", _paged(whole))

    workspaces = run(capsys, "workspaces", "list", "--json").document["workspaces"]
    keys = run(capsys, "keys", "list", "--workspace", posthorn.workspace, "--json").document["apiKeys"]

    assert {one["uid"] for one in workspaces} >= {"acme-0", "acme-1", "acme-2"}
    assert (len(workspaces), len(keys)) == (4, 4)


def test_keys_are_listed_with_their_state(posthorn: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of a workspace or those of the platform; text and JSON say the same, and no secret is among it."""
    key, platform = posthorn.new_key("user", "admin"), posthorn.new_platform_key()
    run(capsys, "keys", "revoke", key)
    posthorn.call("GET", "/v1/workspaces", key=platform)
    posthorn.call("GET", "/v1/webhooks")  # so that the use of this key is on record

    text = run(capsys, "keys", "list", "--workspace", posthorn.workspace)
    own = run(capsys, "keys", "list", "--workspace", posthorn.workspace, "--json").document["apiKeys"]
    of_platform = run(capsys, "keys", "list", "--platform", "--json").document["apiKeys"]
    platform_text = run(capsys, "keys", "list", "--platform")

    assert own == posthorn.call("GET", "/v1/api-keys").body["apiKeys"]
    assert [re.split(r" {2,}", line) for line in text.out.splitlines()] == [
        [one["id"], one["state"], " ".join(one["scopes"]), one["name"]] for one in own
    ]
    assert {one["id"]: one["state"] for one in own}[key[4:16]] == "revoked"
    assert [(one["id"], one["scopes"], one["state"]) for one in of_platform] == [
        (platform[4:16], ["platform"], "active")
    ]
    assert platform_text.out.split() == [platform[4:16], "active", "platform", "test"]
    assert key[16:48] not in text.out
    assert platform[16:48] not in platform_text.out


@pytest.mark.parametrize("part", ["key", "id", "prefix and id"])
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_key_is_revoked_by_any_of_its_names(
    posthorn: Installation, capsys: pytest.CaptureFixture[str], part: str, options: tuple[str, ...]
) -> None:
    """The whole key, or the id in it: either way nothing but the id is printed."""
    key = posthorn.new_key("user")
    given = {"key": key, "id": key[4:16], "prefix and id": key[:16]}[part]

    done = run(capsys, "keys", "revoke", given, *options)

    assert (done.status, done.err) == (0, "")
    if options:
        assert done.document == {"id": key[4:16], "revoked": True}
    else:
        assert done.out == f"revoked {key[4:16]}\n"
    assert posthorn.call("GET", "/v1/webhooks", key=key).status == 401


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "revoke", "{key}"),
        ("keys", "revoke", "{key}x"),
        ("keys", "revoke", "{key}", "{key}"),
        ("keys", "revoke", "--key={key}"),
        ("keys", "revoke", "--region={key}", "nobody"),
        ("keys", "create", "--name", "x", "--scope", "user", "--workspace", "{key}"),
        ("keys", "create", "--name", "x", "--scope", "{key}"),
        ("keys", "{key}"),
        ("revoke", "{key}"),
        ("{key}",),
        ("redispatch", "--since", "{key}"),
        ("dead-letters", "--queue", "{key}"),
        ("check", "--api-url", "{key}"),
        ("check", "--url", "{key}"),
    ],
)
def test_no_mistake_repeats_a_secret(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    """Wherever somebody pastes a key that nobody knows, the message holds its id at most."""
    key = "phk_Zz0123456789" + "SeCrEt00SeCrEt11SeCrEt22SeCrEt33" + "ChEcK0"

    done = run(capsys, *(argument.format(key=key) for argument in arguments))

    assert done.status in {1, 2}
    assert done.err != ""
    assert "SeCrEt" not in done.out + done.err


def test_a_key_that_does_not_exist_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1, and one sentence with the id."""
    done = run(capsys, "keys", "revoke", "000000000000", "--json")

    assert (done.status, done.out) == (1, "")
    assert done.err == "posthorn: There is no API key with the id 000000000000.\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("keys", "create", "--name", "x", "--scope", "user", "--workspace", "a/b"),
            "Invalid value for '--workspace': Must be the id or the uid of a workspace.",
        ),
        (("keys", "create", "--name", "x", "--scope", "user"), "Needs either --workspace or --platform."),
        (
            ("keys", "create", "--name", "x", "--scope", "user", "--workspace", "a", "--platform"),
            "Needs either --workspace or --platform.",
        ),
        (("keys", "create", "--name", "x", "--workspace", "a"), "Needs --scope for a key of a workspace"),
        (("keys", "create", "--name", "x", "--platform", "--scope", "user"), "takes none with --platform"),
        (
            ("keys", "create", "--name", "x", "--workspace", "a", "--scope", "platform"),
            "Invalid value for '--scope'",
        ),
        (("keys", "list"), "Needs either --workspace or --platform."),
        (("workspaces", "create", "wksp_1"), "Invalid value for 'UID': Must have 1 to 128 letters"),
        (("workspaces", "create", "a b"), "Invalid value for 'UID': Must have 1 to 128 letters"),
        (
            ("workspaces", "create", "a", "--name", ""),
            "Invalid value for --name: Must have 1 to 128 characters",
        ),
        (("workspaces", "show", "a/b"), "Invalid value for 'ID_OR_UID': Must be the id or the uid"),
        (("workspaces", "list", "--status", "paused"), "Invalid value for '--status'"),
        (("keys", "create", "--name", "x", "--scope", "root"), "Invalid value for '--scope'"),
        (("keys", "create", "--scope", "user", "--workspace", "a"), "Missing option '--name'"),
        (("keys", "revoke", "0123"), "Invalid value for 'KEY': Must be an API key or its id"),
        (("redispatch",), "Missing option '--since'"),
        (("redispatch", "--since", "2026-01-01T00:00:00"), "Must name its time zone"),
        (("redispatch", "--since", "1h", "--until", "2h"), "Must not be later than the end of the window."),
        (("redispatch", "--since", "yesterday"), "Must be a date"),
        (("dead-letters", "--dry-run"), "Needs --move"),
        (("dead-letters", "--queue", "letters"), "Invalid value for '--queue'"),
        (("check", "--publish"), "Needs --url"),
        (("check", "--url", "https://example.com/"), "Needs --publish"),
        (("check", "--api-url", "http://api.example.com"), "Must be the https URL of the API."),
        (("letters",), "Did you mean 'dead-letters'"),
    ],
)
def test_a_wrong_command_line_is_explained(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    """Status 2, how the command goes, and what is wrong with this one."""
    done = run(capsys, *arguments)

    assert (done.status, done.out) == (2, "")
    assert done.mistake.startswith("Usage: posthorn")
    assert says in done.mistake


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
