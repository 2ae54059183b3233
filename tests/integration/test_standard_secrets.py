"""Secrets of the standard's form, `whsec_` and base64: how they are given, what they sign, what is refused."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from standardwebhooks import Webhook

from posthorn.domain.clock import now_ms
from tests.configuration_sets import DESTINATION, MAIL, SETS, deliver_all, new_destination, new_set
from tests.network import answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.installation import Installation, Reply
    from tests.network import Received

STANDARD: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PLAIN: Final = "a-token-of-my-own-that-is-plain"
REPEATED: Final = "aaaaaaaaaaaaaaaa"
REFUSED: Final = (
    "Must be `whsec_` followed by the base64 of 24 to 64 bytes, with padding and the standard alphabet."
)
WARNING: Final = "Should not repeat one character: such a secret is easy to guess."


def create(posthorn: Installation, secret: str) -> Reply:
    wanted = {"url": "https://hooks.example.com/hook", "events": ["CONTACT_CREATED"], "token": secret}
    return posthorn.call("POST", "/v1/webhooks", wanted)


def update(posthorn: Installation, secret: str) -> Reply:
    return posthorn.call("PUT", f"/v1/webhooks/{posthorn.register()['id']}", {"token": secret})


def rotate(posthorn: Installation, secret: str) -> Reply:
    path = f"/v1/webhooks/{posthorn.register()['id']}/rotate-token"
    return posthorn.call("POST", path, {"overlapHours": 0, "token": secret})


def create_destination(posthorn: Installation, secret: str) -> Reply:
    path = f"{SETS}/{new_set(posthorn)}/event-destinations"
    return posthorn.call("POST", path, {**DESTINATION, "webhook_secret": secret})


def change_destination(posthorn: Installation, secret: str) -> Reply:
    set_id = new_set(posthorn)
    destination = new_destination(posthorn, set_id)["destination_id"]
    path = f"{SETS}/{set_id}/event-destinations/{destination}"
    return posthorn.call("PATCH", path, {"webhook_secret": secret})


WEBHOOK_ROUTES: Final = [create, update, rotate]
DESTINATION_ROUTES: Final = [create_destination, change_destination]
EVERY_ROUTE: Final = pytest.mark.parametrize("give", [*WEBHOOK_ROUTES, *DESTINATION_ROUTES])
type Give = Callable[[Installation, str], Reply]


def is_verified(received: Received, header: str, secret: str) -> None:
    """Verify as the published library does with the secret as given, and as the published examples do with its text."""
    Webhook(secret).verify(received.body, received.headers)
    digest = hmac.new(secret.encode(), received.body, hashlib.sha256).hexdigest()
    assert received.headers[header].removeprefix("sha256=") == digest


@pytest.mark.parametrize("give", WEBHOOK_ROUTES)
def test_a_webhooks_deliveries_verify_with_its_token_as_given(posthorn: Installation, give: Give) -> None:
    """The library decodes the token, the brand's header has its text as key, and GET shows the text."""
    posthorn.clock.now_ms = now_ms()  # the library compares with the real time
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    reply = give(posthorn, STANDARD)
    assert reply.status in {200, 201}
    assert reply.body["webhook"]["token"] == STANDARD
    assert "warnings" not in reply.body

    posthorn.publish()
    assert posthorn.dispatch() == set()

    (received,) = posthorn.network.received
    is_verified(received, "x-smashsend-signature", STANDARD)
    shown = posthorn.call("GET", f"/v1/webhooks/{reply.body['webhook']['id']}")
    assert shown.body["webhook"]["token"] == STANDARD


