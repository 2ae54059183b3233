"""`sam build` and `sam deploy`, as an operator would run them, with their output in logs."""

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
    """Write the template's parameters to the file both commands read, the caller's over the local ones.

    A file, since values with spaces or none at all need no quoting there. JSON is YAML.
    """
    local = {"Stage": "local", "Architecture": architecture(), "AllowPrivateTargets": "true"}
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
    """Deploy what was built."""
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
    """Return the developer's environment, where pip's settings are, without anything of AWS or SAM."""
    settings = state.path / "sam"
    settings.mkdir(exist_ok=True)
    # SAM asks the package index for a newer SAM once a week; it has just done so
    (settings / "metadata.json").write_text(json.dumps({"lastVersionCheck": time.time()}))
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_", "PYTHON"))
    }
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # `sam build` wants python3.13 there
        "AWS_DEFAULT_REGION": REGION,
        "TMPDIR": str(state.temporary),  # SAM leaves directories behind
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(settings),
    }
