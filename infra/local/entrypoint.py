"""The program that the emulator's own Python runs: MiniStack with four changes.

It runs in another environment, so it cannot import from this package. Argument: the Python that runs
functions.
"""

import importlib
import json
import os
import signal
import sys
import threading
from typing import Any

iam_actions: Any = importlib.import_module("ministack.core.iam_actions")
_request_context = iam_actions.request_tag_context
_action_of = iam_actions.extract_iam_action
_SINGLE = {"sns:PublishBatch": "sns:Publish", "sqs:SendMessageBatch": "sqs:SendMessage"}


def with_encryption_context(service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
    """Add the condition keys `kms:EncryptionContext:<name>`, which MiniStack's IAM does not support.

    Without them every statement with such a condition denies, and the template has several.
    """
    keys: dict[str, Any] = _request_context(service, action, body, params)
    if service != "kms":
        return keys
    context = json.loads(body or b"{}").get("EncryptionContext", {})
    return keys | {f"kms:EncryptionContext:{name}": value for name, value in context.items()}


def with_batches(*arguments: Any, **named: Any) -> Any:
    """Allow a batch operation, as AWS does, if the single operation is allowed."""
    action = _action_of(*arguments, **named)
    return _SINGLE.get(action, action)


def end_with_parent() -> None:
    """End the whole process group when the parent process is gone, even if it was killed."""
    sys.stdin.buffer.read()
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    # MiniStack runs functions with its own Python and packages; Lambda has only boto3
    sys.executable = sys.argv.pop(1)
    iam_actions.request_tag_context = with_encryption_context
    iam_actions.extract_iam_action = with_batches
    threading.Thread(target=end_with_parent, daemon=True).start()
    importlib.import_module("ministack.app").main()
