"""Permissions on the key: which function may use it, and only for what Posthorn has encrypted."""

from __future__ import annotations

from typing import Any, cast

from botocore.exceptions import ClientError

from posthorn.aws.secrets import Sealer, Unsealer
from tests.stack.breakages import broken_by
from tests.stack.roles import statements_of
from tests.template import KEY, ROLE, Json, Template

ONLY_FOR_POSTHORN = {"StringEquals": {"kms:EncryptionContext:app": "posthorn"}}


class GuardedKms:
    """A KMS that enforces a role's condition and whose ciphertext is the plaintext."""

    def __init__(self, condition: Json) -> None:
        self._condition = condition

    def encrypt(self, **request: Any) -> Json:
        self._check("Encrypt", request["EncryptionContext"])
        return {"CiphertextBlob": request["Plaintext"]}

    def decrypt(self, **request: Any) -> Json:
        self._check("Decrypt", request["EncryptionContext"])
        return {"Plaintext": request["CiphertextBlob"]}

    def _check(self, operation: str, context: dict[str, str]) -> None:
        for name, wanted in self._condition["StringEquals"].items():
            if context.get(name.removeprefix("kms:EncryptionContext:")) != wanted:
                raise ClientError({"Error": {"Code": "AccessDeniedException"}}, operation)


def users_of_the_key(stack: Template) -> dict[str, list[Json]]:
    """Return the statements with rights on a key, by role."""
    found = {
        name: [one for one in statements_of(role) if "kms:" in repr(one["Action"])]
        for name, role in stack.of_type(ROLE).items()
    }
    return {name: statements for name, statements in found.items() if statements}


@broken_by(
    (
        '                    "kms:EncryptionContext:app": posthorn\n',
        '                    "aws:SourceVpc": vpc\n',
    ),
)
def test_every_right_on_the_key_hangs_on_the_encryption_context(stack: Template) -> None:
    """A function can use the key only for what Posthorn itself has encrypted."""
    users = users_of_the_key(stack)
    assert users.keys() == {"ApiRole", "DispatchRole", "DeliverRole"}
    for name, statements in users.items():
        assert [one.get("Condition") for one in statements] == [ONLY_FOR_POSTHORN], name


@broken_by(
    ('"kms:EncryptionContext:app": posthorn', '"kms:EncryptionContext:app": other'),
)
def test_the_code_sends_the_context_that_the_roles_ask_for(stack: Template) -> None:
    """One role's condition allows the encryption, and the same condition allows the decryption."""
    for statements in users_of_the_key(stack).values():
        (condition,) = (one["Condition"] for one in statements)
        kms = cast("Any", GuardedKms(condition))
        sealed = Sealer(kms, "key").seal_system(b"secret", "test")
        assert Unsealer(kms).open_system(sealed, "test") == b"secret"
        assert Sealer(kms, "key").seal("secret", workspace="w", endpoint_id="e", version=1).version == 1


@broken_by(
    ('                "kms:CallerAccount": !Ref AWS::AccountId\n', ""),
)
def test_the_key_policy_is_exactly_this(stack: Template) -> None:
    """The account decides through IAM, and DynamoDB uses the key; there is no other principal."""
    assert stack.of_type(KEY)["SecretsKey"]["KeyPolicy"] == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AccountDecides",
                "Effect": "Allow",
                "Principal": {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}},
                "Action": "kms:*",
                "Resource": "*",
            },
            {
                "Sid": "ThroughTheTables",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [
                    "kms:Encrypt",
                    "kms:Decrypt",
                    "kms:ReEncrypt*",
                    "kms:GenerateDataKey*",
                    "kms:CreateGrant",
                    "kms:DescribeKey",
                ],
                "Resource": "*",
                "Condition": {
                    "StringEquals": {
                        "kms:CallerAccount": {"Ref": "AWS::AccountId"},
                        "kms:ViaService": {"Fn::Sub": "dynamodb.${AWS::Region}.amazonaws.com"},
                    }
                },
            },
        ],
    }
