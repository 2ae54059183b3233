"""`/v1/workspaces/{workspace}/sender-identities`, and which `from` it allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from unittest import mock
from urllib.parse import quote

import pytest
from botocore.client import BaseClient

from posthorn.api.routes.sender_identities import PATH
from posthorn.api.sender_directory import STALE_MS
from posthorn.domain.errors import RefusedSender, Unavailable
from tests.installation import running
from tests.integration.test_send_mail import MAIL, SEND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.installation import Installation, Reply

UNSET: Final = {name: value for name, value in MAIL.items() if name != "configuration_set_name"}


@pytest.fixture
def posthorn() -> Iterator[Installation]:
    with running(SenderIdentities="enforced") as installation:
        yield installation


@pytest.fixture
def platform(posthorn: Installation) -> str:
    return posthorn.new_platform_key()


def path_of(posthorn: Installation, workspace: str | None = None) -> str:
    return PATH.format(workspace=workspace or posthorn.workspace)


def register(posthorn: Installation, key: str, identity: Any, workspace: str | None = None) -> Reply:
    return posthorn.call("POST", path_of(posthorn, workspace), {"identity": identity}, key=key)


def send(posthorn: Installation, sender: str, **options: Any) -> Reply:
    return posthorn.call("POST", SEND, {**UNSET, "from": sender}, **options)


def names(posthorn: Installation, key: str) -> list[str]:
    listed = posthorn.call("GET", path_of(posthorn), key=key).body["senderIdentities"]
    return [one["identity"] for one in listed]


def test_an_identity_is_registered_once(posthorn: Installation, platform: str) -> None:
    """The answer is 201, and 200 for the same identity in another spelling; it keeps its time."""
    first = register(posthorn, platform, "Mail.Bücher.example")
    posthorn.clock.pass_seconds(60)
    again = register(posthorn, platform, "mail.XN--BCHER-KVA.example")
    address = register(posthorn, platform, "Ann@Shop.example")

    expected = {
        "identity": "mail.xn--bcher-kva.example",
        "kind": "domain",
        "createdAt": "2023-04-16T15:45:00Z",
    }
    assert (first.status, first.body) == (201, {"senderIdentity": expected})
    assert (again.status, again.body) == (200, first.body)
    assert address.body["senderIdentity"] | {"createdAt": ""} == {
        "identity": "Ann@shop.example",
        "kind": "address",
        "createdAt": "",
    }
    assert names(posthorn, platform) == ["Ann@shop.example", "mail.xn--bcher-kva.example"]


@pytest.mark.parametrize("identity", ["shop.example", "o'brien+x=1@shop.example", "Ann@shop.example"])
@pytest.mark.parametrize("encode", [str, lambda text: quote(text, safe="")])
def test_an_identity_goes_by_its_name(
    posthorn: Installation, platform: str, identity: str, encode: Any
) -> None:
    """Clients encode the @; the workspace is named by its id or uid."""
    made = register(posthorn, platform, identity)
    uid = posthorn.call("GET", f"/v1/workspaces/{posthorn.workspace}", key=platform).body["workspace"]["uid"]

    for workspace in (posthorn.workspace, uid):
        found = posthorn.call("GET", f"{path_of(posthorn, workspace)}/{encode(identity)}", key=platform)
        assert (found.status, found.body) == (200, made.body)
    gone = posthorn.call("DELETE", f"{path_of(posthorn, uid)}/{encode(identity)}", key=platform)
    assert (gone.status, gone.body) == (200, {"deleted": True})
    for method in ("GET", "DELETE"):
        reply = posthorn.call(method, f"{path_of(posthorn)}/{encode(identity)}", key=platform)
        assert (reply.status, reply.body["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "identity", ["com", "", "Ann <ann@shop.example>", '"a b"@shop.example', "a_b.example"]
)
def test_an_identity_must_be_a_domain_or_an_address(
    posthorn: Installation, platform: str, identity: str
) -> None:
    """The error points to it, and nothing is registered."""
    reply = register(posthorn, platform, identity)

    assert (reply.status, reply.body["code"]) == (422, "invalid_input")
    assert reply.body["errors"][0]["pointer"] == "/identity"
    assert names(posthorn, platform) == []


def test_an_unknown_workspace_has_no_identities(posthorn: Installation, platform: str) -> None:
    """Every route answers 404."""
    for method, path in (("GET", ""), ("POST", ""), ("GET", "/shop.example"), ("DELETE", "/shop.example")):
        body = {"identity": "shop.example"} if method == "POST" else None
        reply = posthorn.call(method, path_of(posthorn, "nobody") + path, body, key=platform)
        assert (reply.status, reply.body["detail"]) == (404, "No such workspace.")


def test_a_workspace_that_is_being_deleted_gets_no_identity(posthorn: Installation, platform: str) -> None:
    """A registration would make a tenant that the purge has removed already."""
    posthorn.call("DELETE", f"/v1/workspaces/{posthorn.workspace}", key=platform)
    reply = register(posthorn, platform, "shop.example")
    assert (reply.status, reply.body["detail"]) == (404, "No such workspace.")


def test_several_workspaces_may_have_the_same_identity(posthorn: Installation, platform: str) -> None:
    """A platform may send for all customers from its own domain; each workspace has only what is its own."""
    other, other_key = posthorn.new_workspace()
    for workspace in (posthorn.workspace, other):
        assert register(posthorn, platform, "shared.example", workspace).status == 201
    register(posthorn, platform, "own.example", other)
    posthorn.call("DELETE", f"{path_of(posthorn)}/shared.example", key=platform)

    assert send(posthorn, "a@shared.example", key=other_key).status == 202
    assert send(posthorn, "a@own.example", key=other_key).status == 202
    for sender in ("a@shared.example", "a@own.example"):
        assert send(posthorn, sender).body["code"] == "sender_not_allowed"


@pytest.mark.parametrize(
    ("sender", "is_allowed"),
    [
        ("a@shop.example", True),
        ("Shop <a@shop.example>", True),
        ('"Shop, Inc." <a@news.shop.example>', True),
        ("A@SHOP.EXAMPLE", True),
        ("a@bücher.example", True),
        ("Bücher <a@Xn--BCHER-kva.example>", True),
        ("ann@one.example", True),
        ("Ann <ann@ONE.example>", True),
        ("Ann@one.example", False),
        ("bob@one.example", False),
        ("ann@sub.one.example", False),
        ("a@example", False),
        ("a@otherexample.com", False),
        ("a@myshop.example", False),
        ("a@shop.example.evil.example", False),
        ("shop.example <a@evil.example>", False),
        ("a@\uff53hop.example", False),
        ("a@bu\u0308cher2.example", False),
        ("a@shop.example.", False),
    ],
)
def test_a_mail_is_from_an_identity_of_the_workspace(
    posthorn: Installation, platform: str, sender: str, is_allowed: bool
) -> None:
    """Domains cover their subdomains, whatever the case and the display name; addresses cover themselves."""
    for identity in ("shop.example", "bücher.example", "ann@one.example"):
        register(posthorn, platform, identity)

    reply = send(posthorn, sender)

    if is_allowed:
        assert reply.status == 202
    else:
        assert (reply.status, reply.body["code"]) == (422, "sender_not_allowed")
        assert "sender-identities" in reply.body["detail"]
        assert [error["pointer"] for error in reply.body["errors"]] == ["/from"]
        assert sender not in str(reply.body)


def test_two_senders_in_one_from_are_refused_as_before(posthorn: Installation, platform: str) -> None:
    """A text that a mail server could read as two addresses is none."""
    register(posthorn, platform, "shop.example")
    reply = send(posthorn, "a@shop.example>,<c@evil.example")
    assert (reply.status, reply.body["code"]) == (422, "invalid_input")


def test_what_was_compared_is_sent(posthorn: Installation, platform: str) -> None:
    """The domain reaches the backend in the form that was compared; the name stays."""
    register(posthorn, platform, "bücher.example")
    sent: list[Any] = []
    with mock.patch.object(type(posthorn.services.email), "send", lambda _, mail: sent.append(mail)):
        send(posthorn, "Bücher <Ann@News.BÜCHER.example>")

    assert [one.sender for one in sent] == ["Bücher <Ann@news.xn--bcher-kva.example>"]


def test_an_open_installation_takes_any_sender_as_it_is() -> None:
    """On stage `local`, the published calls work as printed, and no identity is looked up."""
    with running(SenderIdentities="by-stage", Stage="local") as posthorn:
        sent: list[Any] = []
        with (
            mock.patch.object(type(posthorn.services.email), "send", lambda _, mail: sent.append(mail)),
            mock.patch.object(type(posthorn.services.senders.store), "get_many", side_effect=AssertionError),
        ):
            assert send(posthorn, "Hello <hello@YourCompany.com>").status == 202
        assert [one.sender for one in sent] == ["Hello <hello@YourCompany.com>"]


def test_by_default_senders_are_enforced() -> None:
    """Any stage but `local` is for customers."""
    with running(SenderIdentities="by-stage", Stage="prod") as posthorn:
        assert send(posthorn, "hello@yourcompany.com").body["code"] == "sender_not_allowed"


def test_a_refused_sender_leaves_the_idempotency_key_free(posthorn: Installation, platform: str) -> None:
    """Once the identity is registered, the same request is sent; then its answer outlives the identity."""
    key = {"idempotency-key": "welcome-4711"}
    refused = send(posthorn, "a@shop.example", headers=key)
    register(posthorn, platform, "shop.example")
    first = send(posthorn, "a@shop.example", headers=key)
    posthorn.call("DELETE", f"{path_of(posthorn)}/shop.example", key=platform)
    again = send(posthorn, "a@shop.example", headers=key)

    assert (refused.status, first.status) == (422, 202)
    assert (again.status, again.body) == (202, first.body)


def test_a_warm_process_looks_nothing_up(posthorn: Installation, platform: str) -> None:
    """For 30 seconds, further mails from anywhere in a known domain read no identity."""
    register(posthorn, platform, "shop.example")
    reads: list[str] = []
    plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def noted(self: BaseClient, name: str, parameters: Any) -> Any:
        reads.append(f"{name} {parameters}")
        return plain(self, name, parameters)

    def reads_of(sender: str) -> int:
        reads.clear()
        assert send(posthorn, sender).status == 202
        return sum("sender_identity#" in read for read in reads)

    with mock.patch.object(BaseClient, "_make_api_call", noted):
        assert reads_of("a@shop.example") == 1
        assert reads_of("b@shop.example") == 0
        assert reads_of("c@news.shop.example") == 0
        posthorn.clock.now_ms += STALE_MS
        assert reads_of("a@shop.example") == 1


def test_an_identity_works_at_once_and_ends_within_the_time_it_is_cached(
    posthorn: Installation, platform: str
) -> None:
    """A process that refused a sender a moment ago allows it; one that has cached an identity forgets it in time."""
    assert send(posthorn, "a@shop.example").status == 422
    register(posthorn, platform, "shop.example")
    assert send(posthorn, "a@shop.example").status == 202

    (one,) = posthorn.services.senders.store.of_workspace(posthorn.workspace)
    posthorn.services.senders.store.remove(one)  # as another process would
    assert send(posthorn, "a@shop.example").status == 202
    posthorn.clock.now_ms += STALE_MS
    assert send(posthorn, "a@shop.example").status == 422


def test_an_identity_that_the_backend_does_not_know_is_not_registered(
    posthorn: Installation, platform: str
) -> None:
    """The error says what an operator must do."""
    refusal = RefusedSender("Must be an identity in SES.", code="unknown_identity")
    with mock.patch.object(type(posthorn.services.email), "add_sender", side_effect=refusal):
        reply = register(posthorn, platform, "shop.example")

    assert (reply.status, reply.body["code"]) == (422, "unknown_identity")
    assert reply.body["errors"] == [{"pointer": "/identity", "detail": "Must be an identity in SES."}]
    assert names(posthorn, platform) == []


@pytest.mark.parametrize(("operation", "left"), [("add_sender", []), ("remove_sender", ["shop.example"])])
def test_an_interrupted_request_is_completed_by_the_next(
    posthorn: Installation, platform: str, operation: str, left: list[str]
) -> None:
    """The row is written after the backend's resources exist, and removed after they are gone."""
    method, path, body = "POST", path_of(posthorn), {"identity": "shop.example"}
    if operation == "remove_sender":
        register(posthorn, platform, "shop.example")
        method, path = "DELETE", f"{path}/shop.example"
    outage = Unavailable("create_tenant", "TooManyRequestsException", refused=True)
    with mock.patch.object(type(posthorn.services.email), operation, side_effect=outage):
        assert posthorn.call(method, path, body, key=platform).status == 503
    assert names(posthorn, platform) == left

    assert posthorn.call(method, path, body, key=platform).status in {200, 201}
    assert names(posthorn, platform) == ([] if left else ["shop.example"])


def test_an_identity_registered_again_notes_its_tenant(posthorn: Installation, platform: str) -> None:
    """After `SesTenants` was changed, a second registration moves the identity to the tenant."""
    register(posthorn, platform, "shop.example")
    sent: list[Any] = []
    backend = type(posthorn.services.email)
    with (
        mock.patch.object(backend, "add_sender", return_value=True),
        mock.patch.object(backend, "send", lambda _, mail: sent.append(mail)),
    ):
        send(posthorn, "a@shop.example")
        assert register(posthorn, platform, "shop.example").status == 200
        send(posthorn, "a@shop.example")

    assert [one.has_tenant for one in sent] == [False, True]
