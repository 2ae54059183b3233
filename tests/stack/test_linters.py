"""What other people's tools say about the template: SAM, cfn-lint and checkov, all of them offline."""

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

# Checks that fail for every resource of a type, each with the reason why it may.
SKIPPED = {
    # It looks for a KMS key only. SQS encrypts the queues itself. Messages hold ids, and those about mails what
    # SES tells of them; into a queue under a key of ours, SNS could only send if the key let it in.
    "CKV_AWS_27": QUEUE,
    # A topic keeps a message only until its queue has it, and a key of ours would have to let in SES and SNS.
    "CKV_AWS_26": TOPIC,
    # DynamoDB's statement names any principal, as AWS's own key for DynamoDB does; two conditions bind it to
    # this account and to that service.
    "CKV_AWS_33": KEY,
    # A reservation takes concurrency from the account's other functions, and a new account has none to give.
    # MaximumConcurrency bounds the queues, throttling the API, the number of shards the stream.
    "CKV_AWS_115": FUNCTION,
    # A function's own dead-letter queue is for asynchronous calls, of which there are none. Every source has
    # one.
    "CKV_AWS_116": FUNCTION,
    # Receivers are on the public internet. A VPC would add a NAT gateway, and neighbours that must not be
    # reached.
    "CKV_AWS_117": FUNCTION,
    # CloudWatch encrypts every log group, and no line of ours holds a secret, a payload or a whole URL.
    "CKV_AWS_158": LOG_GROUP,
    # Lambda encrypts every environment, and ours holds names, queue URLs and numbers, no secret.
    "CKV_AWS_173": FUNCTION,
}

# where a proxy should be there is nobody, so a tool that wanted to go out would not get far
NOWHERE = "http://127.0.0.1:9"


def run(tool: Path, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a tool in an environment that knows no credentials and no way out."""
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
    """Find a tool that has an environment of its own: below .venv, or where a variable like SAM_BIN says."""
    made = ROOT / ".venv" / name / "bin" / name
    path = made if made.exists() else Path(os.environ.get(f"{name.upper()}_BIN", made))
    assert path.exists(), f"{name} is not in .venv/{name}: run `make setup`"
    return path


@pytest.fixture
def translated(stack: Template, tmp_path: Path) -> Path:
    """Write the template as CloudFormation gets it."""
    path = tmp_path / "translated.json"
    path.write_text(json.dumps(stack.translated, indent=1), encoding="utf-8")
    return path


def test_sam_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    """`sam validate --lint` passes on the template as it is written."""
    found = run(
        tool_of("sam"), "validate", "--lint", "--template-file", str(ROOT / "template.yaml"), home=tmp_path
    )
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize(
    ("regions", "ignored"),
    [
        ((REGION, "eu-central-1"), ()),
        # these have no SnapStart, and the parameter that asks for it is off
        (("cn-north-1", "us-gov-west-1"), ("E2530",)),
    ],
)
def test_cfn_lint_finds_nothing_in_the_translation(
    translated: Path, regions: tuple[str, ...], ignored: tuple[str, ...]
) -> None:
    """Not even a remark, in regions of three partitions, on what CloudFormation really gets."""
    lint = Path(sys.executable).parent / "cfn-lint"
    options = ["--include-checks", "I", *(("--ignore-checks", *ignored) if ignored else ())]
    found = run(lint, *options, "--regions", *regions, "--", str(translated), home=translated.parent)
    assert (found.returncode, found.stdout) == (0, ""), found.stdout + found.stderr


def test_checkov_finds_exactly_what_is_skipped_for_a_reason(stack: Template, translated: Path) -> None:
    """Every failed check stands in the table above, and every check in the table still fails."""
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
    }
    assert failed == skipped


def translation_of(kind: str) -> str:
    return "AWS::Lambda::Function" if kind == FUNCTION else kind