@pytest.mark.parametrize("give", DESTINATION_ROUTES)
def test_an_event_destinations_deliveries_verify_with_its_secret_as_given(
    posthorn: Installation, give: Give
) -> None:
    """The library decodes the secret, and the brand's header has its text as key."""
    posthorn.clock.now_ms = now_ms()
    posthorn.network.receivers["yourapp.com"] = answers(200)
    reply = give(posthorn, STANDARD)
    assert reply.status in {200, 201}
    assert "warnings" not in reply.body

    posthorn.call("POST", "/api/v1/partner/email/send", MAIL)
    deliver_all(posthorn)

    assert posthorn.network.received
    for received in posthorn.network.received:
        is_verified(received, "x-splashify-signature", STANDARD)


@pytest.mark.parametrize(("old", "new"), [(PLAIN, STANDARD), (STANDARD, PLAIN)])
def test_a_rotation_from_one_form_to_the_other_overlaps(posthorn: Installation, old: str, new: str) -> None:
    """A Standard Webhooks receiver with either token accepts, and the brand's header has the new one."""
    posthorn.clock.now_ms = now_ms()
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    webhook = posthorn.register(token=old)
    posthorn.call("POST", f"/v1/webhooks/{webhook['id']}/rotate-token", {"token": new})

    posthorn.publish()
    assert posthorn.dispatch() == set()

    (received,) = posthorn.network.received
    Webhook(STANDARD).verify(received.body, received.headers)
    Webhook(PLAIN.encode()).verify(received.body, received.headers)
    digest = hmac.new(new.encode(), received.body, hashlib.sha256).hexdigest()
    assert received.headers["x-smashsend-signature"] == digest


@EVERY_ROUTE
@pytest.mark.parametrize(
    "secret",
    [
        "whsec_of-my-own-without-base64",
        STANDARD.removesuffix("w") + "=",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLQ",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLQ==\N{NO-BREAK SPACE}",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2Ka",
        f"whsec_{'A' * 88}",
        "whsec_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_",
    ],
)
def test_a_key_that_not_every_library_reads_is_refused(
    posthorn: Installation, give: Give, secret: str
) -> None:
    """The error points at the field, says what the key must be, and does not repeat it."""
    reply = give(posthorn, secret)
    assert (reply.status, reply.body["code"]) == (422, "invalid_input")
    field = "token" if give in WEBHOOK_ROUTES else "webhook_secret"
    assert reply.body["errors"] == [{"pointer": f"/{field}", "detail": REFUSED}]
    assert secret.removeprefix("whsec_") not in json.dumps(reply.body)


@EVERY_ROUTE
@pytest.mark.parametrize("secret", [REPEATED, f"whsec_{'A' * 32}"])
def test_a_secret_of_one_repeated_character_is_warned_about(
    posthorn: Installation, give: Give, secret: str
) -> None:
    """It is accepted, and the answer says at which field it should be changed."""
    reply = give(posthorn, secret)
    assert reply.status in {200, 201}
    field = "token" if give in WEBHOOK_ROUTES else "webhook_secret"
    assert reply.body["warnings"] == [{"pointer": f"/{field}", "detail": WARNING}]


@pytest.mark.parametrize("fields", [{}, {"token": PLAIN}])
def test_an_answer_without_a_warning_is_the_published_one(
    posthorn: Installation, fields: dict[str, Any]
) -> None:
    """Creating a webhook answers nothing beside it, as the documentation shows."""
    wanted = {"url": "https://hooks.example.com/hook", "events": ["CONTACT_CREATED"], **fields}
    assert list(posthorn.call("POST", "/v1/webhooks", wanted).body) == ["webhook"]


def test_a_change_of_something_else_warns_of_nothing(posthorn: Installation) -> None:
    """A warning is about what this request gave, not about what is stored."""
    webhook = posthorn.register(token=REPEATED)
    assert "warnings" not in posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", {"enabled": True}).body
    destination = new_destination(posthorn, set_id := new_set(posthorn), webhook_secret=REPEATED)
    path = f"{SETS}/{set_id}/event-destinations/{destination['destination_id']}"
    assert "warnings" not in posthorn.call("PATCH", path, {"name": "renamed"}).body
