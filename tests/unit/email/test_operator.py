"""The operator's account is removed from events, even from unknown fields; content by others is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests import ses_examples as ses
from tests.ses_examples import data_of, expected_of, parts, replaced, without


@pytest.mark.parametrize(
    "value",
    [
        ses.ACCOUNT,
        f"arn:aws:ses:eu-west-1:{ses.ACCOUNT}:tenant/acme/tn-1",
        f"arn:aws-cn:iam::{ses.ACCOUNT}:role/PosthornApi",
        f"arn:aws-us-gov:sns:us-gov-west-1:{ses.ACCOUNT}:topic",
    ],
)
def test_the_account_goes_from_fields_that_are_new_to_us(value: str) -> None:
    """The account is removed from fields that AWS adds later, wherever they stand."""
    told = ses.example("delivery") | {"account": value, "resources": [value, "kept"]}
    told["mail"]["tenantArn"] = value
    told["delivery"]["via"] = {"pool": value, "kind": "shared"}

    found = data_of(told)

    assert value not in json.dumps(found)
    assert found["resources"] == ["kept"]
    assert found["delivery"]["via"] == {"kind": "shared"}


def test_the_account_that_owns_the_sender_goes_too() -> None:
    """With sending authorization, the sender's identity belongs to a second account, also removed."""
    told = ses.example("delivery")
    told["mail"]["sourceArn"] = "arn:aws:ses:us-east-1:210987654321:identity/example.com"
    told["mail"]["others"] = ["210987654321", ses.ACCOUNT, "x"]
    assert data_of(told)["mail"]["others"] == ["x"]


@pytest.mark.parametrize(
    "subject",
    [
        "Alarm: arn:aws:sns:us-east-1:111122223333:topic",
        "arn:aws:sns:us-east-1:111122223333:topic",
        "111122223333",
        f"Order {ses.ACCOUNT}",
        "arn:aws",
        "",
    ],
)
def test_what_others_wrote_stays(subject: str) -> None:
    """Another account or ARN in a mail is content, and is kept."""
    told = replaced(ses.example("send"), "mail/commonHeaders/subject", subject)
    assert data_of(told)["mail"]["commonHeaders"]["subject"] == subject


@pytest.mark.parametrize("account", [None, "", 5, []])
def test_without_an_account_nothing_else_goes(account: Any) -> None:
    """If SES names no account, nothing else is removed."""
    told = replaced(without(ses.example("send"), {"mail/sourceArn"}), "mail/commonHeaders/subject", "")
    told["mail"]["sendingAccountId"] = account
    assert parts(data_of(told)) == expected_of("send", told)


@pytest.mark.parametrize("field", ["sourceArn", "sendingAccountId", "callerIdentity"])
@pytest.mark.parametrize("value", ["ses_user", None, 5, {"role": "admin"}])
def test_fields_about_the_operator_go_whatever_they_hold(field: str, value: Any) -> None:
    """Fields that name the operator are removed by name, whatever their value."""
    told = ses.example("send")
    told["mail"][field] = value
    assert field not in data_of(told)["mail"]
