"""AWS's permanent refusals: which errors no retry can overcome, and what they tell an operator."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Not here: expired credentials, which Lambda replaces, and wrong signatures, which a function that was frozen in the
# middle of a call sends.
_CODES: Final = frozenset(
    {
        # permissions
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "UnauthorizedOperation",
        # credentials
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NoCredentialsError",
        "OptInRequired",
        "PartialCredentialsError",
        "SubscriptionRequiredException",
        "UnrecognizedClientException",
        # tables, queues, topics, and configuration sets that Posthorn created
        "AWS.SimpleQueueService.NonExistentQueue",
        "NotFound",
        "NotFoundException",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
        # the key
        "DisabledException",
        "InvalidKeyUsageException",
        "KMSInvalidStateException",
        # the SES account
        "AccountSuspendedException",
        "LimitExceededException",
        "SendingPausedException",
    }
)
# SQS and SNS pass on KMS's refusals under names of their own: KmsAccessDenied, KMS.DisabledException, KMSInvalidState
_KEY: Final = re.compile(
    r"KMS\.?(AccessDenied|Disabled|InvalidKeyUsage|InvalidState|NotFound|OptInRequired)", re.IGNORECASE
)
_TRANSIENT: Final = frozenset(
    {
        ("send_email", "LimitExceededException"),  # a day's quota, which the next day renews
        # a set that was created a moment ago may be unknown for another moment
        ("create_configuration_set_event_destination", "NotFoundException"),
        ("create_tenant_resource_association", "NotFoundException"),  # as above
    }
)
# Requests that customers have no influence on
_OURS: Final = frozenset(
    {
        "create_configuration_set",
        "create_configuration_set_event_destination",
        "create_tenant",
        "create_tenant_resource_association",
        "delete_tenant",
        "delete_tenant_resource_association",
        "put_configuration_set_suppression_options",
    }
)

# A message may quote anything. Only words of these two shapes are taken from it, and only of services that Posthorn
# calls, so the ARN of the caller is none of them.
_SERVICE: Final = "(?:dynamodb|events|kms|ses|sns|sqs)"
_PERMISSION: Final = re.compile(rf"(?<![\w:]){_SERVICE}:[A-Z][A-Za-z]{{2,63}}\b")
_RESOURCE: Final = re.compile(
    rf"\barn:aws[a-z-]{{0,12}}:{_SERVICE}:[a-z0-9-]{{0,24}}:\d{{12}}:[\w/.:@+*-]{{1,256}}"
)
_MAILBOX: Final = re.compile(r"(?<=/)[^/@]+(?=@)")
# Parameters that name a resource, whose values come from the settings
_NAMES: Final = ("TableName", "QueueUrl", "KeyId", "TopicArn", "ConfigurationSetName", "TenantName")


def operator_error(
    operation: str, code: str, message: object = "", request: Mapping[str, Any] | None = None
) -> OperatorError | None:
    """Return the error to raise if AWS refuses this call until an operator acts; None if a retry may succeed."""
    if not _is_permanent(operation, code):
        return None
    text = str(message)
    permission, resource = _PERMISSION.search(text), _RESOURCE.search(text)
    return OperatorError(
        operation,
        code,
        permission=permission[0] if permission else None,
        resource=_without_mailbox(resource[0]) if resource else _named_in(request or {}),
    )


def _is_permanent(operation: str, code: str) -> bool:
    if (operation, code) in _TRANSIENT:
        return False
    if code == "BadRequestException":
        return operation in _OURS
    return code in _CODES or _KEY.match(code) is not None


def _without_mailbox(arn: str) -> str:
    """Remove the name of a person from the ARN of an SES identity."""
    return _MAILBOX.sub("*", arn).rstrip(".:")


def _named_in(request: Mapping[str, Any]) -> str | None:
    names = (request.get(name) for name in (*_NAMES,))
    tables = request.get("RequestItems") or {}
    return next((str(name) for name in (*names, *tables) if name), None)
