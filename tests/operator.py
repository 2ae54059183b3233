"""What an operator's commands do in an installation, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import boto3

from posthorn.aws import clients
from posthorn.aws.notice_messages import NoticeMessage, write_notice_message
from posthorn.domain.clock import rfc3339
from posthorn.domain.ids import EVENT
from posthorn.domain.models import Event
from posthorn_cli import dead_letters
from posthorn_cli.installed import Installed
from posthorn_cli.redispatch import RedispatchCounts, redispatch
from tests.template import REGION

if TYPE_CHECKING:
    from tests.installation import Installation, Waiting

QUEUES: Final = ("DeliverQueue", "Retry1MinQueue", "Retry5MinQueue", "Retry15MinQueue")
HOUR_MS: Final = 3_600_000


def installed(posthorn: Installation) -> Installed:
    """Return the installation as a command finds it by the outputs of its stack."""
    outputs = {f"{name}Name": table for name, table in posthorn.tables.items()}
    outputs |= {f"{name}Name": url.rsplit("/", 1)[1] for name, url in posthorn.queues.items()}
    outputs["RetentionDays"] = "30"
    return Installed("posthorn", boto3.Session(region_name=REGION), outputs, posthorn.clock)


def redispatched(posthorn: Installation, place: Installed, *, dry_run: bool = False) -> RedispatchCounts:
    """Redispatch the events of the last hour."""
    now = posthorn.clock()
    return redispatch(place, since_ms=now - HOUR_MS, until_ms=now, dry_run=dry_run, progress=lambda _: None)


def all_messages(posthorn: Installation) -> list[Waiting]:
    """Take the messages of all queues of deliveries."""
    return [message for queue in QUEUES for message in posthorn.take(queue)]


def send(posthorn: Installation, queue: str, body: str) -> None:
    clients.client("sqs").send_message(QueueUrl=posthorn.queues[queue], MessageBody=body)


def go_through(
    place: Installed, queue: str, *, move: bool = False, dry_run: bool = False
) -> tuple[dead_letters.QueueCounts, list[str]]:
    """Go through the dead letters of a queue; return the counts and a line for each letter."""
    counts, said = dead_letters.QueueCounts(), []

    def say(handled: dead_letters.Handled) -> None:
        said.append(handled.line())

    dead_letters.go_through(place, queue, counts=counts, move=move, dry_run=dry_run, say=say, wait_seconds=0)
    return counts, said


def noticed(posthorn: Installation) -> tuple[str, str]:
    """Write an operational event with a notice; return its id, and the body of the notice's message."""
    now = posthorn.clock()
    event = Event(
        id=posthorn.services.new_id(EVENT),
        channel=posthorn.workspace,
        workspace=posthorn.workspace,
        type="WEBHOOK_DISABLED",
        data="{}",
        created_at=rfc3339(now),
        notice="{}",
    )
    posthorn.services.events.accept([event], now_ms=now)
    return event.id, write_notice_message(NoticeMessage(event.channel, event.id))
