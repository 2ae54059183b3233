"""`posthorn` as an operator types it, in moto: text and JSON say the same, and mistakes are one sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from posthorn.api.access import HEADER
from posthorn.stores.api_keys import ApiKeys
from posthorn.stores.workspaces import Workspaces
from posthorn_cli import dead_letters, installed
from tests import operator
from tests.commands import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn_cli.installed import Installed
    from tests.installation import Installation


@pytest.fixture(autouse=True)
def place(posthorn: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    """Let every command find this installation, and not wait for messages that do not come."""
    found = operator.installed(posthorn)
    monkeypatch.setattr(installed, "find", lambda *_, **__: found)
    with mock.patch.dict(dead_letters.go_through.__kwdefaults__, wait_seconds=0):
        yield found


def _paged(page: Any) -> Any:
    """Return a store's method with pages of two, whatever the caller asks for."""
    return lambda self, *given, **options: page(self, *given, **{**options, "limit": 2})


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
