"""The notifications that SES would publish about an email, in SES's format.

The format and most of the values are those of the SES Developer Guide: "Contents of event data that Amazon SES
publishes to Amazon SNS", and its examples.
"""

from __future__ import annotations

import html
import re
import uuid
from dataclasses import dataclass
from email.utils import parseaddr
from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.clock import rfc3339_ms
from posthorn.email.mailbox import Fate, reaction
from posthorn.email.tags import tags_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from posthorn.email.mail import Mail

type Json = dict[str, Any]
type RandomBytes = Callable[[int], bytes]  # takes the number of bytes

HEADERS_LIMIT: Final = 10 * 1024
"""SES omits the headers beyond this size and sets `headersTruncated`."""

# Milliseconds after the send; short enough that no notification is published before its own timestamp.
_ARRIVAL: Final = 50
_ANSWER: Final = 100
_OPEN: Final = 150
_CLICK: Final = 200

# Addresses for documentation, RFC 5737.
_SES_IP: Final = "192.0.2.10"
_MTA_IP: Final = "198.51.100.10"
_READERS: Final = tuple(f"203.0.113.{number}" for number in range(1, 255))  # SES allows 50 recipients
_READER: Final = "Mozilla/5.0 (compatible; mailbox simulator)"
_MTA: Final = "a8-50.smtp-out.amazonses.com"

_LINK: Final = re.compile(r"""<a\s[^<>]{0,500}?\bhref\s?=\s?["']?(https?://[^"'\s<>]+)""", re.IGNORECASE)
_NO_LINK: Final = "https://example.com/"


def notifications(mail: Mail, *, topic_arn: str, now_ms: int, random_bytes: RandomBytes) -> list[Json]:
    """Return all notifications that SES would publish about an email, in chronological order."""
    return list(_Story(mail, topic_arn, now_ms, random_bytes).tell())


