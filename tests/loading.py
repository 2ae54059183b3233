"""A function's code as Lambda loads it: in its own interpreter, with the template's environment."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.aws import environment
from tests.template import load

# Replaces boto3's client factory: records the services, and answers every call with nothing.
RECORDER = """
import sys, botocore.session

made = []

class Anything:
    def __getattr__(self, name):
        return Anything()

    def __call__(self, *given, **options):
        return Anything()

    def __contains__(self, name):
        return True

class Client:
    meta = Anything()  # unittest.mock would load asyncio

    def __init__(self, _, service, *rest, **options):
        made.append(service)

    def __getattr__(self, name):
        def call(**_):
            return {}
        call.__name__ = name
        return call

botocore.session.Session.create_client = lambda *given, **options: Client(*given, **options)
"""


def loading(function: str, *then: str, **variables: str) -> str:
    """Load a function's handler as Lambda does, then run the lines and return their output."""
    module, _, name = load().functions[function]["Handler"].rpartition(".")
    names = {
        **dict.fromkeys(load().resources, "made-by-cloudformation"),
        "SecretsKey.Arn": "arn:aws:kms:us-east-1:123456789012:key/1",
        "FeedbackTopic": "arn:aws:sns:us-east-1:123456789012:feedback",
    }
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_NAME": "posthorn-function",
        **environment(function, names),
        **variables,
    }
    code = "\n".join((RECORDER, f"from {module} import {name}", *then))
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60, env=env
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def loaded_modules(function: str, **variables: str) -> set[str]:
    """Return every module that a function has loaded before its first invocation."""
    return set(loading(function, "print(*sys.modules)", **variables).split())
