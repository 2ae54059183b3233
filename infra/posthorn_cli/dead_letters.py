"""`posthorn dead-letters`: show what is in the dead-letter queues and why, and move it back to where it belongs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from posthorn.domain.clock import rfc3339
from posthorn.domain.errors import Malformed
from posthorn_cli import installed
from posthorn_cli.dead_letter import INCOMPLETE, DeadLetter, read
from posthorn_cli.installed import Installed
from posthorn_cli.options import AsJson, Profile, Region, Stack
from posthorn_cli.outages import noticed
from posthorn_cli.output import note, print_json, printable
from posthorn_cli.progress import Step, shown
from posthorn_cli.redispatch import redispatch
from posthorn_cli.redispatch_window import merge


class Queue(StrEnum):
    """What a dead-letter queue is called on the command line."""

    DISPATCH = "dispatch"
    DELIVER = "deliver"
    FEEDBACK = "feedback"
    REPLAY = "replay"
    PURGE = "purge"


QUEUES: Final[dict[str, str]] = {
    Queue.DISPATCH: "DispatchDeadLetterQueue",
    Queue.DELIVER: "DeliverDeadLetterQueue",
    Queue.FEEDBACK: "FeedbackDeadLetterQueue",
    Queue.REPLAY: "ReplayDeadLetterQueue",
    Queue.PURGE: "PurgeDeadLetterQueue",
}

WAIT_SECONDS: Final = 2  # for a first message; above 0, SQS asks all servers of a queue
_HIDDEN_SECONDS: Final = 600  # while a command works on them; if it dies, they are back after that


class Outcome(StrEnum):
    """What was done with a dead letter."""

    LISTED = "listed"
    WOULD_MOVE = "would move"
    MOVED = "moved"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Handled:
    """A dead letter, and what was done with it."""

    queue: str
    sent_at: str
    kind: str
    about: str
    reason: str
    outcome: Outcome
    error: str | None = None  # why it could not be moved

    def line(self) -> str:
        outcome = "" if self.outcome is Outcome.LISTED else f"{self.outcome}  "
        error = "" if self.error is None else f"  ({self.error})"
        return printable(
            f"{self.queue:<8}  {self.sent_at}  {outcome}{self.kind}  {self.about}  {self.reason}{error}"
        )

    def document(self) -> dict[str, str | None]:
        return {
            "queue": self.queue,
            "sentAt": self.sent_at,
            "kind": self.kind,
            "about": self.about,
            "reason": self.reason,
            "outcome": self.outcome.replace(" ", "_"),
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class _Received:
    letter: DeadLetter
    receipt: str
    sent_at: str


@dataclass(slots=True)
class QueueCounts:
    """What was in a queue."""

    found: int = 0
    moved: int = 0


def command(
    *,
    queue: Annotated[Queue | None, typer.Option(help="Only this queue.", show_default="all")] = None,
    move: Annotated[bool, typer.Option("--move", help="Move messages back to where they belong.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --move: only say what would move.")
    ] = False,
    stack: Stack = "posthorn",
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Show what Posthorn gave up on or could not understand, and why. With --move, try it again.

    Repair the cause first: what fails again comes back.
    """
    if dry_run and not move:
        raise typer.BadParameter("Needs --move: without it, nothing moves anyway.", param_hint="--dry-run")
    place = installed.find(stack, region=region, profile=profile)
    letters: list[dict[str, str | None]] = []
    counts = {name: QueueCounts() for name in ([queue.value] if queue else QUEUES)}

    try:
        with noticed(place) as reasons, shown() as progress:

            def say(handled: Handled) -> None:
                if as_json:
                    letters.append(handled.document())
                else:
                    print(handled.line())
                progress(Step(len(letters), None, _summary(handled.queue, counts[handled.queue])))

            for name, counted in counts.items():
                go_through(place, name, counts=counted, move=move, dry_run=dry_run, say=say)
    finally:  # what was moved is reported, even if the next message fails
        if as_json:
            found = {name: {"found": one.found, "moved": one.moved} for name, one in counts.items()}
            print_json({"deadLetters": letters, "queues": found})
    for name, counted in counts.items():
        note(_summary(name, counted))
    for reason in sorted(reasons):
        note(reason)


def go_through(
    place: Installed,
    queue: str,
    *,
    counts: QueueCounts,
    move: bool,
    dry_run: bool,
    say: Callable[[Handled], None],
    wait_seconds: int = WAIT_SECONDS,
) -> None:
    """Report everything in a dead-letter queue; if asked to, move it back first: sent, then deleted.

    Messages that stay, or fail on their way, are visible in their queue again when this returns.
    """
    url = place.queue_url(QUEUES[queue])
    staying: list[str] = []

    def handle(received: _Received, outcome: Outcome, error: str | None) -> None:
        if outcome is Outcome.MOVED:
            counts.moved += 1
            place.sqs.delete_message(QueueUrl=url, ReceiptHandle=received.receipt)
            staying.remove(received.receipt)
        letter = received.letter
        say(Handled(queue, received.sent_at, letter.kind, letter.about, letter.reason, outcome, error))

    by_window: list[_Received] = []
    try:
        for message in _receive(place, url, wait_seconds):
            counts.found += 1
            staying.append(message["ReceiptHandle"])
            received = _Received(
                read(place, queue, message["Body"]),
                receipt=message["ReceiptHandle"],
                sent_at=rfc3339(int(message["Attributes"]["SentTimestamp"])),
            )
            if move and not dry_run and received.letter.window is not None:
                by_window.append(received)
            else:
                handle(received, *_move(received.letter, move=move, dry_run=dry_run))
        for covered, error in _redispatch(place, by_window):
            for received in covered:
                handle(received, Outcome.MOVED if error is None else Outcome.KEPT, error)
    finally:
        for receipt in staying:
            place.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=receipt, VisibilityTimeout=0)


def _redispatch(place: Installed, letters: list[_Received]) -> Iterator[tuple[list[_Received], str | None]]:
    """Dispatch the windows of letters again, each event once; yields the letters that are covered, and an error.

    The caller deletes them before the next window begins, so that what follows may fail.
    """
    for window in merge(one.letter.window for one in letters if one.letter.window is not None):
        counts = redispatch(
            place,
            since_ms=window.since_ms,
            until_ms=window.until_ms,
            dry_run=False,
            progress=lambda _: None,
        )
        covered = [one for one in letters if one.letter.window and window.covers(one.letter.window)]
        yield covered, INCOMPLETE if counts.failed else None


def _move(letter: DeadLetter, *, move: bool, dry_run: bool) -> tuple[Outcome, str | None]:
    if not move:
        return Outcome.LISTED, None
    if letter.move is None and letter.window is None:
        return Outcome.KEPT, "it does not say where it belongs"
    if dry_run or letter.move is None:
        return Outcome.WOULD_MOVE, None
    try:
        letter.move()
    except Malformed as error:
        return Outcome.KEPT, str(error)
    return Outcome.MOVED, None


def _receive(place: Installed, url: str, wait_seconds: int) -> Iterator[Any]:
    seen: set[str] = set()
    while True:
        answer = place.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=_HIDDEN_SECONDS,
            WaitTimeSeconds=wait_seconds,
            MessageSystemAttributeNames=["SentTimestamp"],
        )
        fresh = [one for one in answer.get("Messages", []) if one["MessageId"] not in seen]
        if not fresh:
            return
        for message in fresh:
            seen.add(message["MessageId"])
            yield message


def _summary(queue: str, counts: QueueCounts) -> str:
    return f"{queue}: {counts.found:,} found, {counts.moved:,} moved"
