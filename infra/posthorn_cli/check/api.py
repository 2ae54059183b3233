"""Checks that the last deploy succeeded and that the API answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthorn_cli.check import api_client
from posthorn_cli.check.findings import fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn_cli.check.deployed import Deployed
    from posthorn_cli.check.findings import Finding


def check_stack(deployed: Deployed) -> Iterator[Finding]:
    """Look at the state of the last deploy."""
    status = deployed.place.status
    events = f"Read why: aws cloudformation describe-stack-events --stack-name {deployed.stack}"
    if "ROLLBACK" in status or "FAILED" in status:
        yield fail(f"The last deploy did not succeed ({status}).", events)
    elif status.endswith("_IN_PROGRESS"):
        yield warn(f"A deploy is running ({status}).", "Run the command again when it is over.")
    else:
        yield ok(f"The last deploy succeeded ({status}).")


def check_health(deployed: Deployed) -> Iterator[Finding]:
    """Call `GET /health`."""
    try:
        answer = api_client.call("GET", f"{deployed.api_url}/health")
    except api_client.Unreachable as error:
        yield fail(f"The API {error}.", f"Check the network and the URL, {deployed.api_url}.")
        return
    if answer.status == 200 and answer.body.get("status") == "ok":
        yield ok(f"{deployed.api_url} answers.")
    elif answer.status >= 500:
        yield fail(
            f"The API answers {answer.status}.",
            f"Read its log: sam logs --stack-name {deployed.stack} --name ApiFunction",
        )
    else:
        yield fail(
            f"{deployed.api_url}/health answers {answer.status}, which is not this API.",
            "Pass the URL of the API with --api-url: https:// and a host of ApiDomainNames.",
        )
