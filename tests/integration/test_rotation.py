"""Tokens are rotated without a delivery that its receiver could not verify."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
import standardwebhooks
import svix.webhooks
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from posthorn.domain.clock import now_ms
from tests.network import answers

if TYPE_CHECKING:
    from tests.installation import Installation, Reply
    from tests.network import Received

HOUR = 3600


def rotate(posthorn: Installation, webhook: dict[str, Any], body: Any = None, **headers: str) -> Reply:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    path = f"/v1/webhooks/{webhook['id']}/rotate-token"
    return posthorn.call("POST", path, {} if body is None else body, headers=sent)


def deliver(posthorn: Installation) -> Received:
    """Publish an event and return the request that the receiver got."""
    posthorn.publish()
    assert posthorn.dispatch() == set()
    return posthorn.network.received[-1]


def verifies(received: Received, token: str) -> bool:
    """Return whether both published libraries accept a delivery; they use the real clock."""
    secret = "whsec_" + base64.b64encode(token.encode()).decode()
    verdicts = set()
    for library in (standardwebhooks, svix.webhooks):
        try:
            library.Webhook(secret).verify(received.body, received.headers)
            verdicts.add(True)
        except library.WebhookVerificationError:
            verdicts.add(False)
    (explain,) = verdicts
    return explain


def signatures(received: Received) -> int:
    return len(received.headers["webhook-signature"].split(" "))


@pytest.fixture
def webhook(posthorn: Installation) -> dict[str, Any]:
    posthorn.clock.now_ms = now_ms()
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    return posthorn.register()


def test_both_tokens_verify_until_the_overlap_is_over(
    posthorn: Installation, webhook: dict[str, Any]
) -> None:
    """Published verifiers accept with the old and the new token, and later with the new one only."""
    posthorn.clock.now_ms -= 2 * HOUR * 1000
    reply = rotate(posthorn, webhook, {"overlapHours": 2})
    old, new = webhook["token"], reply.body["webhook"]["token"]
    posthorn.clock.pass_seconds(2 * HOUR - 1)
    during = deliver(posthorn)
    posthorn.clock.pass_seconds(1)
    after = deliver(posthorn)

    assert reply.status == 200
    assert new.startswith("wht_")
    assert new != old
    assert (signatures(during), signatures(after)) == (2, 1)
    assert [verifies(during, token) for token in (old, new)] == [True, True]
    assert [verifies(after, token) for token in (old, new)] == [False, True]


def test_the_new_signature_comes_first(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """A receiver that reads only one signature gets that of the new token."""
    new = rotate(posthorn, webhook).body["webhook"]["token"]
    received = deliver(posthorn)

    first, second = received.headers["webhook-signature"].split(" ")

    received.headers["webhook-signature"] = first
    assert [verifies(received, token) for token in (new, webhook["token"])] == [True, False]
    received.headers["webhook-signature"] = second
    assert [verifies(received, token) for token in (new, webhook["token"])] == [False, True]


@pytest.mark.parametrize(
    ("given", "hours"), [({}, 24), ({"overlapHours": 1}, 1), ({"overlapHours": 168}, 168)]
)
def test_the_answer_says_until_when_the_old_token_signs(
    posthorn: Installation, given: dict[str, int], hours: int
) -> None:
    """The overlap is a day by default and a week at most."""
    webhook = posthorn.register()
    reply = rotate(posthorn, webhook, given)
    endpoint = posthorn.services.endpoints.get(posthorn.workspace, webhook["id"])

    assert endpoint is not None
    assert endpoint.previous_secret is not None
    assert endpoint.previous_secret.until == posthorn.clock() + hours * HOUR * 1000
    assert (
        reply.body["previousTokenUntil"]
        == {
            24: "2023-04-17T15:45:00Z",
            1: "2023-04-16T16:45:00Z",
            168: "2023-04-23T15:45:00Z",
        }[hours]
    )


def test_without_an_overlap_the_old_token_stops_at_once(
    posthorn: Installation, webhook: dict[str, Any]
) -> None:
    """After a leak, the old token must stop signing at once."""
    reply = rotate(posthorn, webhook, {"overlapHours": 0, "token": "a-token-of-my-own"})
    received = deliver(posthorn)

    endpoint = posthorn.services.endpoints.get(posthorn.workspace, webhook["id"])

    assert endpoint is not None
    assert endpoint.previous_secret is None
    assert "previousTokenUntil" not in reply.body
    assert signatures(received) == 1
    assert verifies(received, "a-token-of-my-own")


def test_there_are_never_more_than_two(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """A second rotation within the overlap of the first drops the oldest token."""
    tokens = [webhook["token"], *(rotate(posthorn, webhook).body["webhook"]["token"] for _ in range(2))]
    received = deliver(posthorn)

    assert signatures(received) == 2
    assert [verifies(received, token) for token in tokens] == [False, True, True]


def test_the_current_token_again_is_not_a_rotation(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """Sending the current token again, without a key, does not drop the previous one."""
    replies = [rotate(posthorn, webhook, {"token": "a-token-of-my-own"}) for _ in range(2)]
    received = deliver(posthorn)

    assert replies[0].body == replies[1].body
    assert [verifies(received, token) for token in (webhook["token"], "a-token-of-my-own")] == [True, True]


@pytest.mark.parametrize("body", [{}, {"token": "a-token-of-my-own"}])
def test_a_repetition_does_not_rotate_twice(
    posthorn: Installation, webhook: dict[str, Any], body: dict[str, str]
) -> None:
    """One Idempotency-Key creates one new token, and the old one keeps signing beside it."""
    replies = [rotate(posthorn, webhook, body, idempotency_key="rotate-1") for _ in range(3)]
    received = deliver(posthorn)

    assert len({repr(reply) for reply in replies}) == 1
    assert verifies(received, webhook["token"])
    assert verifies(received, replies[0].body["webhook"]["token"])


def test_repetitions_at_once_rotate_once(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """A request that loses the race answers with the winner's token."""
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda _: rotate(posthorn, webhook, idempotency_key="rotate-1"), range(6)))

    assert {reply.status for reply in replies} == {200}
    assert len({reply.body["webhook"]["token"] for reply in replies}) == 1
    assert verifies(deliver(posthorn), webhook["token"])


