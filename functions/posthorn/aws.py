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
    from mypy_boto3_sqs import SQSClient

CALLS_AT_ONCE: Final = 16
"""AWS calls of one invocation that may overlap; botocore's CPU per call makes more of no use."""


@overload
def client(service: Literal["dynamodb"]) -> DynamoDBClient: ...
@overload
def client(service: Literal["kms"]) -> KMSClient: ...
@overload
def client(service: Literal["sqs"]) -> SQSClient: ...
def client(service: str) -> Any:
    """Return the process's client for a service, made on first use and safe to share between threads."""
    return _client(service)


@lru_cache(maxsize=8)
def _client(service: str) -> Any:
    import boto3
    from botocore.config import Config

    return cast("Any", boto3).client(
        service,
        config=Config(
            connect_timeout=2,
            read_timeout=5,  # none of the calls made here takes longer on a good day
            retries={"mode": "standard", "max_attempts": 3},
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
    from botocore.exceptions import BotoCoreError, ClientError

    name = operation.__name__
    try:
        return operation(*args, **kwargs)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "Unknown")
        if code == "ConditionalCheckFailedException":
            raise ConditionFailed(name, code, found=cast("Any", error.response).get("Item")) from error
        raise Unavailable(name, code) from error
    except BotoCoreError as error:
        raise Unavailable(name, type(error).__name__) from error
