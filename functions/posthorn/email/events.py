"""Turns SES's notifications about emails into events for the destinations of a configuration set.

For the shapes, see "Contents of event data that Amazon SES publishes to Amazon SNS" in the SES Developer Guide.
"""

import hashlib
import json
import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from posthorn.domain.clock import rfc3339_ms
from posthorn.domain.email_types import (
    MESSAGE_TAG,
    OWN_TAGS,
    SET_TAG,
    WORKSPACE_TAG,
    EmailType,
    by_event_type,
)
from posthorn.domain.errors import Malformed, RefusedEventType, RefusedJson
from posthorn.domain.ids import CONFIGURATION_SET, EVENT, WORKSPACE, is_id, new_id
from posthorn.domain.limits import MAX_DATA
from posthorn.domain.matching import canonical
from posthorn.domain.models import Event
from posthorn.wire.ecmascript import stringify

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HEADER_VALUE: Final = re.compile(r"[!-~]([ -~]{0,62}[!-~])?")
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

# Fields of `mail`, tags and headers that describe the operator rather than the email.
_REVEALING_FIELDS: Final = frozenset({"sourceArn", "sendingAccountId", "callerIdentity"})
_REVEALING_TAGS: Final = "ses:"
_REVEALING_HEADERS: Final = "x-ses-"  # the SES configuration set, and all tags again


def event_of(told: dict[str, Any]) -> Event:
    """Return the event for a notification of SES; raise `Malformed` if it is not about one of our emails.

    The event's id consists of its time and a hash of its data with sorted keys. So notifications with the same content
    are the same event, however often and in whatever envelope they arrive, while two recipients, bounces or clicks
    differ in their data.
    """
    mail = told.get("mail")
    if not isinstance(mail, dict) or not isinstance(tags := mail.get("tags"), dict):
        raise Malformed("the notification has no mail with tags")
    message_id = _own_tag(tags, MESSAGE_TAG, lambda text: _UUID.fullmatch(text) is not None)
    channel = _own_tag(tags, SET_TAG, lambda text: is_id(text, CONFIGURATION_SET))
    workspace = _own_tag(tags, WORKSPACE_TAG, lambda text: is_id(text, WORKSPACE))
    kind = _kind(told.get("eventType"))
    occurred_at = _occurred_at(told, kind)
    data = _written(told, kind, message_id)
    essence = json.dumps(json.loads(data), sort_keys=True).encode()
    return Event(
        id=new_id(EVENT, now_ms=occurred_at, entropy=hashlib.sha256(essence).digest()[:10]),
        channel=channel,
        workspace=workspace,
        type=kind.name,
        data=data,
        created_at=rfc3339_ms(occurred_at),
    )


def _own_tag(tags: dict[str, Any], name: str, is_valid: Callable[[str], bool]) -> str:
    match tags.get(name):
        # Two values mean that someone else has set the tag, too, so we cannot know which one is ours.
        case [str() as value] if is_valid(value):
            return value
    raise Malformed(f"the tag {name} is missing or was not set by Posthorn")


def _kind(event_type: Any) -> EmailType:
    if not isinstance(event_type, str) or not _HEADER_VALUE.fullmatch(event_type):
        raise Malformed("eventType is missing or cannot be a header's value")
    if (known := by_event_type(event_type)) is not None:
        return known
    first, *others = [word.lower() for word in _WORD.findall(event_type)] or [""]
    name = "_".join((first, *others))
    try:
        canonical(name)
    except RefusedEventType as refusal:
        raise Malformed("eventType cannot be an event type's name") from refusal
    return EmailType(name, event_type, key=first + "".join(map(str.capitalize, others)))


def _occurred_at(told: dict[str, Any], kind: EmailType) -> int:
    """Return the event's time in Unix milliseconds; some types have only that of their email."""
    own = told.get(kind.key)
    text = own.get("timestamp") if isinstance(own, dict) else None
    if text is None:
        text = told["mail"].get("timestamp")
    try:
        timestamp = datetime.fromisoformat(text)
        since = timestamp.replace(tzinfo=timestamp.tzinfo or UTC).astimezone(UTC) - _EPOCH
    except (TypeError, ValueError, OverflowError) as error:
        raise Malformed("the event has no timestamp in ISO 8601") from error
    if since < timedelta(0):
        raise Malformed("the event is from before 1970")
    return since // timedelta(milliseconds=1)


def _written(told: dict[str, Any], kind: EmailType, message_id: str) -> str:
    """Return the event as JSON: its type, its `mail`, its event-specific object, then SES's other fields."""
    mail = told["mail"]
    first = {"eventType": kind.event_type, "mail": _without_operator(mail, message_id)}
    own = {kind.key: told[kind.key]} if kind.key in told else {}
    others = {name: value for name, value in told.items() if name not in {*first, *own}}
    try:
        data = stringify(_without_accounts({**first, **own, **others}, _accounts(mail)))
    except (RefusedJson, RecursionError) as error:
        raise Malformed("the event is nested too deeply") from error
    if not data.startswith('{"eventType":'):
        raise Malformed("a numeric key would come before eventType")
    if len(data.encode()) > MAX_DATA:
        raise Malformed("the event is too large")
    return data


def _without_operator(mail: dict[str, Any], message_id: str) -> dict[str, Any]:
    """Return `mail` with our message id instead of SES's, and without the fields that describe the operator."""
    ses_id = mail.get("messageId")

    def with_our_id(holder: dict[str, Any], name: str) -> dict[str, Any]:
        value = holder.get(name)
        if not isinstance(value, str) or not isinstance(ses_id, str) or not ses_id:
            return holder
        return {**holder, name: value.replace(ses_id, message_id)}

    kept = {name: value for name, value in mail.items() if name not in _REVEALING_FIELDS}
    kept["messageId"] = message_id
    # `tags` is kept even if empty: consumers of SES's events rely on it.
    kept["tags"] = {
        name: value
        for name, value in mail["tags"].items()
        if name not in OWN_TAGS and not name.startswith(_REVEALING_TAGS)
    }
    if isinstance(headers := mail.get("headers"), list):
        kept["headers"] = [
            with_our_id(header, "value") if _name_of(header) == "message-id" else header
            for header in headers
            if not _name_of(header).startswith(_REVEALING_HEADERS)
        ]
    if isinstance(common := mail.get("commonHeaders"), dict):
        kept["commonHeaders"] = with_our_id(common, "messageId")
    return kept


def _name_of(header: Any) -> str:
    name = header.get("name") if isinstance(header, dict) else None
    return name.lower() if isinstance(name, str) else ""


def _accounts(mail: dict[str, Any]) -> set[str]:
    """Return the AWS accounts that sent the email and that own its sender identity; they can differ."""
    sender, owner = mail.get("sendingAccountId"), _account_of(mail.get("sourceArn"))
    return {account for account in (sender, owner) if isinstance(account, str) and account}


def _account_of(value: Any) -> str | None:
    """Return the account in an ARN: `arn:partition:service:region:account:resource`."""
    parts = value.split(":", 5) if isinstance(value, str) else []
    return parts[4] if len(parts) == 6 and parts[0] == "arn" else None


def _without_accounts(value: Any, accounts: Collection[str]) -> Any:
    """Remove these accounts and their ARNs everywhere, including in fields that are new to us."""

    def stays(one: Any) -> bool:
        return not isinstance(one, str) or (one not in accounts and _account_of(one) not in accounts)

    if isinstance(value, dict):
        return {name: _without_accounts(one, accounts) for name, one in value.items() if stays(one)}
    if isinstance(value, list):
        return [_without_accounts(one, accounts) for one in value if stays(one)]
    return value
