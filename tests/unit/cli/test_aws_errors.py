"""What an operator reads when AWS is the reason: real botocore, its real errors, one sentence each."""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING
from unittest import mock

import botocore.exceptions
import pytest

from posthorn.domain.errors import Malformed, Unavailable
from posthorn_cli import aws_errors
from posthorn_cli.aws_errors import denied, explain
from tests.commands import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ARN = "arn:aws:cloudformation:eu-central-1:123456789012:stack/posthorn/*"
USER = "User: arn:aws:iam::123456789012:user/op is not authorized to perform: cloudformation:DescribeStacks"
STACKS = """<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult>
<Stacks><member><StackName>posthorn</StackName><StackStatus>CREATE_COMPLETE</StackStatus>
<CreationTime>2026-01-01T00:00:00Z</CreationTime><Outputs>{outputs}</Outputs></member></Stacks>
</DescribeStacksResult></DescribeStacksResponse>"""
OUTPUT = "<member><OutputKey>{}</OutputKey><OutputValue>{}</OutputValue></member>"


@contextmanager
def aws(*answers: tuple[int, str]) -> Iterator[None]:
    """Answer as AWS does, one request after the other, the last for all that follow."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        with mock.patch.dict(os.environ, AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.server_port}"):
            yield
        server.shutdown()
        thread.join()


def refusal(code: str, message: str) -> str:
    return (
        '<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    )


@pytest.fixture(autouse=True)
def _own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep away from what the machine has configured."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


def _sentence(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """Return the only line of a command that fails."""
    done = run(capsys, "dead-letters", *options)
    assert (done.status, done.out) == (1, "")
    (line,) = done.err.splitlines()
    assert line.startswith("posthorn: ")
    return line.removeprefix("posthorn: ")


@pytest.mark.parametrize(
    ("status", "code", "message", "says"),
    [
        (
            403,
            "AccessDenied",
            f"{USER} on resource: {ARN} because no identity-based policy allows the action",
            f"Your AWS identity may not perform cloudformation:DescribeStacks on {ARN}.",
        ),
        (403, "AccessDenied", USER, "Your AWS identity may not perform cloudformation:DescribeStacks."),
        (403, "AccessDenied", "canary", "Your AWS identity may not perform the operation DescribeStacks."),
        (
            403,
            "AccessDenied",
            f"{USER} on resource: {ARN} with an explicit deny in a service control policy",
            (
                f"Your AWS identity may not perform cloudformation:DescribeStacks on {ARN}:"
                " an explicit deny in a service control policy forbids it."
            ),
        ),
        (403, "ExpiredToken", "canary", aws_errors.EXPIRED),
        (403, "InvalidClientTokenId", "canary", aws_errors.REJECTED),
        (403, "SignatureDoesNotMatch", "canary", aws_errors.REJECTED),
        (400, "ValidationError", "canary", "There is no stack named posthorn in eu-central-1."),
        (
            400,
            "Throttling",
            "canary",
            "AWS throttled DescribeStacks. Wait a minute, then run the command again.",
        ),
        (400, "Novelty", "canary", "AWS refused DescribeStacks (Novelty)."),
        (500, "InternalFailure", "canary", "AWS failed to answer DescribeStacks (InternalFailure)."),
    ],
)
def test_a_refusal_is_one_sentence(
    capsys: pytest.CaptureFixture[str], status: int, code: str, message: str, says: str
) -> None:
    """The action and the resource where AWS names them, and never AWS's own text."""
    with aws((status, refusal(code, message))), mock.patch("botocore.endpoint.time.sleep"):
        sentence = _sentence(capsys)

    assert sentence.startswith(says)
    assert "canary" not in sentence


def test_another_stack_is_not_taken_for_ours(capsys: pytest.CaptureFixture[str]) -> None:
    """A stack without our outputs is somebody else's."""
    with aws((200, STACKS.format(outputs=""))):
        assert _sentence(capsys) == (
            "The stack posthorn is not a Posthorn stack: it has no output DispatchDeadLetterQueueName."
        )


