"""Which errors of AWS are permanent, and what an operator is told about them."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from hypothesis import example, given
from hypothesis import strategies as st

from posthorn.aws.clients import call
from posthorn.aws.refusals import operator_error
from posthorn.domain.errors import ConditionFailed, OperatorError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT: Final = "123456789012"
ROLE: Final = f"arn:aws:sts::{ACCOUNT}:assumed-role/posthorn-ApiRole-1A2B/posthorn-ApiFunction-3C4D"
TABLE: Final = f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/posthorn-ConfigTable-5E6F"
KEY: Final = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SET: Final = f"arn:aws:ses:eu-central-1:{ACCOUNT}:configuration-set/default"
IDENTITY: Final = f"arn:aws:ses:eu-central-1:{ACCOUNT}:identity"
QUEUE_URL: Final = f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/queue"
TOPIC: Final = f"arn:aws:sns:us-east-1:{ACCOUNT}:topic"

CALLS: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "query": ("dynamodb", "query", {"TableName": "table", "KeyConditionExpression": "pk = :pk"}),
    "batch_get_item": ("dynamodb", "batch_get_item", {"RequestItems": {"table": {"Keys": [{}]}}}),
    "send_message": ("sqs", "send_message", {"QueueUrl": QUEUE_URL, "MessageBody": "{}"}),
    "encrypt": ("kms", "encrypt", {"KeyId": KEY, "Plaintext": b"secret"}),
    "decrypt": ("kms", "decrypt", {"CiphertextBlob": b"sealed"}),
    "publish_batch": (
        "sns",
        "publish_batch",
        {"TopicArn": TOPIC, "PublishBatchRequestEntries": [{"Id": "1", "Message": "{}"}]},
    ),
    "send_email": ("sesv2", "send_email", {"Content": {}}),
    "create_configuration_set": ("sesv2", "create_configuration_set", {"ConfigurationSetName": "set"}),
    "create_configuration_set_event_destination": (
        "sesv2",
        "create_configuration_set_event_destination",
        {"ConfigurationSetName": "set", "EventDestinationName": "posthorn", "EventDestination": {}},
    ),
    "create_tenant": ("sesv2", "create_tenant", {"TenantName": "tenant"}),
    "create_tenant_resource_association": (
        "sesv2",
        "create_tenant_resource_association",
        {"TenantName": "tenant", "ResourceArn": SET},
    ),
    "put_configuration_set_suppression_options": (
        "sesv2",
        "put_configuration_set_suppression_options",
        {"ConfigurationSetName": "set"},
    ),
}

PERMANENT: Final = [
    ("query", "AccessDeniedException"),
    ("query", "ResourceNotFoundException"),
    ("query", "UnrecognizedClientException"),
    ("query", "MissingAuthenticationTokenException"),
    ("batch_get_item", "AccessDeniedException"),
    ("send_message", "AccessDenied"),
    ("send_message", "AccessDeniedException"),
    ("send_message", "QueueDoesNotExist"),
    ("send_message", "AWS.SimpleQueueService.NonExistentQueue"),
    ("send_message", "InvalidClientTokenId"),
    ("send_message", "KmsAccessDenied"),
    ("send_message", "KMS.DisabledException"),
    ("send_message", "KMS.NotFoundException"),
    ("encrypt", "NotFoundException"),
    ("encrypt", "AccessDeniedException"),
    ("decrypt", "AccessDeniedException"),
    ("decrypt", "DisabledException"),
    ("decrypt", "KMSInvalidStateException"),
    ("publish_batch", "AuthorizationError"),
    ("publish_batch", "NotFound"),
    ("publish_batch", "KMSAccessDenied"),
    ("send_email", "AccessDeniedException"),
    ("send_email", "NotFoundException"),
    ("send_email", "AccountSuspendedException"),
    ("send_email", "SendingPausedException"),
    ("create_configuration_set", "LimitExceededException"),
    ("create_configuration_set_event_destination", "LimitExceededException"),
    ("create_configuration_set_event_destination", "BadRequestException"),
    ("put_configuration_set_suppression_options", "NotFoundException"),
    ("create_tenant", "LimitExceededException"),
    ("create_tenant", "BadRequestException"),
    ("create_tenant_resource_association", "AccessDeniedException"),
]
TRANSIENT: Final = [
    ("query", "ThrottlingException"),
    ("query", "ProvisionedThroughputExceededException"),
    ("query", "RequestLimitExceeded"),
    ("query", "ExpiredTokenException"),
    ("query", "InternalServerError"),
    ("query", "ValidationException"),
    # a function that was frozen in the middle of a call sends an old signature
    ("query", "InvalidSignatureException"),
    ("query", "RequestTimeTooSkewed"),
    ("send_message", "RequestThrottled"),
    ("send_message", "KmsThrottled"),
    ("send_message", "ExpiredToken"),
    ("decrypt", "KMSInternalException"),
    ("decrypt", "KeyUnavailableException"),
    ("decrypt", "DependencyTimeoutException"),
    ("decrypt", "InvalidCiphertextException"),
    ("publish_batch", "KMSThrottling"),
    ("send_email", "BadRequestException"),
    ("send_email", "LimitExceededException"),
    ("send_email", "TooManyRequestsException"),
    ("create_configuration_set", "ConcurrentModificationException"),
    ("create_configuration_set_event_destination", "NotFoundException"),
    ("create_tenant", "TooManyRequestsException"),
    ("create_tenant_resource_association", "NotFoundException"),
]


class Refusing:
    """A service that answers every request with an error, over HTTP and in its own protocol."""

    def __init__(self, service: str) -> None:
        self._service = service
        self.error = ("", "")
        once = Config(retries={"total_max_attempts": 1})
        self.client: Any = boto3.client(service, config=once)  # type: ignore[call-overload]  # any of them
        self.client.meta.events.register_first(f"before-send.{service}.*", self._answer)

    def _answer(self, request: Any, **_: object) -> AWSResponse:
        code, message = self.error
        content = json.dumps({"__type": f"com.amazonaws#{code}", "message": message})
        if self._service == "sns":
            error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
            content = f"<ErrorResponse>{error}</ErrorResponse>"

        class Raw:
            def stream(self, **_: object) -> Iterator[bytes]:
                yield content.encode()

        headers = HTTPHeaders()
        headers["x-amzn-errortype"] = code
        return AWSResponse(request.url, 400, headers, Raw())


@cache
def _service(name: str) -> Refusing:
    return Refusing(name)  # a client takes longer to make than all of its tests


def refusing(service: str, code: str, message: str = "no") -> Any:
    """Return a client whose requests get this error."""
    _service(service).error = (code, message)
    return _service(service).client


def error_of(name: str, code: str, message: str = "no") -> Unavailable:
    service, operation, request = CALLS[name]
    client = refusing(service, code, message)
    if not hasattr(client, operation):
        pytest.skip("botocore has no tenants before 1.40, and then Posthorn uses none")
    with pytest.raises(Unavailable) as raised:
        call(getattr(client, operation), **request)
    assert raised.value.code == code
    assert raised.value.operation == operation
    return raised.value


@pytest.mark.parametrize(("name", "code"), PERMANENT)
def test_what_only_an_operator_can_fix_is_an_operators_error(name: str, code: str) -> None:
    """Permissions, credentials, missing resources and quotas; AWS says that it did nothing."""
    error = error_of(name, code)

    assert isinstance(error, OperatorError)
    assert error.refused


@pytest.mark.parametrize(("name", "code"), TRANSIENT)
def test_what_time_can_fix_is_no_operators_error(name: str, code: str) -> None:
    """Throttling, outages, and credentials that Lambda replaces: the next try may succeed."""
    assert not isinstance(error_of(name, code), OperatorError)


def test_missing_credentials_are_an_operators_error() -> None:
    """What botocore finds out by itself counts as well."""

    def get_item() -> None:
        from botocore.exceptions import NoCredentialsError

        raise NoCredentialsError

    with pytest.raises(OperatorError, match="NoCredentialsError"):
        call(get_item)


def test_a_lost_condition_is_no_operators_error() -> None:
    """A conditional write that loses stays what it is."""
    with pytest.raises(ConditionFailed):
        call(
            refusing("dynamodb", "ConditionalCheckFailedException").put_item,
            TableName="table",
            Item={"pk": {"S": "a"}},
        )


# what AWS writes, as far as its documentation and reports of it show
MESSAGES: Final[list[tuple[str, str, str | None, str | None]]] = [
    (
        "query",
        (
            f"User: {ROLE} is not authorized to perform: dynamodb:Query on resource: {TABLE} because no identity-based"
            " policy allows the dynamodb:Query action"
        ),
        "dynamodb:Query",
        TABLE,
    ),
    (
        "query",
        (
            f"User: {ROLE} is not authorized to perform: dynamodb:Query on resource: {TABLE}/index/keys with an explicit"
            " deny in a permissions boundary: arn:aws:iam::aws:policy/boundary"
        ),
        "dynamodb:Query",
        f"{TABLE}/index/keys",
    ),
    (
        "send_email",
        f"User `{ROLE}' is not authorized to perform `ses:SendEmail' on resource `{SET}'",
        "ses:SendEmail",
        SET,
    ),
    (
        "send_email",
        f"User '{ROLE}' is not authorized to perform 'ses:SendEmail' on resource '{IDENTITY}/ann.b+c@shop.example'",
        "ses:SendEmail",
        f"{IDENTITY}/*@shop.example",
    ),
    (
        "decrypt",
        (
            f"User: {ROLE} is not authorized to perform: kms:Decrypt on this resource because the resource does not exist"
            " in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"
        ),
        "kms:Decrypt",
        None,
    ),
    ("decrypt", f"{KEY} is disabled.", None, KEY),
    ("encrypt", "Invalid keyId 'abcd'", None, KEY),  # that of the request
    ("query", "Requested resource not found", None, "table"),
    ("batch_get_item", "Requested resource not found", None, "table"),
    ("send_message", "The specified queue does not exist.", None, QUEUE_URL),
    ("publish_batch", "Topic does not exist", None, TOPIC),
    ("create_configuration_set", "You have reached the maximum number.", None, "set"),
    ("send_email", "", None, None),
]


@pytest.mark.parametrize(("name", "message", "permission", "resource"), MESSAGES)
def test_the_permission_and_the_resource_are_named(
    name: str, message: str, permission: str | None, resource: str | None
) -> None:
    """They are taken from AWS's message, or the resource from our own request; an address loses its person."""
    error = error_of(name, "AccessDenied", message)

    assert isinstance(error, OperatorError)
    assert (error.permission, error.resource) == (permission, resource)
    assert str(error) == f"{error.operation}: AccessDenied"  # what tracebacks show


