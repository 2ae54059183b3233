"""Sends emails through Amazon SES, which publishes the events of each configuration set to our topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn.aws.clients import call
from posthorn.domain.errors import RejectedMail, Unavailable
from posthorn.domain.models import Suppression
from posthorn.email.senders import sender_of
from posthorn.email.ses_tenants import passing
from posthorn.email.tags import tags_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sesv2.literals import EventTypeType, SuppressionListReasonType
    from mypy_boto3_sesv2.type_defs import (
        BodyTypeDef,
        ContentTypeDef,
        DestinationTypeDef,
        MessageTypeDef,
        SendEmailRequestTypeDef,
    )

    from posthorn.email.mail import Mail
    from posthorn.email.ses_tenants import SesTenants

PREFIX: Final = "posthorn-"
"""The prefix of our configuration sets and tenants in SES; the API's role changes only these."""

EVENT_DESTINATION: Final = "posthorn"

# Always all types: a customer's subscriptions can change at any time, but SES decides when it sends an email which
# events it will publish. The price is that OPEN and CLICK change HTML emails: SES adds a pixel and redirects links
# through a host of its own. Senders can exclude a link with the attribute `ses:no-track`, and an entire email by
# sending only text or no configuration set (SES Developer Guide, metrics FAQs).
EVENTS: Final[Sequence[EventTypeType]] = (
    "SEND",
    "DELIVERY",
    "BOUNCE",
    "COMPLAINT",
    "OPEN",
    "CLICK",
    "REJECT",
    "DELIVERY_DELAY",
    "RENDERING_FAILURE",
    "SUBSCRIPTION",
)

# An empty list is not the same as no list: it overrides the account's setting, so that nothing is suppressed. A set
# without a list follows the account, which suppresses both by default.
_REASONS: Final[Mapping[Suppression, Sequence[SuppressionListReasonType]]] = {
    Suppression.NONE: (),
    Suppression.BOUNCE: ("BOUNCE",),
    Suppression.COMPLAINT: ("COMPLAINT",),
    Suppression.BOUNCE_AND_COMPLAINT: ("BOUNCE", "COMPLAINT"),
}

_OWN_HEADERS: Final = "x-ses-"  # commands to SES: another configuration set, other tags, another sender

_INVALID: Final = ("All addresses, headers and the content must be valid for SES.", "invalid_mail")
# SES's error code -> detail and code for the customer. SES's own messages name addresses and the account, so they are
# not passed on.
_REJECTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "MessageRejected": (
        (
            "SES rejected the email. Most often, an address must be verified first: always the sender's, and while"
            " the SES account is in the sandbox, each recipient's, too. An operator can request production access."
        ),
        "mail_rejected",
    ),
    "MailFromDomainNotVerifiedException": (
        "The sender's MAIL FROM domain must be verified.",
        "sender_not_verified",
    ),
    "BadRequestException": _INVALID,
    "ParamValidationError": _INVALID,  # from botocore, before SES is called
}


