"""Checks that SES sends mail for this installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthorn_cli.check.findings import fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn_cli.check.deployed import Deployed
    from posthorn_cli.check.findings import Finding


def check_mail(deployed: Deployed) -> Iterator[Finding]:
    """Look at the SES account, if the backend is SES."""
    backend = deployed.parameters.get("EmailBackend")
    if backend == "simulator" or (backend == "by-stage" and deployed.is_local):
        yield ok("The simulator is the email backend: no mail is sent.")
        return
    account = deployed.ask("sesv2", "get_account")
    if not account.get("SendingEnabled", True):
        yield fail(
            "SES has paused sending.", "Read why in the SES console, account dashboard, then resume it."
        )
    standing = account.get("EnforcementStatus", "HEALTHY")
    if standing != "HEALTHY":
        judge = fail if standing == "SHUTDOWN" else warn
        yield judge(f"SES reviews this account ({standing}).", "Answer the case in the AWS Support Center.")
    if not account.get("ProductionAccessEnabled", True):
        yield warn(
            "SES is in the sandbox: it sends to verified addresses only.",
            "Request production access in the SES console, or set EmailBackend=simulator if you send no mail.",
        )
    yield ok("SES may send to any address.")
