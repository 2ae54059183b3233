"""The nouns of Posthorn. All are values: whoever changes one makes a new one."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat

FIRST_GENERATION: Final = 1
"""The generation of a delivery until it is replayed; every replay starts a new one."""


class Status(StrEnum):
    """Where a delivery stands."""

    QUEUED = "queued"  # the first attempt waits for a worker
    RETRYING = "retrying"  # an attempt failed, the next one has a due time
    DELIVERED = "delivered"
    FAILED = "failed"

    @property
    def is_open(self) -> bool:
        """Whether another attempt is still to come by itself."""
        return self in {Status.QUEUED, Status.RETRYING}


class Reason(StrEnum):
    """Why a delivery failed for good."""

    EXHAUSTED = "exhausted"  # every retry of the schedule is used up
    REJECTED = "rejected"  # the receiver answered 4xx
    REDIRECTED = "redirected"  # the receiver answered 3xx, which is never followed
    BLOCKED_ADDRESS = "blocked_address"  # the guard refused the URL or what its name resolves to
    ENDPOINT_DISABLED = "endpoint_disabled"
    ENDPOINT_DELETED = "endpoint_deleted"
    EVENT_EXPIRED = "event_expired"  # the event outlived its retention before it could be sent


class DisabledReason(StrEnum):
    """Why an endpoint receives nothing."""

    MANUAL = "manual"  # switched off through the API
    GONE = "gone"  # the receiver answered 410
    FAILING = "failing"  # nothing but failures for days


class Health(StrEnum):
    """How an endpoint has been doing lately; whoever is not healthy does not hold up the others."""

    HEALTHY = "healthy"
    SLOW = "slow"
    FAILING = "failing"


class Suppression(StrEnum):
    """Whose addresses a configuration set no longer sends to."""

    NONE = "NONE"
    BOUNCE = "BOUNCE"
    COMPLAINT = "COMPLAINT"
    BOUNCE_AND_COMPLAINT = "BOUNCE_AND_COMPLAINT"


class Failure(StrEnum):
    """What kept an attempt from getting an answer."""

    TIMEOUT = "timeout"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    NETWORK = "network"  # the connection broke, or what came over it was not HTTP
    BLOCKED_ADDRESS = "blocked_address"


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """A signing secret as it is stored: KMS ciphertext, and what it is bound to beside its endpoint."""

    ciphertext: bytes
    version: int


@dataclass(frozen=True, slots=True)
class PreviousSecret:
    """The signing secret before the current one; it signs beside it until then."""

    sealed: SealedSecret = field(repr=False)
    until: int  # Unix milliseconds


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL that listens to a channel."""

    id: str
    channel: str
    workspace: str
    kind: EndpointKind
    format: PayloadFormat
    url: str = field(repr=False)  # a URL can be a credential
    events: tuple[str, ...]
    secret: SealedSecret = field(repr=False)
    created_at: int
    enabled: bool = True
    disabled_reason: DisabledReason | None = None
    disabled_at: int | None = None
    description: str | None = None
    retry_rate_limited: bool = False
    name: str | None = None
    previous_secret: PreviousSecret | None = field(default=None, repr=False)
    url_since: int | None = None  # when it got the URL it has, if that is not its first
    health: Health = Health.HEALTHY
    health_since: int | None = None  # None while it has never been anything but healthy
    warned_at: int | None = None  # when its owner was told that it is failing
    revision: int = 1  # one more with every change; a change is written only over the one it was made from

    def signing_secrets(self, now_ms: int) -> tuple[SealedSecret, ...]:
        """Return the secrets to sign with at a moment: the newest, then one that has not expired."""
        if self.previous_secret is None or self.previous_secret.until <= now_ms:
            return (self.secret,)
        return self.secret, self.previous_secret.sealed

    def signing_versions(self, now_ms: int) -> tuple[int, ...]:
        """Return the versions of those secrets, in their order."""
        return tuple(sealed.version for sealed in self.signing_secrets(now_ms))


@dataclass(frozen=True, slots=True)
class EventSummary:
    """An event as lists show it: without its data."""

    id: str
    type: str
    created_at: str
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened on a channel. Never changes."""

    id: str
    channel: str
    workspace: str
    type: str  # in the spelling that its publisher used
    data: str = field(repr=False)  # JSON, exactly as it goes on the wire
    created_at: str  # RFC 3339, exactly as it goes on the wire
    target: str | None = None  # the one endpoint that a test is for; None: for all that listen

    @property
    def is_test(self) -> bool:
        return self.target is not None

    @property
    def summary(self) -> EventSummary:
        return EventSummary(self.id, self.type, self.created_at, self.target)


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds from the start of an attempt to the end of each of its phases."""

    dns: int
    connect: int
    tls: int
    first_byte: int
    total: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one POST: an answer (`status`), or none and why (`failure`).

    An answer that could not be read to its end in time has both; the failure decides.
    """

    timings: Timings
    status: int | None = None
    failure: Failure | None = None
    error: str | None = None  # one line for the customer, nothing about our network
    address: str | None = None  # the address that was dialled
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # the allow-listed ones
    snippet: str = field(default="", repr=False)  # the first 1 KB of the answer, as text


@dataclass(frozen=True, slots=True)
class Attempt:
    """One POST of a delivery. The first of each generation is number 1."""

    number: int
    started_at: int
    outcome: Outcome
    generation: int = FIRST_GENERATION
    signed_by: tuple[int, ...] = ()  # versions of the secrets that signed, the newest first
    format: PayloadFormat | None = None  # None: the default of its endpoint's kind


@dataclass(frozen=True, slots=True)
class DeliveryKey:
    """Which delivery: one event at one endpoint."""

    endpoint_id: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where one event stands at one endpoint."""

    key: DeliveryKey
    channel: str
    event_type: str
    status: Status
    attempt: int  # the number of the last attempt made, 0 before the first
    generation: int = FIRST_GENERATION
    reason: Reason | None = None
    next_attempt_at: int | None = None  # only while the status is open
    attempts: tuple[Attempt, ...] = ()
    is_test: bool = False
    replay: str | None = None  # what started this generation, if it is not the first


class SetState(StrEnum):
    """Whether a configuration set and what it needs at the backend are both there."""

    CREATING = "creating"
    READY = "ready"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class ConfigurationSet:
    """A logical group of mails; the channel of their events."""

    id: str
    workspace: str
    name: str
    suppression: Suppression
    created_at: int
    state: SetState = SetState.READY
