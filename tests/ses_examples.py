"""AWS's example notifications, the event that each becomes, and JSON split into parts for comparison."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from posthorn.email.events import event_of
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

FOLDER: Final = ROOT / "tests" / "vectors" / "ses"
NAMES: Final = sorted(path.stem for path in FOLDER.glob("*.json"))

MESSAGE_ID: Final = "550e8400-e29b-41d4-a716-446655440000"
SET_ID: Final = "cs_01GY5BMP7FBC0DKZTXDZJ7EQ6S"
WORKSPACE: Final = "wksp_01GY5BMP7FBC0DKZTXDZJ7EQ6S"
ACCOUNT: Final = "123456789012"

type Json = dict[str, Any]

TYPES: Final = {
    "bounce": ("bounce", "2017-08-05T00:41:02.669Z"),
    "click": ("click", "2017-08-09T23:51:25.570Z"),
    "complaint": ("complaint", "2017-08-05T00:41:02.669Z"),
    "delivery": ("delivered", "2016-10-19T23:21:04.133Z"),
    "delivery-delay": ("delivery_delay", "2020-06-16T00:25:40.095Z"),
    "open": ("open", "2017-08-09T22:00:19.652Z"),
    "reject": ("reject", "2016-10-14T17:38:15.211Z"),
    "rendering-failure": ("rendering_failure", "2018-01-22T18:43:06.197Z"),
    "send": ("send", "2016-10-14T05:02:16.645Z"),
    "subscription": ("subscription", "2022-01-12T01:00:17.910Z"),
}
"""Type and time of each example's event."""

OUR_TAGS: Final = tuple(f"mail/tags/posthorn-{name}" for name in ("message", "set", "workspace"))
_SES_TAGS: Final = {
    f"mail/tags/ses:{name}" for name in ("configuration-set", "source-ip", "from-domain", "caller-identity")
}
_SENDER: Final = {"mail/sourceArn", "mail/sendingAccountId"}
_TAG_HEADER: Final = "mail/headers/X-SES-MESSAGE-TAGS"
_TRACKED: Final = {
    *OUR_TAGS,
    *_SES_TAGS,
    "mail/sendingAccountId",
    "mail/headers/X-SES-CONFIGURATION-SET",
    _TAG_HEADER,
}

REMOVED: Final[dict[str, set[str]]] = {
    "bounce": {*OUR_TAGS, *_SES_TAGS, *_SENDER},
    "complaint": {*OUR_TAGS, *_SES_TAGS, *_SENDER},
    "delivery": {*OUR_TAGS, *_SES_TAGS, *_SENDER, "mail/tags/ses:outgoing-ip"},
    "send": {*OUR_TAGS, *_SES_TAGS, *_SENDER, _TAG_HEADER},
    "reject": {*OUR_TAGS, *_SES_TAGS, *_SENDER, _TAG_HEADER},
    "open": _TRACKED,
    "click": _TRACKED,
    "rendering-failure": {*OUR_TAGS, *_SENDER, "mail/tags/ses:configuration-set"},
    "delivery-delay": {*OUR_TAGS, *_SENDER, "mail/tags/ses:configuration-set"},
    "subscription": {*OUR_TAGS, *_SES_TAGS, *_SENDER, "mail/tags/ses:operation"},
}
"""The paths of each example that receivers do not see, including everything below them."""

RENAMED: Final = ("mail/messageId", "mail/commonHeaders/messageId", "mail/headers/Message-ID/value")
"""The paths of SES's message id, where events have ours."""


def example(name: str) -> Json:
    found: Json = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def data_of(told: Json) -> Json:
    """Return the data of the event that a notification becomes."""
    data: Json = json.loads(event_of(told).data)
    return data


def enveloped(message: str, kind: str = "Notification") -> str:
    """Return a message as SNS delivers it without raw delivery."""
    return json.dumps(
        {
            "Type": kind,
            "MessageId": "5f3b1c1e-0d5c-5b3a-9a59-4a0b3e1c2d4f",
            "TopicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:feedback",
            "Subject": "Amazon SES Email Event Notification",
            "Message": message,
            "Timestamp": "2017-08-05T00:41:03.000Z",
            "SignatureVersion": "1",
            "Signature": "EXAMPLE",
            "SigningCertURL": "https://sns.us-east-1.amazonaws.com/example.pem",
            "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe",
        }
    )


def parts(value: Any, path: str = "") -> dict[str, Any]:
    """Split JSON into path -> value, with `{}` or `[]` for containers; headers are keyed by name."""
    found = {path: {} if isinstance(value, dict) else [] if isinstance(value, list) else value}
    for name, part in _children(value):
        found |= parts(part, f"{path}/{name}" if path else name)
    return found


def without(value: Any, paths: Collection[str], path: str = "") -> Any:
    """Return JSON without the parts at some paths."""
    kept = [
        (name, without(part, paths, inner))
        for name, part in _children(value)
        if (inner := f"{path}/{name}" if path else name) not in paths
    ]
    if isinstance(value, dict):
        return dict(kept)
    return [part for _, part in kept] if isinstance(value, list) else value


def replaced(value: Any, at: str, new: Any, path: str = "") -> Any:
    """Return JSON with another value at a path."""
    if path == at:
        return new
    parted = [
        (name, replaced(part, at, new, f"{path}/{name}" if path else name)) for name, part in _children(value)
    ]
    if isinstance(value, dict):
        return dict(parted)
    return [part for _, part in parted] if isinstance(value, list) else value


def expected_of(name: str, told: Json) -> dict[str, Any]:
    """Return the expected parts of an event, from the tables above alone."""
    before = parts(told)
    ses_id = told["mail"]["messageId"]
    after = {
        path: part
        for path, part in before.items()
        if not any(path == gone or path.startswith(f"{gone}/") for gone in REMOVED[name])
    }
    return after | {path: MESSAGE_ID for path in RENAMED if before.get(path) == ses_id}


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    if isinstance(value, list):
        for number, part in enumerate(value):
            yield (part["name"] if isinstance(part, dict) and "name" in part else str(number)), part
