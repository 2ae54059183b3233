"""Receivers that change how they answer, and a record of every POST and its origin."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.models import DeliveryKey, Failure, Outcome
from tests.network import INSTANT, Received
from tests.proof.faults import POST

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from posthorn.domain.models import Endpoint
    from posthorn.transport.http import Post
    from tests.proof.faults import Faults


class Mood(StrEnum):
    """How a receiver answers."""

    WELL = "200"
    BROKEN = "500"
    HANGING = "no answer in time"
    REFUSING = "connection refused"
    GONE = "410"
    LIMITED = "429"
    WRONG = "404"
    MOVED = "302"


_STATUS: Final = {mood: int(mood) for mood in Mood if mood.isdigit()}
_FAILURE: Final = {Mood.HANGING: Failure.TIMEOUT, Mood.REFUSING: Failure.CONNECT}


@dataclass(frozen=True)
class Sent:
    """One POST that reached its receiver."""

    key: DeliveryKey
    generation: int
    attempt: int
    endpoint: Endpoint
    event_workspace: str
    received: Received
    succeeded: bool
    process: str  # that made it; it forgets what it knows by its death

    @property
    def what(self) -> tuple[DeliveryKey, int, int]:
        return self.key, self.generation, self.attempt


class Receivers:
    """The network of the proof, in place of posthorn.transport.http.Client."""

    def __init__(self, clock: Callable[[], int], faults: Faults) -> None:
        self.moods: dict[str, Mood] = {}
        self.sent: list[Sent] = []
        self.process = ""  # that sends
        self.at_once = False  # all POSTs of an invocation arrive before the first outcome is known
        self._clock = clock
        self._faults = faults

    def send[K: Hashable](
        self,
        posts: Iterable[tuple[K, Post]],
        *,
        deadline: float,  # noqa: ARG002 - the client's signature; time does not pass here
    ) -> Iterator[tuple[K, Outcome]]:
        arriving = ((key, self._faults.step(POST, lambda: self._receive(key, post))) for key, post in posts)  # noqa: B023 - called at once
        yield from list(arriving) if self.at_once else arriving

    def _receive(self, start: Any, post: Post) -> Outcome:
        mood = self.moods.get(post.target.host, Mood.WELL)
        outcome = Outcome(
            INSTANT, status=_STATUS.get(mood), failure=_FAILURE.get(mood), address="203.0.113.7"
        )
        self.sent.append(
            Sent(
                key=start.planned.key,
                generation=start.planned.generation,
                attempt=start.planned.attempt,
                endpoint=start.planned.endpoint,
                event_workspace=start.planned.event.workspace,
                received=Received(
                    host=post.target.host,
                    at=self._clock(),
                    headers={name.lower(): value for name, value in post.headers},
                    body=post.body,
                ),
                succeeded=mood is Mood.WELL,
                process=self.process,
            )
        )
        return outcome