class SesBackend:
    """Sends through SES; every configuration set has one in SES.

    A send without a response may have succeeded, and SES has no idempotency token. So the client must not retry.
    Without `tenants`, all emails are sent for the account as a whole.
    """

    def __init__(
        self,
        sesv2: SESV2Client,
        *,
        topic_arn: str,
        prefix: str = PREFIX,
        tenants: SesTenants | None = None,
    ) -> None:
        self._sesv2 = sesv2
        self._topic_arn = topic_arn
        self._prefix = prefix
        self._tenants = tenants

    def create_set(self, workspace: str, set_id: str, suppression: Suppression) -> None:
        """Create the set and its event destination; a repetition completes an interrupted call."""
        try:
            call(
                self._sesv2.create_configuration_set,
                ConfigurationSetName=self._name(set_id),
                SuppressionOptions={"SuppressedReasons": _REASONS[suppression]},
            )
        except Unavailable as error:
            if error.code != "AlreadyExistsException":
                raise
            self.change_set(set_id, suppression)  # an interrupted try may have created it with another value
        with passing("AlreadyExistsException"):
            call(
                self._sesv2.create_configuration_set_event_destination,
                ConfigurationSetName=self._name(set_id),
                EventDestinationName=EVENT_DESTINATION,
                EventDestination={
                    "Enabled": True,
                    "MatchingEventTypes": EVENTS,
                    "SnsDestination": {"TopicArn": self._topic_arn},
                },
            )
        if self._tenants is not None:
            with passing(
                "NotFoundException"
            ):  # the workspace has no tenant; its first identity brings the sets along
                self._tenants.add_set(workspace, set_id)

    def change_set(self, set_id: str, suppression: Suppression) -> None:
        """Change the suppression of a set."""
        call(
            self._sesv2.put_configuration_set_suppression_options,
            ConfigurationSetName=self._name(set_id),
            SuppressedReasons=_REASONS[suppression],
        )

    def delete_set(self, workspace: str, set_id: str) -> None:
        """Remove a set and its event destination; a missing set is ignored."""
        if self._tenants is not None:
            self._tenants.remove_set(workspace, set_id)  # SES refuses to delete a set that a tenant has
        with passing("NotFoundException"):
            call(self._sesv2.delete_configuration_set, ConfigurationSetName=self._name(set_id))

    def add_sender(self, workspace: str, identity: str, set_ids: Iterable[str]) -> bool:
        """Prepare to send from an identity; return whether its emails go through the workspace's tenant."""
        return self._tenants is not None and self._tenants.open(workspace, identity, set_ids)

    def remove_sender(self, workspace: str, identity: str, kept: Iterable[str]) -> None:
        """Undo `add_sender`, except for what the identities `kept` need. The tenant stays, with its reputation."""
        if self._tenants is not None:
            self._tenants.remove_identity(workspace, identity, kept)

    def delete_tenant(self, workspace: str) -> None:
        """Delete the tenant of a workspace; a missing one is ignored."""
        if self._tenants is not None:
            self._tenants.delete(workspace)

    def send(self, mail: Mail) -> None:
        """Send an email once; raise `RejectedMail` if SES will never accept it, `Unavailable` if it can be retried."""
        if any(name.lower().startswith(_OWN_HEADERS) for name, _ in mail.headers):
            raise RejectedMail(
                "Headers must not begin with X-SES-: such headers are commands to SES.",
                code="reserved_header",
                pointer="/headers",
            )
        request: SendEmailRequestTypeDef = {
            "FromEmailAddress": mail.sender,
            "Destination": _destination(mail),
            "Content": {"Simple": _message(mail)},
            "EmailTags": [{"Name": name, "Value": value} for name, value in tags_of(mail).items()],
        }
        if mail.reply_to:
            request["ReplyToAddresses"] = mail.reply_to
        if mail.configuration_set is not None:
            request["ConfigurationSetName"] = self._name(mail.configuration_set)
        try:
            if self._tenants is None or not mail.has_tenant:
                call(self._sesv2.send_email, **request)
            else:
                self._send_through(self._tenants, mail, request)
        except Unavailable as error:
            if error.code not in _REJECTIONS:
                raise
            detail, code = _REJECTIONS[error.code]
            raise RejectedMail(detail, code=code) from error

    def _send_through(self, tenants: SesTenants, mail: Mail, request: SendEmailRequestTypeDef) -> None:
        """Send an email through its workspace's tenant, which is completed if SES refuses the email."""
        request["TenantName"] = tenants.name_of(mail.workspace)
        try:
            call(self._sesv2.send_email, **request)
        except Unavailable as error:
            sender = sender_of(mail.sender)
            if error.code != "AccessDeniedException" or sender is None:
                raise
            tenants.complete(mail.workspace, sender.address, mail.configuration_set)
            call(self._sesv2.send_email, **request)

    def _name(self, set_id: str) -> str:
        return self._prefix + set_id


def _destination(mail: Mail) -> DestinationTypeDef:
    destination: DestinationTypeDef = {"ToAddresses": mail.to}
    if mail.cc:
        destination["CcAddresses"] = mail.cc
    if mail.bcc:
        destination["BccAddresses"] = mail.bcc
    return destination


def _message(mail: Mail) -> MessageTypeDef:
    body: BodyTypeDef = {}
    if mail.html is not None:
        body["Html"] = _text(mail.html)
    if mail.text is not None:
        body["Text"] = _text(mail.text)
    message: MessageTypeDef = {"Subject": _text(mail.subject), "Body": body}
    if mail.headers:
        message["Headers"] = [{"Name": name, "Value": value} for name, value in mail.headers]
    return message


def _text(data: str) -> ContentTypeDef:
    return {"Data": data, "Charset": "UTF-8"}  # the default is 7-bit ASCII
