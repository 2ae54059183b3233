"""What an operator reads when AWS, or the way to it, is the reason that a command failed: one sentence or two.

Never botocore's own text: it changes, and quotes what was sent.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from posthorn.domain.errors import PosthornError, Unavailable
from posthorn_cli.errors import CommandError

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

EXPIRED: Final = "Your AWS session has expired. Sign in again, for example with `aws sso login`."
NO_CREDENTIALS: Final = "No AWS credentials found. Pass --profile, set AWS_PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
NO_REGION: Final = (
    "No AWS region set. Pass --region, set AWS_DEFAULT_REGION, or set a region in your profile."
)
REJECTED: Final = (
    "AWS does not accept these credentials. Check the access key, its secret, and this machine's clock."
)

_EXPIRED: Final = {
    "ExpiredToken",
    "ExpiredTokenException",
    "TokenRefreshRequired",
    # of botocore itself
    "LoginTokenLoadError",
    "SSOTokenLoadError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
}
_REJECTED: Final = {
    "AuthFailure",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "OptInRequired",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_NO_CREDENTIALS: Final = {"NoAuthTokenError", "NoCredentialsError"}
_NO_REGION: Final = {"EndpointProviderError", "NoRegionError"}
DENIED: Final = re.compile("AccessDenied|UnauthorizedOperation|AuthorizationError")
_THROTTLED: Final = re.compile("Throttl|LimitExceeded|ThroughputExceeded|SlowDown")
_MISSING: Final = re.compile("NonExistentQueue|QueueDoesNotExist|ResourceNotFound")

_SENTENCES: Final = {
    "CredentialRetrievalError": "Cannot retrieve the AWS credentials. Check the profile, or sign in again.",
    "InvalidRegionError": "{region_name} is not an AWS region.",
    "PartialCredentialsError": "The AWS credentials are incomplete: {cred_var} is missing.",
    "ProfileNotFound": "There is no AWS profile named {profile}.",
    "ProxyConnectionError": "Cannot reach the HTTP proxy. Check HTTPS_PROXY.",
    "SSLError": "Cannot verify the certificate of {host}. Check the clock and AWS_CA_BUNDLE.",
}

_ACTION: Final = re.compile(r"not authorized to perform:? ([\w-]+:\w+)")
_RESOURCE: Final = re.compile(r"on (?:the )?resource:? (arn:[^\s\"]+)")
_EXPLICIT: Final = re.compile(r"with an explicit deny in an? ([a-z -]+?policy|[a-z -]+?boundary)")


def explain(error: BaseException) -> str | None:
    """Return what an operator is told about an error; None when it is a bug of ours."""
    from botocore.exceptions import BotoCoreError, ClientError

    match error:
        case Unavailable(__cause__=ClientError() | BotoCoreError() as cause):
            return explain(cause)
        case Unavailable():
            return f"AWS left part of {_name(error.operation)} undone. Run the command again."
        case CommandError() | PosthornError():
            return str(error)
        case ClientError():
            return _answered(error)
        case BotoCoreError():
            return _never_answered(error)
    return None


def denied(operation: str, message: str) -> str:
    """Say which permission is missing, as far as AWS says it."""
    action, resource = _ACTION.search(message), _RESOURCE.search(message)
    what = action[1] if action else f"the operation {operation}"
    where = f" on {resource[1].rstrip('.,')}" if resource else ""
    explicit = _EXPLICIT.search(message)
    why = f": an explicit deny in an {explicit[1]} forbids it" if explicit else ""
    if explicit and explicit[1][0] not in "aeiou":
        why = why.replace(" in an ", " in a ")
    return f"Your AWS identity may not perform {what}{where}{why}."


def _answered(error: ClientError) -> str:
    response: Any = error.response
    code = str(response.get("Error", {}).get("Code", "Unknown"))
    if code in _EXPIRED:
        return EXPIRED
    if code in _REJECTED:
        return REJECTED
    if DENIED.search(code):
        return denied(error.operation_name, str(response.get("Error", {}).get("Message", "")))
    if _THROTTLED.search(code):
        return f"AWS throttled {error.operation_name}. Wait a minute, then run the command again."
    if _MISSING.search(code):
        return (
            f"A table or queue of the stack does not exist ({error.operation_name}). Deploy the stack again."
        )
    if response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400) >= 500:
        return f"AWS failed to answer {error.operation_name} ({code}). Run the command again."
    return f"AWS refused {error.operation_name} ({code})."


def _never_answered(error: BotoCoreError) -> str:
    name, details = type(error).__name__, getattr(error, "kwargs", {})
    if name in _EXPIRED:
        return EXPIRED
    if name in _NO_CREDENTIALS:
        return NO_CREDENTIALS
    if name in _NO_REGION:
        return NO_REGION
    if name in _SENTENCES:
        return _SENTENCES[name].format_map(defaultdict(str, details, host=_host(details)))
    if "endpoint_url" in details:
        return f"Cannot reach {_host(details)}. Check the network and the region."
    return f"The AWS client failed ({name})."


def _host(details: dict[str, Any]) -> str:
    return urlsplit(str(details.get("endpoint_url", ""))).netloc.rpartition("@")[2] or "AWS"


def _name(operation: str) -> str:
    """Return an operation's name as AWS writes it: `batch_get_item` -> `BatchGetItem`."""
    return operation.title().replace("_", "")
