"""`sam build` and `sam deploy`, run as an operator would, with their output in logs."""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from infra.local.account import REGION, Account
from infra.local.errors import StartFailed
from infra.local.places import SAM, StateDirectory, architecture, tail
from infra.local.process import run

STACK_NAME: Final = "posthorn"


def write_parameters(state: StateDirectory, parameters: Mapping[str, str]) -> None:
    """Write the template's parameters to the file that both commands read.

    The caller's parameters override the local defaults. In a file, empty values and values with spaces need
    no quoting. JSON is YAML.
    """
    local = {
        "Stage": "local",
        "Architecture": architecture(),
        "AllowPrivateTargets": "true",
        "EndpointsPerHostLimit": "0",  # every receiver is on 127.0.0.1
    }
    _parameters(state).write_text(json.dumps({**local, **parameters}, indent=2) + "\n")


def build(state: StateDirectory, template: Path) -> None:
    """Build the functions. Dependencies are cached in the state directory."""
    _sam(
        state,
        "build",
        ["--template", template, "--build-dir", "build", "--cache-dir", "cache", "--cached"],
        _environment(state),
    )


def deploy(state: StateDirectory, account: Account) -> None:
    """Deploy the build."""
    _sam(
        state,
        "deploy",
        [
            *("--template", "build/template.yaml", "--stack-name", STACK_NAME, "--resolve-s3"),
            *("--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar"),
        ],
        {**_environment(state), **account.environment(), "SAM_CLI_POLL_DELAY": "0.2"},
    )


def _parameters(state: StateDirectory) -> Path:
    return state.path / "parameters.yaml"


def _sam(state: StateDirectory, verb: str, options: Sequence[str | Path], env: Mapping[str, str]) -> None:
    log = state.log(f"sam-{verb}")
    status = run(
        [SAM, verb, *options, "--parameter-overrides", f"file://{_parameters(state)}"],
        env=env,
        cwd=state.path,  # SAM keeps dependencies below .aws-sam in the working directory, whatever --build-dir says
        log=log,
    )
    if status != 0:
        raise StartFailed(f"sam {verb} failed with exit status {status}\n{tail(log)}")


def _environment(state: StateDirectory) -> dict[str, str]:
    """Return the developer's environment, which has pip's settings, without AWS's and SAM's variables."""
    settings = state.path / "sam"
    settings.mkdir(exist_ok=True)
    # SAM checks the package index for a newer version once a week; pretend that it just did
    (settings / "metadata.json").write_text(json.dumps({"lastVersionCheck": time.time()}))
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_", "PYTHON"))
    }
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # `sam build` needs python3.13 there
        "AWS_DEFAULT_REGION": REGION,
        "TMPDIR": str(state.temporary),  # SAM leaves directories behind
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(settings),
    }
