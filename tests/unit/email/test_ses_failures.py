"""Mails that SES does not take: a rejection for the customer or an outage of ours, and never a second try by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from moto import mock_aws

from posthorn.aws import clients
from posthorn.domain.errors import RejectedMail, Unavailable
from posthorn.email.ses import SesBackend
from tests.unit.email.ses import ACCOUNT, MAIL, MODEL, REGION, SET, TOPIC, Ses

# what each error of SendEmail becomes: the code of a rejection, or an outage
SEND_ERRORS: Final = {
    "MessageRejected": "mail_rejected",
    "MailFromDomainNotVerifiedException": "sender_not_verified",
    "BadRequestException": "invalid_mail",
    "AccountSuspendedException": None,
    "SendingPausedException": None,
    "TooManyRequestsException": None,
    "LimitExceededException": None,
    "NotFoundException": None,  # of a set that we know, so it is ours to put right
}


def test_a_sender_that_is_not_verified_is_the_customers_affair() -> None:
    """An unverified sender is rejected by moto as by SES, and that becomes a rejection."""
    with mock_aws():
        client = boto3.client("sesv2", region_name=REGION)
        with pytest.raises(RejectedMail) as raised:
            SesBackend(client, topic_arn=TOPIC).send(MAIL)

    assert raised.value.code == "mail_rejected"


def test_no_error_of_a_send_is_forgotten() -> None:
    """The table of errors holds what the service model lists, so a new one is a decision."""
    assert SEND_ERRORS.keys() == {shape.name for shape in MODEL.operation_model("SendEmail").error_shapes}


@pytest.mark.parametrize(("code", "rejection"), SEND_ERRORS.items())
def test_each_error_of_a_send_is_the_customers_or_ours(ses: Ses, code: str, rejection: str | None) -> None:
    """A mail that will never be taken is a rejection, everything else a reason to try again."""
    ses.refuses["SendEmail"] = code
    with pytest.raises(Unavailable if rejection is None else RejectedMail) as raised:
        ses.backend.send(MAIL)

    assert getattr(raised.value, "code", None) == (rejection or code)
    assert getattr(raised.value, "refused", True)  # SES answered, so nothing was sent


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalFailure", "AccessDeniedException", "new"])
def test_an_error_that_no_model_lists_is_ours(ses: Ses, code: str) -> None:
    """Throttling, permissions and whatever SES thinks of next are nothing a customer can change."""
    ses.refuses["SendEmail"] = code
    with pytest.raises(Unavailable) as raised:
        ses.backend.send(MAIL)

    assert raised.value.code == code


@pytest.mark.parametrize("code", [code for code, rejection in SEND_ERRORS.items() if rejection])
def test_a_rejection_repeats_nothing(ses: Ses, code: str) -> None:
    """SES's own words, which name addresses, the region and the account, are not passed on."""
    ses.words = f"Email address is not verified: ann@shop.example in {REGION.upper()} of {ACCOUNT}"
    ses.refuses["SendEmail"] = code
    with pytest.raises(RejectedMail) as raised:
        ses.backend.send(MAIL)

    told = f"{raised.value} {raised.value.detail}".lower()
    for secret in ("ann@", "shop.example", "bob@", "grüße", REGION, ACCOUNT, "posthorn", SET.lower()):
        assert secret not in told


def test_what_botocore_refuses_is_a_rejection(ses: Ses) -> None:
    """A request that does not even leave the client is the customer's to change, not an outage."""
    with pytest.raises(RejectedMail) as raised:
        ses.backend.send(replace(MAIL, headers=(("X-Empty", ""),)))

    assert raised.value.code == "invalid_mail"
    assert ses.sent == []


def test_a_send_without_an_answer_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """SES may have taken a mail that it never answered, so neither botocore nor we send it again."""
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