@pytest.mark.parametrize("operation", ["Encrypt", "PutItem"])
def test_an_interrupted_rotation_leaves_the_old_token_valid(
    posthorn: Installation, webhook: dict[str, Any], operation: str
) -> None:
    """If KMS or DynamoDB fails, the old token signs alone; the same request then completes the rotation."""
    plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def failing(self: BaseClient, name: str, parameters: Any) -> Any:
        if name == operation and "idempotency#" not in repr(parameters):
            raise ClientError({"Error": {"Code": "InternalError"}, "ResponseMetadata": {}}, name)  # type: ignore[typeddict-item]
        return plain(self, name, parameters)

    with mock.patch.object(BaseClient, "_make_api_call", failing):
        broken = rotate(posthorn, webhook, idempotency_key="rotate-1")
    between = deliver(posthorn)
    completed = rotate(posthorn, webhook, idempotency_key="rotate-1")
    after = deliver(posthorn)

    assert (broken.status, completed.status) == (503, 200)
    assert signatures(between) == 1
    assert verifies(between, webhook["token"])
    assert [verifies(after, token) for token in (webhook["token"], completed.body["webhook"]["token"])] == [
        True,
        True,
    ]


def test_put_replaces_the_token_at_once(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """PUT with a token drops all previous ones, including one within its overlap."""
    rotate(posthorn, webhook)
    posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", {"token": "a-token-of-my-own"})
    received = deliver(posthorn)

    assert signatures(received) == 1
    assert verifies(received, "a-token-of-my-own")


def test_put_with_the_current_token_changes_nothing(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """A client that sends back what it read does not end an overlap, and nothing is written."""
    path = f"/v1/webhooks/{webhook['id']}"
    rotate(posthorn, webhook)
    shown = posthorn.call("GET", path).body["webhook"]
    before = posthorn.services.endpoints.get(posthorn.workspace, webhook["id"])

    posthorn.call("PUT", path, {name: shown[name] for name in ("url", "events", "token", "enabled")})

    assert posthorn.services.endpoints.get(posthorn.workspace, webhook["id"]) == before


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"overlapHours": -1}, "/overlapHours"),
        ({"overlapHours": 169}, "/overlapHours"),
        ({"overlapHours": 1.5}, "/overlapHours"),
        ({"overlapHours": "24"}, "/overlapHours"),
        ({"overlapHours": True}, "/overlapHours"),
        ({"overlap_hours": 1}, "/overlap_hours"),
        ({"token": "short"}, "/token"),
        ({"token": "sixteen characters\n"}, "/token"),
    ],
)
def test_a_bad_rotation_changes_nothing(posthorn: Installation, body: dict[str, Any], pointer: str) -> None:
    """The error points at the cause, and the token stays."""
    webhook = posthorn.register()

    reply = rotate(posthorn, webhook, body)

    assert reply.status == 422
    assert [error["pointer"] for error in reply.body["errors"]] == [pointer]
    assert posthorn.call("GET", f"/v1/webhooks/{webhook['id']}").body["webhook"]["token"] == webhook["token"]


def test_a_repeated_rotation_shows_only_the_token_that_its_key_may_retrieve(
    posthorn: Installation, webhook: dict[str, Any]
) -> None:
    """After a later rotation, a repetition answers what GET answers the same key, and nothing to other keys."""
    path = f"/v1/webhooks/{webhook['id']}"
    user, narrow = posthorn.new_key("user"), posthorn.new_key("api_user", "partner", "admin")
    once = {"idempotency-key": "rotate-1"}
    first = posthorn.call("POST", f"{path}/rotate-token", {}, key=user, headers=once)
    rotate(posthorn, webhook)

    repeated = posthorn.call("POST", f"{path}/rotate-token", {}, key=user, headers=once)
    refused = posthorn.call("POST", f"{path}/rotate-token", {}, key=narrow, headers=once)

    assert first.status == repeated.status == 200
    assert repeated.body["webhook"] == posthorn.call("GET", path, key=user).body["webhook"]
    assert repeated.body["webhook"]["token"] != first.body["webhook"]["token"]
    assert (refused.status, refused.body["code"]) == (403, "insufficient_scope")
