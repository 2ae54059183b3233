"""`make local`: runs the stack until Ctrl-C."""

import argparse
import os
import select
import sys

from infra.local.errors import LocalStackError, StartFailed
from infra.local.places import STATE
from infra.local.stack import Stack, running_stack

_SCOPES = ("publish", "api_user", "user", "admin", "partner")


def main(arguments: list[str]) -> int:
    """Run the stack; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    parser.add_argument(
        "parameters",
        nargs="*",
        type=_parameter,
        metavar="Key=Value",
        help="template parameter, for example FirstRetryDelay=5",
    )
    parameters: list[tuple[str, str]] = parser.parse_args(arguments).parameters
    try:
        with running_stack(dict(parameters)) as stack:
            print(_welcome(stack, _api_key(stack)), flush=True)
            _stay(stack)
    except LocalStackError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} must be Key=Value")
    return name, value


def _api_key(stack: Stack) -> str:
    from posthorn_cli.access import create_workspace_key  # only needed once the stack runs

    _, api_key = create_workspace_key(
        stack.client("dynamodb"), stack.outputs["ConfigTableName"], workspace_name="local", scopes=_SCOPES
    )
    return api_key


def _welcome(stack: Stack, api_key: str) -> str:
    return f"""
Posthorn is running at {stack.api_url}
  API key   {api_key}
  try       curl -H 'Authorization: Bearer {api_key}' {stack.api_url}/v1/webhooks
  logs      {STATE}/emulator.log has the functions' output
  AWS CLI   run '. {STATE}/env' to use this account
  stop      Ctrl-C here, or kill {os.getpid()}"""


def _stay(stack: Stack) -> None:
    """Wait for a signal; return only by an exception."""
    emulator = os.pidfd_open(stack.emulator)
    select.select([emulator], [], [])
    raise StartFailed(f"the emulator stopped unexpectedly, see {STATE}/emulator.log")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
