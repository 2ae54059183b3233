"""Posthorn's data types. All are immutable: a change makes a new value."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.hosts import host_of

FIRST_GENERATION: Final = 1
"""A delivery's generation until it is replayed; every replay starts a new one."""


class Status(StrEnum):
    """The status of a delivery."""

    QUEUED = "queued"  # the first attempt waits for a worker
    RETRYING = "retrying"  # an attempt failed, and the next one is scheduled
    DELIVERED = "delivered"
    FAILED = "failed"

    @property
    def is_open(self) -> bool:
        """Whether another attempt is still to come."""
        return self in {Status.QUEUED, Status.RETRYING}


class Reason(StrEnum):
    """Why a delivery failed permanently."""

    EXHAUSTED = "exhausted"  # all retries were used up
    REJECTED = "rejected"  # the receiver answered 4xx
    REDIRECTED = "redirected"  # the receiver answered 3xx, which is never followed
    BLOCKED_ADDRESS = "blocked_address"  # the guard refused the URL or an address that its host resolves to
    ENDPOINT_DISABLED = "endpoint_disabled"
    ENDPOINT_DELETED = "endpoint_deleted"
    EVENT_EXPIRED = "event_expired"  # the event's retention ended before it could be sent
    PAYLOAD_EXPUNGED = "payload_expunged"  # the event's payload was removed before it could be sent


class DisabledReason(StrEnum):
    """Why an endpoint is disabled."""

    MANUAL = "manual"  # through the API
    GONE = "gone"  # the receiver answered 410
    FAILING = "failing"  # every attempt failed for days


class Health(StrEnum):
    """How an endpoint has responded lately; an unhealthy one is kept apart, so that it does not delay others."""

    HEALTHY = "healthy"
    SLOW = "slow"
    FAILING = "failing"


class Suppression(StrEnum):
    """Which recipients a configuration set suppresses."""

    NONE = "NONE"
    BOUNCE = "BOUNCE"
    COMPLAINT = "COMPLAINT"
    BOUNCE_AND_COMPLAINT = "BOUNCE_AND_COMPLAINT"


class Failure(StrEnum):
    """Why an attempt got no response."""

    TIMEOUT = "timeout"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    NETWORK = "network"  # the connection broke, or the response was not HTTP
    BLOCKED_ADDRESS = "blocked_address"


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """A signing secret as stored: KMS ciphertext, bound to its endpoint and version."""

    ciphertext: bytes
    version: int


@dataclass(frozen=True, slots=True)
class PreviousSecret:
    """The previous signing secret; it signs together with the current one until `until`."""

    sealed: SealedSecret = field(repr=False)
    until: int  # Unix milliseconds


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL that receives events of a channel."""

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
    url_since: int | None = None  # when the URL last changed, if ever
    health: Health = Health.HEALTHY
    health_since: int | None = None  # None if it has always been healthy
    warned_at: int | None = None  # when its owner was warned that it is failing
    revision: int = 1  # incremented by every change; a change replaces only the revision it read

    @property
    def host(self) -> str:
        return host_of(self.url)

    def signing_secrets(self, now_ms: int) -> tuple[SealedSecret, ...]:
        """Return the secrets that sign at this time: the current one, then the previous one if it is still valid."""
        if self.previous_secret is None or self.previous_secret.until <= now_ms:
            return (self.secret,)
        return self.secret, self.previous_secret.sealed

    def signing_versions(self, now_ms: int) -> tuple[int, ...]:
        """Return the versions of those secrets, in their order."""
        return tuple(sealed.version for sealed in self.signing_secrets(now_ms))


@dataclass(frozen=True, slots=True)
class EventSummary:
    """An event without its data, as in lists."""

    id: str
    type: str
    created_at: str
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """An event on a channel. Never changes."""

    id: str
    channel: str
    workspace: str
    type: str  # in its publisher's spelling
    data: str = field(repr=False)  # JSON, exactly as sent
    created_at: str  # RFC 3339, exactly as sent
    target: str | None = None  # the endpoint that a test event is for; None: all that subscribe
    notice: str | None = None  # JSON for the platform about the change that an operational event reports

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
    """The outcome of one POST: a response (`status`), or why there was none (`failure`).

    A response that broke off within its head has both; then the failure counts. Once the head is complete there is no
    failure, and `error` only notes how the body ended.
    """

    timings: Timings
    status: int | None = None
    failure: Failure | None = None
    error: str | None = None  # one line for the customer, without details of our network
    address: str | None = None  # the address that was dialed
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # only the allow-listed ones
    snippet: str = field(default="", repr=False)  # the first 1 KB of the response body, as text


@dataclass(frozen=True, slots=True)
class Attempt:
    """One POST of a delivery. Each generation counts from 1."""

    number: int
    started_at: int
    outcome: Outcome
    generation: int = FIRST_GENERATION
    signed_by: tuple[int, ...] = ()  # versions of the secrets that signed, newest first
    format: PayloadFormat | None = None  # None: the default of its endpoint's kind


@dataclass(frozen=True, slots=True)
class DeliveryKey:
    """Identifies a delivery: one event to one endpoint."""

    endpoint_id: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """The delivery of one event to one endpoint."""

    key: DeliveryKey
    channel: str
    event_type: str
    status: Status
    attempt: int  # the number of the last attempt, 0 before the first
    generation: int = FIRST_GENERATION
    reason: Reason | None = None
    next_attempt_at: int | None = None  # only while the status is open
    attempts: tuple[Attempt, ...] = ()
    is_test: bool = False
    replay: str | None = None  # id of the replay that started this generation, if it is not the first


class SetState(StrEnum):
    """Whether a configuration set exists both here and at the mail backend."""

    CREATING = "creating"
    READY = "ready"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class ConfigurationSet:
    """A group of emails; the channel of their events."""

    id: str
    workspace: str
    name: str
    suppression: Suppression
    created_at: int
    state: SetState = SetState.READY
