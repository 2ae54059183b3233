"""`/api/v1/partner/email/send`: sends emails whose events go to the destinations of a configuration set."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, StringConstraints

from posthorn import telemetry
from posthorn.api import bodies, idempotency
from posthorn.api.http import Answer, Request
from posthorn.api.problems import FieldError, Problem, invalid
from posthorn.api.route import Route
from posthorn.api.routes.configuration_sets import SetName
from posthorn.domain.api_key import Scope
from posthorn.domain.email_types import OWN_TAGS
from posthorn.domain.errors import RejectedMail, Unavailable
from posthorn.domain.models import ConfigurationSet, SetState
from posthorn.email.addresses import is_address
from posthorn.email.mail import Mail
from posthorn.email.reserved_headers import is_reserved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthorn.api.answers.email import SendResult
    from posthorn.api.services import Services

MAX_RECIPIENTS: Final = 50
MAX_HEADERS: Final = 15

# Nothing may contain a line break, including those of Unicode: NEL, U+2028 and U+2029.
type Address = Annotated[
    str,
    StringConstraints(
        pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029@]+@[^\x00-\x1f\x7f-\x9f@\s]+$", max_length=320
    ),
]
type Addresses = Annotated[list[Address], Field(max_length=MAX_RECIPIENTS)]
type Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$", max_length=998)]
type HeaderName = Annotated[str, StringConstraints(pattern=r"^[!-9;-~]{1,126}$")]
type HeaderValue = Annotated[str, StringConstraints(pattern=r"^[ -~]{1,870}$")]
type TagText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,256}$")]


class NewMail(bodies.Body):
    """An email to send."""

    sender: Address = Field(
        alias="from",
        description="Who the email is from: an address, with or without a name, that a sender identity of the workspace"
        " covers.",
    )
    to: Annotated[list[Address], Field(min_length=1, max_length=MAX_RECIPIENTS)] = Field(
        description="Recipients."
    )
    cc: Addresses = Field(default_factory=list[str], description="Recipients of a copy.")
    bcc: Addresses = Field(default_factory=list[str], description="Recipients of a blind copy.")
    reply_to: Addresses = Field(default_factory=list[str], description="Where replies go.")
    subject: Line = Field(description="The subject.")
    html_body: str | None = Field(
        default=None, description="The body as HTML. One of the bodies is required."
    )
    text_body: str | None = Field(
        default=None, description="The body as text. One of the bodies is required."
    )
    headers: Annotated[dict[HeaderName, HeaderValue], Field(max_length=MAX_HEADERS)] = Field(
        default_factory=dict[str, str],
        description="Headers to add. Those that this request, SES or mail servers write are refused: `From`, `Bcc`,"
        " `Subject`, `Content-*` and the like.",
    )
    tags: Annotated[dict[TagText, TagText], Field(max_length=40)] = Field(
        default_factory=dict[str, str], description="Tags, which the events of the email carry."
    )
    configuration_set_name: SetName | None = Field(
        default=None, description="The configuration set whose event destinations receive the events."
    )


def send_mail(services: Services, request: Request) -> Answer[SendResult]:
    """Send an email once, even if the first request with this Idempotency-Key was interrupted."""
    wanted = bodies.validate(NewMail, bodies.parse(request))
    _check(wanted)
    decision = idempotency.decide(
        services, request, [str(uuid.UUID(bytes=services.random_bytes(16), version=4))]
    )
    message_id = decision.ids[0]
    if decision.is_done:
        return Answer({"message_id": message_id})
    if not decision.is_new:
        raise _undecided(services.clock() - decision.decided_at)
    try:
        mail = _mail(services, request, wanted, message_id)
    except (Problem, Unavailable):
        idempotency.forget(services, request)  # nothing was sent
        raise
    try:
        services.email.send(mail)
    except RejectedMail as rejection:
        idempotency.forget(services, request)  # nothing was sent, so the same request may be repeated
        raise Problem(422, rejection.code, rejection.detail) from rejection
    except Unavailable as outage:
        if outage.refused:  # nothing was sent
            idempotency.forget(services, request)
        raise
    try:
        idempotency.finish(services, request, decision)
    except Unavailable as outage:
        telemetry.call_failed(outage)  # the email was sent, so the request has succeeded
    return Answer({"message_id": message_id})


ROUTES: Final = (
    Route(
        "POST",
        "/api/v1/partner/email/send",
        Scope.PARTNER,
        send_mail,
        "Send an email",
        NewMail,
        status=202,
        needs_active_workspace=True,
    ),
)


def _check(wanted: NewMail) -> None:
    if wanted.html_body is None and wanted.text_body is None:
        detail = "An email must have an html_body, a text_body or both."
        raise invalid([FieldError("/html_body", detail)])
    if len(wanted.to) + len(wanted.cc) + len(wanted.bcc) > MAX_RECIPIENTS:
        detail = f"An email must have at most {MAX_RECIPIENTS} recipients, including cc and bcc."
        raise invalid([FieldError("/to", detail)])
    _check_addresses(wanted)
    _check_headers(wanted.headers)
    reserved = [tag for tag in wanted.tags if tag in OWN_TAGS]
    if reserved:
        detail = "Must not be a reserved tag."
        raise invalid([FieldError("/tags" + bodies.pointer([tag]), detail) for tag in reserved])


def _check_addresses(wanted: NewMail) -> None:
    lists = {"to": wanted.to, "cc": wanted.cc, "bcc": wanted.bcc, "reply_to": wanted.reply_to}
    places: list[tuple[tuple[str | int, ...], str]] = [(("from",), wanted.sender)]
    places += [((name, at), one) for name, given in lists.items() for at, one in enumerate(given)]
    detail = "Must be one address, such as `a@example.com` or `Name <a@example.com>`."
    if errors := [FieldError(bodies.pointer(path), detail) for path, one in places if not is_address(one)]:
        raise invalid(errors)


def _check_headers(headers: Mapping[str, str]) -> None:
    reserved = [name for name in headers if is_reserved(name)]
    if reserved:
        detail = "Must not be a header that the email's other fields, SES or mail servers write."
        errors = [FieldError("/headers" + bodies.pointer([name]), detail) for name in reserved]
        raise invalid(errors, "reserved_header")
    counts = Counter(name.lower() for name in headers)
    if repeated := [name for name in headers if counts[name.lower()] > 1]:
        detail = "Must be unique: the case of a header's name does not matter."
        raise invalid([FieldError("/headers" + bodies.pointer([name]), detail) for name in repeated])


def _configuration_set(services: Services, request: Request, wanted: NewMail) -> ConfigurationSet | None:
    name = wanted.configuration_set_name
    if name is None:
        return None
    one = services.configuration_sets.by_name(request.workspace, name)
    if one is None or one.state is not SetState.READY:
        raise Problem(404, "unknown_configuration_set", f"No such configuration set: {name}.")
    return one


def _mail(services: Services, request: Request, wanted: NewMail, message_id: str) -> Mail:
    """Return the email to send, from a sender that the workspace may send from."""
    sender, has_tenant = services.senders.admit(request.workspace, wanted.sender)
    configuration_set = _configuration_set(services, request, wanted)
    return Mail(
        message_id=message_id,
        workspace=request.workspace,
        configuration_set=configuration_set.id if configuration_set else None,
        sender=sender,
        to=tuple(wanted.to),
        cc=tuple(wanted.cc),
        bcc=tuple(wanted.bcc),
        reply_to=tuple(wanted.reply_to),
        subject=wanted.subject,
        html=wanted.html_body,
        text=wanted.text_body,
        headers=tuple(wanted.headers.items()),
        tags=tuple(wanted.tags.items()),
        has_tenant=has_tenant,
    )


def _undecided(age_ms: int) -> Problem:
    if age_ms < idempotency.REQUEST_OVER_MS:
        return Problem(
            409, "in_progress", "The first request with this Idempotency-Key is still running.", retry_after=1
        )
    return Problem(
        409,
        "outcome_unknown",
        "The first request with this Idempotency-Key was interrupted, and its email may have been sent."
        " A request with another key sends it, perhaps for the second time.",
    )
