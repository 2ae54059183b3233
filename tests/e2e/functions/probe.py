"""A function for tests: it tries AWS calls under its role, and reports on its environment."""

import importlib.util
import sys
from typing import Any

import boto3
from botocore.exceptions import ClientError


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Try `calls`, a list of [service, operation, arguments], and look for `modules`."""
    return {
        "calls": [_outcome(*call) for call in event["calls"]],
        "modules": {name: importlib.util.find_spec(name) is not None for name in event["modules"]},
        "path": sys.path,
    }


def _outcome(service: str, operation: str, arguments: dict[str, Any]) -> str:
    session: Any = boto3.Session()
    try:
        getattr(session.client(service), operation)(**arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "allowed"