def test_a_queue_that_is_gone_is_named_a_part_of_the_stack(capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody deleted it by hand."""
    stack = STACKS.format(outputs=OUTPUT.format("DispatchDeadLetterQueueName", "letters"))
    gone = json.dumps({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "canary"})
    with aws((200, stack), (400, gone)):
        assert _sentence(capsys) == (
            "A table or queue of the stack does not exist (GetQueueUrl). Deploy the stack again."
        )


def test_missing_credentials(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they may come from."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)

    assert _sentence(capsys) == aws_errors.NO_CREDENTIALS


def test_half_of_the_credentials(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Which half is missing."""
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    assert _sentence(capsys) == "The AWS credentials are incomplete: AWS_SECRET_ACCESS_KEY is missing."


def test_no_region(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it may come from."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    assert _sentence(capsys) == aws_errors.NO_REGION


def test_a_region_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is sent anywhere."""
    assert _sentence(capsys, "--region", "not a region") == "not a region is not an AWS region."


def test_an_unknown_profile(capsys: pytest.CaptureFixture[str]) -> None:
    """By its name."""
    assert _sentence(capsys, "--profile", "nobody") == "There is no AWS profile named nobody."


def test_an_unreachable_endpoint(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Which host, and not how often it was tried."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with mock.patch("botocore.endpoint.time.sleep"):
        assert _sentence(capsys) == "Cannot reach 127.0.0.1:9. Check the network and the region."


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (botocore.exceptions.UnauthorizedSSOTokenError(), aws_errors.EXPIRED),
        (botocore.exceptions.SSOTokenLoadError(profile_name="p", error_msg="canary"), aws_errors.EXPIRED),
        (botocore.exceptions.TokenRetrievalError(provider="sso", error_msg="canary"), aws_errors.EXPIRED),
        (
            botocore.exceptions.CredentialRetrievalError(provider="p", error_msg="canary"),
            "Cannot retrieve the AWS credentials. Check the profile, or sign in again.",
        ),
        (
            botocore.exceptions.ReadTimeoutError(endpoint_url="https://sqs.eu-central-1.amazonaws.com/x"),
            "Cannot reach sqs.eu-central-1.amazonaws.com. Check the network and the region.",
        ),
        (
            botocore.exceptions.SSLError(
                endpoint_url="https://sqs.eu-central-1.amazonaws.com/", error=OSError("canary")
            ),
            "Cannot verify the certificate of sqs.eu-central-1.amazonaws.com. Check the clock and AWS_CA_BUNDLE.",
        ),
        (
            botocore.exceptions.ProxyConnectionError(proxy_url="http://user:canary@proxy/", error="canary"),
            "Cannot reach the HTTP proxy. Check HTTPS_PROXY.",
        ),
        (
            botocore.exceptions.EndpointConnectionError(
                endpoint_url="https://user:canary@host/", error="canary"
            ),
            "Cannot reach host. Check the network and the region.",
        ),
        (
            botocore.exceptions.ParamValidationError(report="canary"),
            "The AWS client failed (ParamValidationError).",
        ),
        (
            Unavailable("batch_get_item", "UnprocessedKeys"),
            "AWS left part of BatchGetItem undone. Run the command again.",
        ),
        (Malformed("the event no longer exists"), "the event no longer exists"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_other_errors(error: Exception, says: str) -> None:
    """Also those that only certain machines or moments bring about."""
    assert explain(error) == says


def test_a_bug_of_ours_is_not_explained_away() -> None:
    """It keeps its traceback, for whoever repairs it."""
    assert explain(KeyError("x")) is None


@pytest.mark.parametrize("message", ["", "not authorized to perform", "on resource: arn:", "\n" * 50])
def test_any_message_of_a_denial_is_understood(message: str) -> None:
    """What AWS does not say is left out."""
    assert re.fullmatch(
        r"Your AWS identity may not perform the operation PutItem( on arn:)?\.", denied("PutItem", message)
    )
