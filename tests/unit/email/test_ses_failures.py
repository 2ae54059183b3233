"""Mails that SES refuses: a rejection for the customer or an outage of ours, never retried by the client."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from moto import mock_aws

from posthorn.aws import clients
from posthorn.domain.errors import OperatorError, RejectedMail, Unavailable
from posthorn.email.ses import SesBackend
from tests.unit.email.ses import ACCOUNT, MAIL, MODEL, REGION, SET, TOPIC, Ses

# the result of each SendEmail error: a rejection's code, an operator's error, or an outage
SEND_ERRORS: Final[dict[str, str | type[Unavailable]]] = {
    "MessageRejected": "mail_rejected",
    "MailFromDomainNotVerifiedException": "sender_not_verified",
    "BadRequestException": "invalid_mail",
    "AccountSuspendedException": OperatorError,
    "SendingPausedException": OperatorError,
    "TooManyRequestsException": Unavailable,
    "LimitExceededException": Unavailable,  # the next day renews it
    "NotFoundException": OperatorError,  # a set that Posthorn created, so somebody has deleted it
}


def test_an_unverified_sender_is_a_rejection() -> None:
    """Moto rejects an unverified sender as SES does; that is the customer's rejection."""
    with mock_aws():
        client = boto3.client("sesv2", region_name=REGION)
        with pytest.raises(RejectedMail) as raised:
            SesBackend(client, topic_arn=TOPIC).send(MAIL)

    assert raised.value.code == "mail_rejected"


def test_the_sandbox_is_named_where_it_may_be_the_cause(ses: Ses) -> None:
    """In the sandbox, SES rejects unverified recipients by the same error: the caller learns so, and what to do."""
    ses.words = "Email address is not verified. The following identities failed the check in region US-EAST-1: bob@mail.example"
    ses.refuses["SendEmail"] = "MessageRejected"
    with pytest.raises(RejectedMail) as raised:
        ses.backend.send(MAIL)

    assert "sandbox" in raised.value.detail
    assert "recipient" in raised.value.detail
    assert "production access" in raised.value.detail
    assert "bob@" not in raised.value.detail


def test_every_error_of_a_send_is_listed() -> None:
    """The table covers every error of the service model, so that a new one requires a decision."""
    assert SEND_ERRORS.keys() == {shape.name for shape in MODEL.operation_model("SendEmail").error_shapes}


@pytest.mark.parametrize(("code", "rejection"), SEND_ERRORS.items())
def test_each_error_of_a_send_is_the_customers_or_ours(
    ses: Ses, code: str, rejection: str | type[Unavailable]
) -> None:
    """A mail that SES will never accept is a rejection; everything else is the operator's or worth a retry."""
    ses.refuses["SendEmail"] = code
    with pytest.raises(RejectedMail if isinstance(rejection, str) else rejection) as raised:
        ses.backend.send(MAIL)

    assert getattr(raised.value, "code", None) == (rejection if isinstance(rejection, str) else code)
    assert isinstance(raised.value, OperatorError) == (rejection is OperatorError)
    assert getattr(raised.value, "refused", True)  # SES answered, so the mail was not sent


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalFailure", "AccessDeniedException", "new"])
def test_an_error_that_no_model_lists_is_ours(ses: Ses, code: str) -> None:
    """A customer cannot fix throttling, permissions or unknown errors."""
    ses.refuses["SendEmail"] = code
    with pytest.raises(Unavailable) as raised:
        ses.backend.send(MAIL)

    assert raised.value.code == code


@pytest.mark.parametrize(
    "code", [code for code, rejection in SEND_ERRORS.items() if isinstance(rejection, str)]
)
def test_a_rejection_repeats_nothing(ses: Ses, code: str) -> None:
    """SES's message, which names addresses, the region and the account, is not passed on."""
    ses.words = f"Email address is not verified: ann@shop.example in {REGION.upper()} of {ACCOUNT}"
    ses.refuses["SendEmail"] = code
    with pytest.raises(RejectedMail) as raised:
        ses.backend.send(MAIL)

    told = f"{raised.value} {raised.value.detail}".lower()
    for secret in ("ann@", "shop.example", "bob@", "grüße", REGION, ACCOUNT, "posthorn", SET.lower()):
        assert secret not in told


def test_a_request_refused_by_botocore_is_a_rejection(ses: Ses) -> None:
    """A request that botocore refuses to send is the customer's to fix, not an outage."""
    with pytest.raises(RejectedMail) as raised:
        ses.backend.send(replace(MAIL, headers=(("X-Empty", ""),)))

    assert raised.value.code == "invalid_mail"
    assert ses.sent == []


def test_a_send_without_an_answer_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """SES may have accepted a mail without answering, so neither botocore nor Posthorn sends it again."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    clients._client.cache_clear()
    client = clients.client("sesv2")
    tries = []

    def no_answer(request: Any, **_: Any) -> None:
        tries.append(request.url)
        raise ReadTimeoutError(endpoint_url=request.url)

    client.meta.events.register("before-send.sesv2.SendEmail", no_answer)
    try:
        with pytest.raises(Unavailable) as raised:
            SesBackend(client, topic_arn=TOPIC).send(MAIL)
    finally:
        clients._client.cache_clear()

    assert len(tries) == 1
    assert not raised.value.refused
