"""The one place that talks boto3: clients on first use, and every AWS error as one of ours."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, cast, overload

from posthorn.errors import ConditionFailed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

CALLS_AT_ONCE: Final = 16
"""AWS calls of one invocation that may overlap; botocore's CPU per call makes more of no use."""


@overload
def client(service: Literal["dynamodb"]) -> DynamoDBClient: ...
@overload
def client(service: Literal["kms"]) -> KMSClient: ...
@overload
def client(service: Literal["sqs"]) -> SQSClient: ...
@overload
def client(service: Literal["sns"]) -> SNSClient: ...
@overload
def client(service: Literal["sesv2"]) -> SESV2Client: ...
def client(service: str) -> Any:
    """Return the process's client for a service, made on first use and safe to share between threads."""
    return _client(service)


@lru_cache(maxsize=8)
def _client(service: str) -> Any:
    import boto3
    from botocore.config import Config

    # a mail whose sending got no answer may be on its way: nothing of SES's is tried twice by itself
    sends_mail = service == "sesv2"
    return cast("Any", boto3).client(
        service,
        config=Config(
            connect_timeout=2,
            read_timeout=20 if sends_mail else 5,  # no other call made here takes longer on a good day
            retries={"mode": "standard", "total_max_attempts": 1 if sends_mail else 3},
            max_pool_connections=CALLS_AT_ONCE,
            tcp_keepalive=True,
        ),
    )


@lru_cache(maxsize=1)
def threads() -> ThreadPoolExecutor:
    """Return the process's threads for AWS calls that overlap."""
    return ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="aws")


def call[**P, R](operation: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a client's method and raise `ConditionFailed` or `Unavailable` for whatever it raises."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectTimeoutError,
        EndpointConnectionError,
    )

    name = operation.__name__
    try:
        return operation(*args, **kwargs)
    except ClientError as error:
        response = cast("Any", error.response)
        code = response.get("Error", {}).get("Code", "Unknown")
        if code == "ConditionalCheckFailedException" or _lost_condition(response):
            raise ConditionFailed(name, code, found=_found(response)) from error
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        raise Unavailable(name, code, refused=status < 500) from error
    except BotoCoreError as error:
        never_sent = isinstance(error, (ConnectTimeoutError, EndpointConnectionError))
        raise Unavailable(name, type(error).__name__, refused=never_sent) from error


def _found(response: Any) -> Any:
    """Return the row that a lost condition met, if the write asked for it; of a transaction, the first."""
    reasons = response.get("CancellationReasons", ())
    return response.get("Item") or next((one["Item"] for one in reasons if one.get("Item")), None)


def _lost_condition(response: Any) -> bool:
    """Tell whether a transaction was cancelled by a condition, and by nothing that could pass by itself."""
    reasons = {reason.get("Code", "None") for reason in response.get("CancellationReasons", ())}
    return "ConditionalCheckFailed" in reasons and reasons <= {"ConditionalCheckFailed", "None"}
