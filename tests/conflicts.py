"""DynamoDB's answers to a write while another transaction holds one of its rows, at the level of HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

if TYPE_CHECKING:
    from collections.abc import Iterator

SINGLE = "TransactionConflictException"
CANCELED = "TransactionCanceledException"


class _Raw:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._content


def refusal(request: Any, code: str, *reasons: str) -> AWSResponse:
    """Return the response to a request; with `reasons`, it is that of a transaction."""
    content: dict[str, Any] = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "refused"}
    if reasons:
        content["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return AWSResponse(request.url, 400, HTTPHeaders(), _Raw(json.dumps(content).encode()))


def success(request: Any) -> AWSResponse:
    """Return the response to a write that took place."""
    return AWSResponse(request.url, 200, HTTPHeaders(), _Raw(b"{}"))
