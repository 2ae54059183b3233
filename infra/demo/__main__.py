"""The demo from beginning to end. It exits with 1 if anything unexpected happens."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from infra.demo import customers, mails, webhooks
from infra.demo.api import Api, UnexpectedAnswer
from infra.demo.arrivals import DemoFailed
from infra.local.errors import LocalStackError
from infra.local.places import STATE
from infra.local.stack import running_stack
from posthorn_cli.access import create_key

if TYPE_CHECKING:
    from infra.local.stack import Stack

PARAMETERS: Final = {
    "FirstRetryDelay": str(webhooks.DELAYS[0]),
    "SecondRetryDelay": str(webhooks.DELAYS[1]),
    "ThirdRetryDelay": str(webhooks.DELAYS[2]),
    "AttemptDeadline": "5",
}


UID: Final = "initech"
"""The customer of the last two parts."""


def main() -> int:
    """Run the demo; return the exit status."""
    print(
        "Building and deploying Posthorn on this machine: the real functions, without Docker or an AWS account.\n"
    )
    try:
        with running_stack(PARAMETERS, state_directory=STATE / "demo") as stack:
            _show(stack)
    except (DemoFailed, UnexpectedAnswer, LocalStackError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    print("\nEverything worked, and nothing is left running. Next: make test")
    return 0


def _show(stack: Stack) -> None:
    key = create_key(stack.client("dynamodb"), stack.outputs["ConfigTableName"], workspace=None, name="demo")
    api = Api(stack.api_url, key)
    print("\nPart 1: two customers of a SaaS. Its backend needs one key for all of them.\n")
    customers.run(api)
    api.call("PUT", f"/v1/workspaces/{UID}", expect=201)
    one = api.in_workspace(UID)
    print(
        "\nPart 2: webhooks of one customer. One receiver succeeds at once, the other at the fourth attempt.\n"
    )
    webhooks.run(one)
    print(
        "\nPart 3: email. Three API calls, then three mails. The backend is a simulator, so no mail is sent.\n"
    )
    mails.run(one)


if __name__ == "__main__":
    sys.exit(main())
