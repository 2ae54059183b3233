"""`/api/v1/partner/email/send`: mail whose events go to the destinations of a configuration set."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, StringConstraints

from posthorn.api import bodies, idempotency
from posthorn.api.http import Answer, Request
from posthorn.api.problems import FieldError, Problem, invalid
from posthorn.api.route import Route
from posthorn.api.routes.configuration_sets import SetName
from posthorn.domain.api_key import Scope
from posthorn.domain.email_types import OWN_TAGS
from posthorn.domain.errors import RejectedMail, Unavailable
from posthorn.domain.models import ConfigurationSet, SetState
from posthorn.email.mail import Mail
from posthorn.telemetry import outage as log_outage

if TYPE_CHECKING:
    from posthorn.api.services import Services

MAX_RECIPIENTS: Final = 50
MAX_HEADERS: Final = 15

# No line break may get into an address or a header. SES knows best what an address is; this keeps nonsense away.
type Address = Annotated[
    str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f@]+@[^\x00-\x1f\x7f@\s]+$", max_length=320)
]
type Addresses = Annotated[list[Address], Field(max_length=MAX_RECIPIENTS)]
type Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=998)]
type HeaderName = Annotated[str, StringConstraints(pattern=r"^[!-9;-~]{1,126}$")]
type HeaderValue = Annotated[str, StringConstraints(pattern=r"^[ -~]{1,870}$")]
type TagText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,256}$")]


class NewMail(bodies.Body):
    """A mail to be sent."""

    sender: Address = Field(alias="from")
    to: Annotated[list[Address], Field(min_length=1, max_length=MAX_RECIPIENTS)]
    cc: Addresses = Field(default_factory=list[str])
    bcc: Addresses = Field(default_factory=list[str])
    reply_to: Addresses = Field(default_factory=list[str])
    subject: Line
    html_body: str | None = None
    text_body: str | None = None
    headers: Annotated[dict[HeaderName, HeaderValue], Field(max_length=MAX_HEADERS)] = Field(
        default_factory=dict[str, str]
    )
    tags: Annotated[dict[TagText, TagText], Field(max_length=40)] = Field(default_factory=dict[str, str])
    configuration_set_name: SetName | None = None


def send_mail(services: Services, request: Request) -> Answer:
    """Send a mail once, also under an idempotency key whose first request died without a word."""
    wanted = bodies.validate(NewMail, bodies.parse(request))
    _check(wanted)
    decision = idempotency.decide(
        services, request, [str(uuid.UUID(bytes=services.random_bytes(16), version=4))]
    )
    message_id = decision.ids[0]
    if decision.is_done:
        return Answer({"message_id": message_id}, 202)
    if not decision.is_new:
        raise _undecided(services.clock() - decision.decided_at)
    try:
        configuration_set = _configuration_set(services, request, wanted)
    except (Problem, Unavailable):
        idempotency.forget(services, request)  # nothing was sent
        raise
    try:
        services.email.send(_mail(wanted, request, message_id, configuration_set))
    except RejectedMail as rejection:
        idempotency.forget(services, request)  # it was not sent, so the same request may be made again
        raise Problem(422, rejection.code, rejection.detail) from rejection
    except Unavailable as outage:
        if outage.refused:  # not sent, either
            idempotency.forget(services, request)
        raise
    try:
        idempotency.finish(services, request, decision)
    except Unavailable as outage:
        log_outage(outage)  # the mail is on its way, and that is what the caller has to know
    return Answer({"message_id": message_id}, 202)


ROUTES: Final = (
    Route("POST", "/api/v1/partner/email/send", Scope.PARTNER, send_mail, "Send a mail", NewMail),
)


def _check(wanted: NewMail) -> None:
    if wanted.html_body is None and wanted.text_body is None:
        detail = "A mail has an html_body, a text_body or both."
        raise invalid([FieldError("/html_body", detail)])
    if len(wanted.to) + len(wanted.cc) + len(wanted.bcc) > MAX_RECIPIENTS:
        detail = f"A mail goes to at most {MAX_RECIPIENTS} addresses, cc and bcc included."
        raise invalid([FieldError("/to", detail)])
    commands = [name for name in wanted.headers if name.lower().startswith("x-ses-")]
    if commands:
        detail = "Headers that begin with X-SES- are commands to SES, and not yours to give."
        raise invalid([FieldError("/headers" + bodies.pointer([name]), detail) for name in commands])
    reserved = [tag for tag in wanted.tags if tag in OWN_TAGS]
    if reserved:
        detail = "This tag is reserved."
        raise invalid([FieldError("/tags" + bodies.pointer([tag]), detail) for tag in reserved])


def _configuration_set(services: Services, request: Request, wanted: NewMail) -> ConfigurationSet | None:
    name = wanted.configuration_set_name
    if name is None:
        return None
    one = services.configuration_sets.by_name(request.workspace, name)
    if one is None or one.state is not SetState.READY:
        raise Problem(404, "unknown_configuration_set", f"There is no configuration set called {name}.")
    return one


def _mail(
    wanted: NewMail, request: Request, message_id: str, configuration_set: ConfigurationSet | None
) -> Mail:
    return Mail(
        message_id=message_id,
        workspace=request.workspace,
        configuration_set=configuration_set.id if configuration_set else None,
        sender=wanted.sender,
        to=tuple(wanted.to),
        cc=tuple(wanted.cc),
        bcc=tuple(wanted.bcc),
        reply_to=tuple(wanted.reply_to),
        subject=wanted.subject,
        html=wanted.html_body,
        text=wanted.text_body,
        headers=tuple(wanted.headers.items()),
        tags=tuple(wanted.tags.items()),
    )


def _undecided(age_ms: int) -> Problem:
    if age_ms < idempotency.REQUEST_OVER_MS:
        return Problem(
            409, "in_progress", "The first request with this Idempotency-Key is still at work.", retry_after=1
        )
    return Problem(
        409,
        "outcome_unknown",
        "The first request with this Idempotency-Key broke off, and whether its mail was sent is not known."
        " A request with another key sends it, perhaps for the second time.",
    )