@dataclass(frozen=True, slots=True)
class _Story:
    """What happens to one email."""

    mail: Mail
    topic_arn: str
    now_ms: int
    random_bytes: RandomBytes

    def tell(self) -> Iterator[Json]:
        reactions = {address: reaction(address) for address in self._recipients()}
        by_fate = {fate: [one for one, found in reactions.items() if found.fate is fate] for fate in Fate}
        about = self._about()
        yield {"eventType": "Send", "mail": about, "send": {}}
        delivered = {**about, "tags": {**about["tags"], "ses:outgoing-ip": [_SES_IP]}}
        for address in (one for one, found in reactions.items() if found.fate.arrives):
            yield {"eventType": "Delivery", "mail": delivered, "delivery": self._delivery(address)}
        # SES reports all bounces of an email at once, and likewise all suppressed addresses.
        if bounced := by_fate[Fate.BOUNCED]:
            yield {"eventType": "Bounce", "mail": about, "bounce": self._bounce(bounced)}
        if suppressed := by_fate[Fate.SUPPRESSED]:
            yield {"eventType": "Bounce", "mail": about, "bounce": self._suppression(suppressed)}
        for address in by_fate[Fate.ANSWERED]:
            yield {"eventType": "Bounce", "mail": about, "bounce": self._answer(address)}
        for address in by_fate[Fate.COMPLAINED]:
            yield {"eventType": "Complaint", "mail": about, "complaint": self._complaint(address)}
        for number, found in enumerate(reactions.values()):
            if found.opens:
                yield {"eventType": "Open", "mail": about, "open": _reader(number, self.now_ms + _OPEN)}
        for number, found in enumerate(reactions.values()):
            if found.clicks:
                click = {**_reader(number, self.now_ms + _CLICK), "link": self._link(), "linkTags": None}
                yield {"eventType": "Click", "mail": about, "click": click}

    # ---- the email

    def _about(self) -> Json:
        mail, ses_id, domain = self.mail, self._ses_id(), _bare(self.mail.sender).rpartition("@")[2]
        _, partition, _, region, account, _ = self.topic_arn.split(":", 5)
        headers, truncated = self._headers()
        common: Json = {"from": [mail.sender], "to": list(mail.to)}
        if mail.cc:
            common["cc"] = list(mail.cc)
        return {
            "timestamp": rfc3339_ms(self.now_ms),
            "source": mail.sender,
            "sourceArn": f"arn:{partition}:ses:{region}:{account}:identity/{domain}",
            "sendingAccountId": account,
            "messageId": ses_id,
            "destination": self._recipients(),
            "headersTruncated": truncated,
            "headers": headers,
            "commonHeaders": {**common, "messageId": ses_id, "subject": mail.subject},
            "tags": {
                "ses:operation": ["SendEmail"],
                "ses:configuration-set": [mail.configuration_set],
                "ses:source-ip": [_SES_IP],
                "ses:from-domain": [domain],
                "ses:caller-identity": ["posthorn"],
                **{name: [value] for name, value in tags_of(mail).items()},
            },
        }

    def _recipients(self) -> list[str]:
        everybody = (*self.mail.to, *self.mail.cc, *self.mail.bcc)
        return list(dict.fromkeys(_bare(one) for one in everybody))

    def _headers(self) -> tuple[list[Json], bool]:
        mail = self.mail
        lists = (("Reply-To", mail.reply_to), ("To", mail.to), ("Cc", mail.cc))  # never Bcc
        everything = [
            ("From", mail.sender),
            *((name, ", ".join(addresses)) for name, addresses in lists if addresses),
            ("Subject", mail.subject),
            *mail.headers,
            ("MIME-Version", "1.0"),
            ("Content-Type", _content_type(mail)),
        ]
        kept: list[Json] = []
        size = 0
        for name, value in everything:
            size += len(f"{name}: {value}\r\n".encode())
            if size >= HEADERS_LIMIT:
                return kept, True
            kept.append({"name": name, "value": value})
        return kept, False

    # ---- what happens to it

    def _delivery(self, address: str) -> Json:
        return {
            "timestamp": rfc3339_ms(self.now_ms + _ARRIVAL),
            "processingTimeMillis": _ARRIVAL,
            "recipients": [address],
            "smtpResponse": "250 2.6.0 Message received",
            "remoteMtaIp": _MTA_IP,
            "reportingMTA": _MTA,
        }

    def _bounce(self, addresses: list[str]) -> Json:
        return {
            "bounceType": "Permanent",
            "bounceSubType": "General",
            "bouncedRecipients": [_failed(one, "smtp; 550 5.1.1 user unknown") for one in addresses],
            **self._feedback(_ARRIVAL),
            "remoteMtaIp": _MTA_IP,
            "reportingMTA": f"dns; {_MTA}",
        }

    def _suppression(self, addresses: list[str]) -> Json:
        why = (
            "Amazon SES has suppressed sending to this address because it has a recent history of"
            " bouncing as an invalid address."
        )
        return {
            "bounceType": "Permanent",
            "bounceSubType": "Suppressed",
            "bouncedRecipients": [_failed(one, why) for one in addresses],
            **self._feedback(_ARRIVAL),
            "reportingMTA": "dns; amazonses.com",
        }

    def _answer(self, address: str) -> Json:
        """Return the bounce that SES makes of an automatic answer: it lacks the status of a real bounce."""
        return {
            "bounceType": "Transient",
            "bounceSubType": "General",
            "bouncedRecipients": [{"emailAddress": address}],
            **self._feedback(_ANSWER),
        }

    def _complaint(self, address: str) -> Json:
        return {
            "complainedRecipients": [{"emailAddress": address}],
            **self._feedback(_ANSWER),
            "complaintSubType": None,
            "userAgent": "Mailbox-Simulator/1.0",
            "complaintFeedbackType": "abuse",
            "arrivalDate": rfc3339_ms(self.now_ms + _ARRIVAL),
        }

    def _feedback(self, after_ms: int) -> Json:
        return {"timestamp": rfc3339_ms(self.now_ms + after_ms), "feedbackId": self._ses_id()}

    def _link(self) -> str:
        found = _LINK.search(self.mail.html or "")
        return html.unescape(found[1]) if found else _NO_LINK

    def _ses_id(self) -> str:
        """Make an id in SES's format: the region, the time and random bytes."""
        return f"0100{self.now_ms:012x}-{uuid.UUID(bytes=self.random_bytes(16), version=4)}-000000"


def _bare(address: str) -> str:
    """Return an address without its display name."""
    return parseaddr(address)[1] or address


def _reader(number: int, at_ms: int) -> Json:
    """Return the data about a reader. It does not identify the recipient, so each reader needs another IP address."""
    return {
        "timestamp": rfc3339_ms(at_ms),
        "userAgent": _READER,
        "ipAddress": _READERS[number % len(_READERS)],
    }


def _failed(address: str, why: str) -> Json:
    return {"emailAddress": address, "action": "failed", "status": "5.1.1", "diagnosticCode": why}


def _content_type(mail: Mail) -> str:
    if mail.html is None:
        return "text/plain; charset=UTF-8"
    if mail.text is None:
        return "text/html; charset=UTF-8"
    return 'multipart/alternative; boundary="----=_Part_0"'
