"""Makes attempts: sign, send, decide. Callers record the results."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from posthorn import telemetry
from posthorn.aws.clients import at_once
from posthorn.domain.endpoint_kind import PayloadFormat
from posthorn.domain.errors import RefusedTarget, Unavailable
from posthorn.domain.models import Attempt, Delivery, DeliveryKey, Failure, Outcome, Timings
from posthorn.domain.retry_policy import Transition, after_attempt
from posthorn.transport.http import Post
from posthorn.transport.targets import Policy, Target, parse_target
from posthorn.wire.envelope import Envelope
from posthorn.wire.formats import body_of, default_of, headers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from posthorn.aws.secrets import Unsealer
    from posthorn.domain.models import Endpoint, Event
    from posthorn.settings import DeliverySettings

type Secrets = Mapping[str, tuple[bytes, ...]]
"""Signing secrets by endpoint id, newest first."""

_NOTHING_SENT = Timings(dns=0, connect=0, tls=0, first_byte=0, total=0)


class Network(Protocol):
    """Sends POST requests: the HTTP client, or in tests a table of receivers."""

    def send[K](self, posts: Iterable[tuple[K, Post]], *, deadline: float) -> Iterator[tuple[K, Outcome]]:
        """Send every POST, yielding each outcome as it comes; `deadline` is in seconds and applies to each."""


@dataclass(frozen=True, slots=True)
class PlannedAttempt:
    """An attempt to make: everything it needs but the time."""

    event: Event
    endpoint: Endpoint
    attempt: int
    generation: int
    key: DeliveryKey = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", DeliveryKey(endpoint_id=self.endpoint.id, event_id=self.event.id))


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """An attempt that was made, and the transition it leads to."""

    planned: PlannedAttempt
    attempt: Attempt
    transition: Transition
    next_attempt_at: int | None
    host: str | None  # None when the endpoint's URL was refused

    def delivery(self, before: Delivery | None = None) -> Delivery:
        """Return the delivery after this attempt; `before` is its row, None for a first attempt without one."""
        planned, transition = self.planned, self.transition
        return Delivery(
            key=planned.key,
            channel=planned.endpoint.channel,
            event_type=planned.event.type,
            status=transition.status,
            attempt=planned.attempt,
            generation=planned.generation,
            reason=transition.reason,
            next_attempt_at=self.next_attempt_at,
            attempts=(self.attempt,) if before is None else (*before.attempts, self.attempt),
            is_test=planned.event.is_test,
            replay=None if before is None else before.replay,
        )


@dataclass(frozen=True, slots=True)
class _AttemptUnderway:
    """An attempt that is being made."""

    planned: PlannedAttempt
    target: Target | None
    at: int
    signed_by: tuple[int, ...]


def policy_of(settings: DeliverySettings) -> Policy:
    """Return the policy that limits which addresses deliveries may reach."""
    return Policy(allow_private=settings.store.allow_private_targets, own_hosts=settings.api_hosts)


class Sender:
    """Makes many attempts at once; no attempt waits for another."""

    def __init__(
        self, network: Network, unsealer: Unsealer, settings: DeliverySettings, *, clock: Callable[[], int]
    ) -> None:
        self._network = network
        self._unsealer = unsealer
        self._settings = settings
        self._clock = clock  # Unix milliseconds
        self._policy = policy_of(settings)

    def unseal(self, endpoints: Iterable[Endpoint]) -> Secrets:
        """Return the signing secrets by endpoint id, without the endpoints whose secrets KMS did not decrypt."""
        now = self._clock()
        secrets: dict[str, tuple[bytes, ...]] = {}
        unknown: dict[str, Callable[[], tuple[bytes, ...]]] = {}
        errors: dict[str, Unavailable] = {}
        for endpoint in {endpoint.id: endpoint for endpoint in endpoints}.values():
            if (known := self._unsealer.remembered(endpoint, now_ms=now)) is not None:
                secrets[endpoint.id] = known
            else:
                unknown[endpoint.id] = partial(self._unsealer.secrets_of, endpoint, now_ms=now)
        for endpoint_id, answer in at_once(unknown).items():
            try:
                secrets[endpoint_id] = answer.result()
            except Unavailable as error:
                errors[str(error)] = error
        for failure in errors.values():  # one line for each kind of error, not for each endpoint
            telemetry.call_failed(failure)
        return secrets

    def send(self, attempts: Iterable[PlannedAttempt], secrets: Secrets) -> Iterator[AttemptResult]:
        """Make the attempts, yielding each as it completes. `attempts` is consumed as connections become free."""
        refused: list[tuple[PlannedAttempt, RefusedTarget]] = []
        for start, outcome in self._network.send(
            self._posts(attempts, secrets, refused), deadline=self._settings.attempt_deadline
        ):
            yield self._result(start, outcome)
        for planned, refusal in refused:
            outcome = Outcome(_NOTHING_SENT, failure=Failure.BLOCKED_ADDRESS, error=refusal.detail)
            yield self._result(_AttemptUnderway(planned, None, self._clock(), ()), outcome)

    def _posts(
        self,
        attempts: Iterable[PlannedAttempt],
        secrets: Secrets,
        refused: list[tuple[PlannedAttempt, RefusedTarget]],
    ) -> Iterator[tuple[_AttemptUnderway, Post]]:
        event_id, bodies = "", dict[PayloadFormat, bytes]()
        for planned in attempts:
            try:
                target = parse_target(planned.endpoint.url, self._policy)
            except RefusedTarget as refusal:
                refused.append((planned, refusal))
                continue
            if planned.event.id != event_id:
                event_id, bodies = planned.event.id, {}
            kind, payload_format = planned.endpoint.kind, planned.endpoint.format
            if payload_format not in bodies:  # one body for all endpoints that share an event and a format
                bodies[payload_format] = body_of(payload_format, planned.event)
            body, now = bodies[payload_format], self._clock()
            signed_by = planned.endpoint.signing_versions(now)
            envelope = Envelope(
                event=planned.event,
                body=body,
                secrets=secrets[planned.endpoint.id][
                    : len(signed_by)
                ],  # one may have expired since it was decrypted
                sent_at=now,
                endpoint_id=planned.endpoint.id,
                generation=planned.generation,
                attempt=planned.attempt,
            )
            headers = headers_of(kind, payload_format, envelope, self._settings.brand)
            yield _AttemptUnderway(planned, target, now, signed_by), Post(target, headers, body)

    def _result(self, start: _AttemptUnderway, outcome: Outcome) -> AttemptResult:
        now, planned = self._clock(), start.planned
        payload_format = planned.endpoint.format
        attempt = Attempt(
            number=planned.attempt,
            started_at=start.at,
            outcome=outcome,
            generation=planned.generation,
            signed_by=start.signed_by,
            # left out of nearly every row: the default never changes
            format=None if payload_format is default_of(planned.endpoint.kind) else payload_format,
        )
        transition = after_attempt(
            outcome,
            attempt=planned.attempt,
            delays=self._settings.retry_delays,
            retry_rate_limited=planned.endpoint.retry_rate_limited,
            now_ms=now,
        )
        return AttemptResult(
            planned,
            attempt,
            transition,
            next_attempt_at=None if transition.delay is None else now + transition.delay * 1000,
            host=start.target.host if start.target else None,
        )
