"""SAM, cfn-lint and checkov accept the template, all of them offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.template import FUNCTION, KEY, LOG_GROUP, QUEUE, REGION, ROOT, TOPIC, Template

if TYPE_CHECKING:
    from tests.template import Json

RESERVATION = "CKV_AWS_115"  # not of ApiFunction, since a parameter may reserve concurrency for it

# Checks that fail for every resource of a type, each with the reason for accepting it.
SKIPPED = {
    # It looks for a KMS key only, but SQS encrypts the queues itself. Messages hold ids, and those about
    # mails hold SES's notifications. With a key of ours, SNS could send to a queue only if the key's policy
    # allowed it.
    "CKV_AWS_27": QUEUE,
    # A topic keeps a message only until its queue has it, and a key of ours would have to allow SES and SNS.
    "CKV_AWS_26": TOPIC,
    # DynamoDB's statement names any principal, as AWS's own key for DynamoDB does; two conditions limit it to
    # this account and that service.
    "CKV_AWS_33": KEY,
    # A reservation takes concurrency from the account's other functions, and a new account has none to spare.
    # Queues are bounded by MaximumConcurrency, the API by throttling, the stream by its number of shards.
    RESERVATION: FUNCTION,
    # A function's own dead-letter queue is for asynchronous invocations, of which there are none. Every event
    # source has one.
    "CKV_AWS_116": FUNCTION,
    # Receivers are on the public internet. A VPC would add a NAT gateway, and private neighbors that must not
    # be reached.
    "CKV_AWS_117": FUNCTION,
    # CloudWatch encrypts every log group, and our log lines hold no secret, payload or full URL.
    "CKV_AWS_158": LOG_GROUP,
    # Lambda encrypts every environment, and ours hold names, queue URLs and numbers, but no secrets.
    "CKV_AWS_173": FUNCTION,
}

# nothing listens on the proxy's address, so a tool cannot reach the network
NOWHERE = "http://127.0.0.1:9"


def run(tool: Path, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a tool in an environment without credentials and without network access."""
    environment = {
        "PATH": os.defpath,
        "HOME": str(home),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
        "HTTP_PROXY": NOWHERE,
        "HTTPS_PROXY": NOWHERE,
    }
    return subprocess.run(
        [str(tool), *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        cwd=home,
        timeout=300,
    )


def tool_of(name: str) -> Path:
    """Find a tool with an environment of its own: below .venv, or where a variable like SAM_BIN says."""
    made = ROOT / ".venv" / name / "bin" / name
    path = made if made.exists() else Path(os.environ.get(f"{name.upper()}_BIN", made))
    assert path.exists(), f"{name} is not in .venv/{name}: run `make setup`"
    return path


@pytest.fixture
def translated(stack: Template, tmp_path: Path) -> Path:
    """Write the template in the form that CloudFormation gets."""
    path = tmp_path / "translated.json"
    path.write_text(json.dumps(stack.translated, indent=1), encoding="utf-8")
    return path


def test_sam_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    """`sam validate --lint` passes on the template."""
    found = run(
        tool_of("sam"), "validate", "--lint", "--template-file", str(ROOT / "template.yaml"), home=tmp_path
    )
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize(
    ("regions", "ignored"),
    [
        ((REGION, "eu-central-1"), ()),
        # these do not support SnapStart, and the parameter for it is off by default
        (("cn-north-1", "us-gov-west-1"), ("E2530",)),
    ],
)
def test_cfn_lint_finds_nothing_in_the_translation(
    translated: Path, regions: tuple[str, ...], ignored: tuple[str, ...]
) -> None:
    """There is no finding of any level, in regions of three partitions, in the translated template."""
    lint = Path(sys.executable).parent / "cfn-lint"
    options = ["--include-checks", "I", *(("--ignore-checks", *ignored) if ignored else ())]
    found = run(lint, *options, "--regions", *regions, "--", str(translated), home=translated.parent)
    assert (found.returncode, found.stdout) == (0, ""), found.stdout + found.stderr


def test_checkov_finds_exactly_the_skipped_checks(stack: Template, translated: Path) -> None:
    """Every failed check is in the table above, and every check in the table still fails."""
    found = run(
        tool_of("checkov"),
        *("--file", str(translated), "--framework", "cloudformation"),
        *("--skip-download", "--compact", "--output", "json"),
        home=translated.parent,
    )
    assert found.stdout.startswith("{"), found.stderr
    report: Json = json.loads(found.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["resource_count"] == len(stack.translated["Resources"])
    failed = {(check["check_id"], check["resource"]) for check in report["results"]["failed_checks"]}
    skipped = {
        (check, f"{translation_of(kind)}.{name}")
        for check, kind in SKIPPED.items()
        for name in stack.of_type(kind)
        if "Condition" not in stack.resources[name]  # it sees the stack as the defaults make it
        and not (check == RESERVATION and "ReservedConcurrentExecutions" in stack.of_type(kind)[name])
    }
    assert failed == skipped


def translation_of(kind: str) -> str:
    return "AWS::Lambda::Function" if kind == FUNCTION else kind