_SHAPES: Final = (
    re.compile(r"(dynamodb|events|kms|ses|sns|sqs):[A-Za-z]+"),
    re.compile(r"arn:aws[a-z-]*:(dynamodb|events|kms|ses|sns|sqs):[a-z0-9-]*:\d{12}:\S+"),
)


@given(
    st.lists(
        st.one_of(
            st.text(max_size=30),
            st.sampled_from(
                ["canary", "kms:Decrypt", "ses:", ":SendEmail", TABLE, KEY, ROLE, IDENTITY, "arn:aws:"]
            ),
        ),
        max_size=8,
    ).map(" ".join)
)
@example("sqs:canary secret=canary arn:aws:s3:::canary arn:aws:iam::123456789012:user/canary")
@example("kms:Décrypt")
def test_nothing_else_of_a_message_is_kept(message: str) -> None:
    """Only words of the two shapes are taken, whatever a message quotes."""
    error = operator_error("send_email", "AccessDenied", message)

    assert error is not None
    for found, shape in zip((error.permission, error.resource), _SHAPES, strict=True):
        assert found is None or (shape.fullmatch(found) and "canary" not in found)


@pytest.mark.parametrize("message", [None, 7, {"a": 1}, ["kms:Decrypt"]])
def test_a_message_may_be_of_any_type(message: object) -> None:
    """A malformed answer of a service is still a refusal."""
    assert operator_error("decrypt", "AccessDenied", message) is not None
