"""`posthorn check`: what is wrong with an installation, and what to do about it."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from posthorn_cli import installed
from posthorn_cli.check.alarms import check_alarms
from posthorn_cli.check.api import check_health, check_stack
from posthorn_cli.check.brand import check_brand
from posthorn_cli.check.concurrency import check_concurrency
from posthorn_cli.check.deployed import CannotLook, Deployed
from posthorn_cli.check.findings import Finding, Status, warn
from posthorn_cli.check.functions import check_functions
from posthorn_cli.check.key import check_key
from posthorn_cli.check.mail import check_mail
from posthorn_cli.check.publish import check_delivery
from posthorn_cli.check.sources import check_sources
from posthorn_cli.check.storage import check_dead_letters, check_tables
from posthorn_cli.installed import Installed
from posthorn_cli.options import AsJson, Profile, Region, Stack
from posthorn_cli.output import note, print_json, printable
from posthorn_cli.progress import Step, shown

type Check = Callable[[Deployed], Iterator[Finding]]

CHECKS: Final[dict[str, Check]] = {
    "stack": check_stack,
    "api": check_health,
    "functions": check_functions,
    "sources": check_sources,
    "concurrency": check_concurrency,
    "key": check_key,
    "tables": check_tables,
    "dead letters": check_dead_letters,
    "alarms": check_alarms,
    "mail": check_mail,
    "brand": check_brand,
}
DELIVERY: Final = "delivery"
_LOOPBACK: Final = {"127.0.0.1", "localhost"}


def _base_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise typer.BadParameter("Must be the https URL of the API.")
    return text.rstrip("/")


def command(
    *,
    publish: Annotated[
        bool, typer.Option("--publish", help="Also send a test event to the receiver that --url names.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="With --publish: a receiver of yours that answers 2xx to every POST."
        ),
    ] = None,
    api_url: Annotated[
        str | None,
        typer.Option(
            parser=_base_url,
            metavar="URL",
            envvar="POSTHORN_API_URL",
            show_envvar=False,
            help="URL of the API, such as https:// and a custom domain.",
            show_default="POSTHORN_API_URL, or the stack's",
        ),
    ] = None,
    stack: Stack = "posthorn",
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Look for what is wrong with an installation. Run it after each deploy.

    Reads only, and invokes functions with an empty batch. With --publish it also makes a webhook in a workspace of its
    own, and removes it. The exit status is 1 if anything fails; warnings do not count.
    """
    if publish and url is None:
        raise typer.BadParameter("Needs --url, the receiver of the test event.", param_hint="--publish")
    if url is not None and not publish:
        raise typer.BadParameter("Needs --publish.", param_hint="--url")
    place = installed.find(stack, region=region, profile=profile)
    checks = dict(CHECKS)
    if url is not None:
        checks[DELIVERY] = partial(check_delivery, url=url)
    found: list[tuple[str, Finding]] = []
    with shown() as progress:
        for name, finding in _findings(Deployed(place, api_url or _api_url(place)), checks, progress):
            found.append((name, finding))
            if not as_json:
                print("\n".join(_lines(name, finding)))
    worst = _worst(finding for _, finding in found)
    if as_json:
        print_json({"stack": stack, "status": worst, "findings": [_document(*one) for one in found]})
    note(_summary(found))
    if worst is Status.FAIL:
        raise typer.Exit(1)


def _findings(
    deployed: Deployed, checks: dict[str, Check], progress: Callable[[Step], None]
) -> Iterator[tuple[str, Finding]]:
    """Run the checks. A check that finds anything is not ok, whatever it says in the end."""
    for number, (name, check) in enumerate(checks.items()):
        progress(Step(number, len(checks), name))
        is_good = True
        try:
            for finding in check(deployed):
                if is_good or finding.status is not Status.OK:
                    is_good = finding.status is Status.OK
                    yield name, finding
        except CannotLook as error:
            yield name, warn(f"Could not look: {error}", error.advice)


def _api_url(place: Installed) -> str:
    """Return the URL where the API answers: its own host, unless that is turned off."""
    own, _, _ = place.parameters.get("ApiDomainNames", "").partition(",")
    if place.parameters.get("DisableExecuteApiEndpoint") == "true" and own:
        return f"https://{own}"
    return place.output("ApiUrl")


def _worst(findings: Iterable[Finding]) -> Status:
    statuses = {finding.status for finding in findings}
    return next((status for status in (Status.FAIL, Status.WARN) if status in statuses), Status.OK)


def _lines(name: str, finding: Finding) -> list[str]:
    lines = [f"{finding.status:<4}  {name:<12}  {printable(finding.text)}"]
    return lines if finding.advice is None else [*lines, f"{'':<20}{printable(finding.advice)}"]


def _document(name: str, finding: Finding) -> dict[str, str | None]:
    return {"check": name, "status": finding.status, "text": finding.text, "advice": finding.advice}


def _summary(found: list[tuple[str, Finding]]) -> str:
    counts = {status: sum(finding.status is status for _, finding in found) for status in Status}
    return f"{counts[Status.OK]} ok, {counts[Status.WARN]} to look at, {counts[Status.FAIL]} failed"
