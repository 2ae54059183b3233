"""The only module that uses boto3: clients are made on first use, and AWS errors are translated into ours."""

from __future__ import annotations

import base64
import json
import logging
import random
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, Literal, cast, overload

from posthorn.domain.errors import ConditionFailed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

CALLS_AT_ONCE: Final = 16
"""Most AWS calls that overlap in one process; botocore's CPU time per call makes more useless."""

_ROUNDS: Final = 5
_RANDOM: Final = (
    random.SystemRandom()
)  # the module's own generator would return the same numbers in every clone of a snapshot


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
@overload
def client(service: Literal["events"]) -> EventBridgeClient: ...
def client(service: str) -> Any:
    """Return the client of this process for a service, made on first use and safe to share between threads."""
    return _client(service)


@lru_cache(maxsize=8)
def _client(service: str) -> Any:
    import boto3
    from botocore.config import Config

    for library in ("boto3", "botocore", "urllib3"):
        # at DEBUG they log whole requests and responses, and Lambda sets the level of the root logger
        logging.getLogger(library).setLevel(logging.INFO)
    # a mail may be on its way although its call got no response, so SES calls are never retried automatically
    sends_mail = service == "sesv2"
    made = cast(
        "Any", boto3
    ).client(
        service,
        config=Config(
            connect_timeout=2,
            read_timeout=20 if sends_mail else 5,  # no other call takes longer on a good day
            retries={"mode": "standard", "total_max_attempts": 1 if sends_mail else 3},
            max_pool_connections=CALLS_AT_ONCE,
            tcp_keepalive=True,
            user_agent="posthorn",  # botocore builds its own for each call, which takes a tenth of the CPU time of the call
        ),
    )
    if service == "dynamodb" and _speaks_json(made.meta.service_model):
        for name, stand_in in _STAND_INS.items():
            made.meta.events.register(f"provide-client-params.dynamodb.{name}", partial(_set_aside, stand_in))
            made.meta.events.register(f"before-call.dynamodb.{name}", _write_body)
    return made


def _speaks_json(model: Any) -> bool:
    """Return whether botocore sends this service's requests as JSON 1.0, the only protocol that we write ourselves.

    AWS upgrades botocore in the runtime by itself. Before 1.37, a service had a single protocol.
    """
    protocol = getattr(model, "resolved_protocol", None) or model.metadata.get("protocol")
    return bool(protocol == "json" and model.metadata.get("jsonVersion") == "1.0")


# botocore needs milliseconds of CPU to validate and serialize the rows of a batch attribute by attribute; json needs a
# tenth of that. So botocore gets the smallest valid request, and the body is replaced before it is signed. Our rows are
# in DynamoDB's own JSON already, except for bytes.
_ASIDE: Final = "posthorn.request"
_STAND_INS: Final[dict[str, dict[str, Any]]] = {
    "BatchWriteItem": {"RequestItems": {"table": [{}]}},
    "BatchGetItem": {"RequestItems": {"table": {"Keys": [{}]}}},
}


def _set_aside(stand_in: dict[str, Any], params: Any, context: dict[str, Any], **_: object) -> dict[str, Any]:
    context[_ASIDE] = params
    return stand_in


def _write_body(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    params["body"] = json.dumps(context[_ASIDE], separators=(",", ":"), default=_base64).encode()


def _base64(value: bytes | bytearray) -> str:
    return base64.b64encode(value).decode()


@lru_cache(maxsize=1)
def threads() -> ThreadPoolExecutor:
    """Return the threads of this process for AWS calls that overlap."""
    return ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="aws")


def at_once[K, R](calls: Mapping[K, Callable[[], R]]) -> dict[K, Future[R]]:
    """Start calls in parallel. A single call runs inline: a thread would cost more than it saves."""
    if len(calls) != 1:
        return {key: threads().submit(one) for key, one in calls.items()}
    ((key, only),) = calls.items()
    answer: Future[R] = Future()
    try:
        answer.set_result(only())
    except Exception as error:  # noqa: BLE001  # raised where the result is read, as with a thread
        answer.set_exception(error)
    return {key: answer}


def pauses() -> Iterator[float]:
    """Yield the seconds to wait before each repetition of a call: exponential backoff with full jitter."""
    return (_RANDOM.uniform(0, 0.05 * 2**turn) for turn in range(_ROUNDS))


def call[**P, R](operation: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a method of a client; its errors become `ConditionFailed`, `OperatorError` or `Unavailable`."""
    from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

    name = operation.__name__
    try:
        return _outlasting_conflicts(partial(operation, *args, **kwargs))
    except ClientError as error:
        response = cast("Any", error.response)
        code = response.get("Error", {}).get("Code", "Unknown")
        if code == "ConditionalCheckFailedException" or _lost_condition(response):
            raise ConditionFailed(name, code, found=_found(response)) from error
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        message = response.get("Error", {}).get("Message", "")
        raise _failure(name, code, refused=status < 500, message=message, request=kwargs) from error
    except BotoCoreError as error:
        never_sent = isinstance(error, (ConnectTimeoutError, EndpointConnectionError))
        raise _failure(name, type(error).__name__, refused=never_sent) from error


def _failure(name: str, code: str, *, refused: bool, message: Any = "", request: Any = None) -> Unavailable:
    from posthorn.aws.refusals import operator_error  # compiles patterns that a healthy process never needs

    return operator_error(name, code, message, request) or Unavailable(name, code, refused=refused)


def _outlasting_conflicts[R](operation: Callable[[], R]) -> R:
    """Call again while another transaction holds a row: nothing was written, and botocore does not repeat that."""
    from botocore.exceptions import ClientError

    for pause in pauses():
        try:
            return operation()
        except ClientError as error:
            if not _is_conflict(error.response):
                raise
        time.sleep(pause)
    return operation()


def _is_conflict(response: Any) -> bool:
    """Return whether other transactions refused a write, and nothing else did."""
    return response.get("Error", {}).get("Code") == "TransactionConflictException" or (
        _reasons(response) in ({"TransactionConflict"}, {"TransactionConflict", "None"})
    )


def _found(response: Any) -> Any:
    """Return the row on which a condition failed, if the write asked for it; the first one of a transaction."""
    reasons = response.get("CancellationReasons", ())
    return response.get("Item") or next((one["Item"] for one in reasons if one.get("Item")), None)


def _reasons(response: Any) -> set[str]:
    """Return the codes with which a transaction was canceled."""
    return {reason.get("Code", "None") for reason in response.get("CancellationReasons", ())}


def _lost_condition(response: Any) -> bool:
    """Return whether conditions canceled a transaction, and nothing else that a retry could overcome.

    A conflict on another row changes nothing: the condition failed on a row that no other transaction held.
    """
    reasons = _reasons(response)
    known = {"ConditionalCheckFailed", "TransactionConflict", "None"}
    return "ConditionalCheckFailed" in reasons and reasons <= known
