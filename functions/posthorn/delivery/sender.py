"""One attempt after another: sign, send, decide. Where it is recorded is the business of its callers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from posthorn.aws.clients import at_once
from posthorn.domain.errors import RefusedTarget, Unavailable
from posthorn.domain.models import Attempt, Delivery, DeliveryKey, Failure, Outcome, Timings
from posthorn.domain.retry_policy import Step, next_step
from posthorn.transport.addresses import Policy, Target, parse_target
from posthorn.transport.http import Post
from posthorn.wire.envelope import Envelope
from posthorn.wire.formats import body_of, headers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from posthorn.aws.secrets import Unsealer
    from posthorn.domain.models import Endpoint, Event, Wire
    from posthorn.settings import DeliverySettings

type Secrets = Mapping[str, tuple[bytes, ...]]
"""Signing secrets by endpoint id, the newest first."""

_NOTHING_SENT = Timings(dns=0, connect=0, tls=0, first_byte=0, total=0)


class Network(Protocol):
    """Whatever makes POSTs: the HTTP client, or in tests a table of receivers."""

    def send[K](self, posts: Iterable[tuple[K, Post]], *, deadline: float) -> Iterator[tuple[K, Outcome]]:
        """Make all POSTs, yielding each outcome as it comes; `deadline` is in seconds, for each."""


@dataclass(frozen=True, slots=True)
class Job:
    """An attempt to be made: everything it takes but the time."""

    event: Event
    endpoint: Endpoint
    attempt: int
    generation: int
    key: DeliveryKey = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", DeliveryKey(endpoint_id=self.endpoint.id, event_id=self.event.id))


@dataclass(frozen=True, slots=True)
class Made:
    """An attempt that was made, and what it leads to."""

    job: Job
    attempt: Attempt
    delivery: Delivery
    step: Step
    host: str | None  # None when the endpoint's URL was refused


@dataclass(frozen=True, slots=True)
class _Start:
    """An attempt on its way."""

    job: Job
    target: Target | None
    at: int
    signed_by: tuple[int, ...]


def policy_of(settings: DeliverySettings) -> Policy:
    """Say how far a function's deliveries may reach."""
    return Policy(allow_private=settings.store.allow_private_targets, own_hosts=settings.api_hosts)


class Sender:
    """Makes attempts, many at once, waiting for none on account of another."""

    def __init__(
        self, network: Network, unsealer: Unsealer, settings: DeliverySettings, *, clock: Callable[[], int]
    ) -> None:
        self._network = network
        self._unsealer = unsealer
        self._settings = settings
        self._clock = clock  # Unix milliseconds
        self._policy = policy_of(settings)

    def unseal(self, endpoints: Iterable[Endpoint]) -> Secrets:
        """Return the signing secrets of those endpoints whose secrets KMS gives."""
        now = self._clock()
        secrets: dict[str, tuple[bytes, ...]] = {}
        unknown: dict[str, Callable[[], tuple[bytes, ...]]] = {}
        for endpoint in {endpoint.id: endpoint for endpoint in endpoints}.values():
            if (known := self._unsealer.remembered(endpoint, now_ms=now)) is not None:
                secrets[endpoint.id] = known
            else:
                unknown[endpoint.id] = partial(self._unsealer.secrets_of, endpoint, now_ms=now)
        for endpoint_id, answer in at_once(unknown).items():
            try:
                secrets[endpoint_id] = answer.result()
            except Unavailable:
                continue
        return secrets

    def send(self, jobs: Iterable[Job], secrets: Secrets) -> Iterator[Made]:
        """Make the attempts, yielding each as it completes. `jobs` is drawn on as places become free."""
        refused: list[tuple[Job, RefusedTarget]] = []
        for start, outcome in self._network.send(
            self._posts(jobs, secrets, refused), deadline=self._settings.attempt_deadline
        ):
            yield self._made(start, outcome)
        for job, refusal in refused:
            outcome = Outcome(_NOTHING_SENT, failure=Failure.BLOCKED_ADDRESS, error=refusal.detail)
            yield self._made(_Start(job, None, self._clock(), ()), outcome)

    def _posts(
        self, jobs: Iterable[Job], secrets: Secrets, refused: list[tuple[Job, RefusedTarget]]
    ) -> Iterator[tuple[_Start, Post]]:
        last: tuple[tuple[str, Wire], bytes] | None = None
        for job in jobs:
            try:
                target = parse_target(job.endpoint.url, self._policy)
            except RefusedTarget as refusal:
                refused.append((job, refusal))
                continue
            which = (job.event.id, job.endpoint.wire)
            if last is None or last[0] != which:  # one body for all endpoints of an event
                last = (which, body_of(job.endpoint.wire, job.event))
            body, now = last[1], self._clock()
            signed_by = job.endpoint.signing_versions(now)
            envelope = Envelope(
                event=job.event,
                body=body,
                secrets=secrets[job.endpoint.id][
                    : len(signed_by)
                ],  # one may have expired since they were opened
                sent_at=now,
                endpoint_id=job.endpoint.id,
                generation=job.generation,
                attempt=job.attempt,
            )
            headers = headers_of(job.endpoint.wire, envelope, self._settings.brand)
            yield _Start(job, target, now, signed_by), Post(target, headers, body)

    def _made(self, start: _Start, outcome: Outcome) -> Made:
        now, job = self._clock(), start.job
        attempt = Attempt(
            number=job.attempt,
            started_at=start.at,
            outcome=outcome,
            generation=job.generation,
            signed_by=start.signed_by,
        )
        step = next_step(
            outcome,
            attempt=job.attempt,
            delays=self._settings.retry_delays,
            retry_rate_limited=job.endpoint.retry_rate_limited,
            now_ms=now,
        )
        delivery = Delivery(
            key=job.key,
            channel=job.endpoint.channel,
            event_type=job.event.type,
            status=step.status,
            attempt=job.attempt,
            generation=job.generation,
            reason=step.reason,
            next_attempt_at=None if step.delay is None else now + step.delay * 1000,
            attempts=(attempt,),
            is_test=job.event.is_test,
        )
        return Made(job, attempt, delivery, step, start.target.host if start.target else None)
