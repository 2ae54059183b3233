"""Mail through Amazon SES, which publishes the events of each configuration set to our topic."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from posthorn.aws.clients import call
from posthorn.domain.errors import RejectedMail, Unavailable
from posthorn.domain.models import Suppression
from posthorn.email.tags import tags_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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

PREFIX: Final = "posthorn-"
"""What the names of our sets in SES begin with; the API's role is allowed these and no other."""

EVENT_DESTINATION: Final = "posthorn"

# All of them, always. Which events a customer wants can change at any time, but what SES will tell about a
# mail is settled when it is sent. The price is that OPEN and CLICK change HTML mails: SES adds a pixel and
# leads links through a host of its own. A sender keeps a link as it is with the attribute `ses:no-track`, and
# a whole mail by sending text only or without a configuration set (SES Developer Guide, metrics FAQs).
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

# An empty list is not the same as none: it overrides the account's own list, so that nothing is suppressed,
# while a set that says nothing follows the account, which by default suppresses both.
_REASONS: Final[Mapping[Suppression, Sequence[SuppressionListReasonType]]] = {
    Suppression.NONE: (),
    Suppression.BOUNCE: ("BOUNCE",),
    Suppression.COMPLAINT: ("COMPLAINT",),
    Suppression.BOUNCE_AND_COMPLAINT: ("BOUNCE", "COMPLAINT"),
}

_OWN_HEADERS: Final = "x-ses-"  # commands to SES: another configuration set, other tags, another sender

_INVALID: Final = ("SES does not take an address, a header or the content of this mail.", "invalid_mail")
# Error code -> what the customer is told. SES's own words name addresses and the account, so they stay here.
_REJECTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "MessageRejected": (
        "SES refused this mail, most often because its sender is not verified for sending.",
        "mail_rejected",
    ),
    "MailFromDomainNotVerifiedException": (
        "The MAIL FROM domain that belongs to the sender is not verified.",
        "sender_not_verified",
    ),
    "BadRequestException": _INVALID,
    "ParamValidationError": _INVALID,  # botocore found it before SES could
}


class SesBackend:
    """Sends through SES; every configuration set owns one of SES's own.

    A send that got no answer may have been a send, and SES has no token to make a second one harmless: the
    client has to be one that does not retry.
    """

    def __init__(self, sesv2: SESV2Client, *, topic_arn: str, prefix: str = PREFIX) -> None:
        self._sesv2 = sesv2
        self._topic_arn = topic_arn
        self._prefix = prefix

    def create_set(self, set_id: str, suppression: Suppression) -> None:
        """Make the set and its way to our topic; done again, it completes what was left half done."""
        try:
            call(
                self._sesv2.create_configuration_set,
                ConfigurationSetName=self._name(set_id),
                SuppressionOptions={"SuppressedReasons": _REASONS[suppression]},
            )
        except Unavailable as error:
            if error.code != "AlreadyExistsException":
                raise
            self.change_set(set_id, suppression)  # what is there may be from a try that wanted another
        with _passing("AlreadyExistsException"):
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

    def change_set(self, set_id: str, suppression: Suppression) -> None:
        """Change the suppression of a set."""
        call(
            self._sesv2.put_configuration_set_suppression_options,
            ConfigurationSetName=self._name(set_id),
            SuppressedReasons=_REASONS[suppression],
        )

    def delete_set(self, set_id: str) -> None:
        """Remove a set, and with it its way to our topic; what is gone already is gone."""
        with _passing("NotFoundException"):
            call(self._sesv2.delete_configuration_set, ConfigurationSetName=self._name(set_id))

    def send(self, mail: Mail) -> None:
        """Send a mail once; `RejectedMail` when SES will never take it, `Unavailable` when it did not now."""
        if any(name.lower().startswith(_OWN_HEADERS) for name, _ in mail.headers):
            raise RejectedMail(
                "Headers that begin with X-SES- are commands to SES and cannot be set.",
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
            call(self._sesv2.send_email, **request)
        except Unavailable as error:
            if error.code not in _REJECTIONS:
                raise
            detail, code = _REJECTIONS[error.code]
            raise RejectedMail(detail, code=code) from error

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
    return {"Data": data, "Charset": "UTF-8"}  # without it, SES takes text for 7-bit ASCII


@contextmanager
def _passing(code: str) -> Iterator[None]:
    """Let one error of SES pass, since it says that there is nothing left to do."""
    try:
        yield
    except Unavailable as error:
        if error.code != code:
            raise
