"""Answers about deliveries and their attempts, which both kinds of endpoint share."""

from typing import Literal, NotRequired, TypedDict

from posthorn.api.answers.fields import Count, Ordinal, Time, spelled_by_kind
from posthorn.domain.models import Failure, Reason, Status


@spelled_by_kind
class Attempt(TypedDict):
    """One POST to the receiver, and its outcome."""

    attempt: Ordinal
    """Its number within its generation."""
    generation: Ordinal
    """1 for the first run of attempts; every replay starts the next one."""
    started_at: Time
    """When it started."""
    latency_ms: Count
    """How long it took, in milliseconds."""
    status: NotRequired[int]
    """The HTTP status of the receiver's response; absent without a response."""
    failure: NotRequired[Failure]
    """Why there was no complete response; absent when there was one."""
    error: NotRequired[str | None]
    """The failure in a sentence; absent when there was none."""
    note: NotRequired[str]
    """How the response ended, if not well: its head decided all the same."""


@spelled_by_kind
class Timings(TypedDict):
    """Milliseconds from the start of an attempt to the end of each phase; 0 for a phase that was not reached."""

    dns: Count
    """The name is resolved."""
    connect: Count
    """The connection is open."""
    tls: Count
    """The TLS handshake is complete."""
    first_byte: Count
    """The first byte of the response is here."""
    total: Count
    """The attempt is over."""


@spelled_by_kind
class SentRequest(TypedDict):
    """A request as it was sent, except for its body, which is the same for every attempt."""

    method: Literal["POST"]
    """Always `POST`."""
    url: str | None
    """The URL, or null when the endpoint's URL has changed since."""
    headers: dict[str, str]
    """The headers, signatures included while the secret that made them is known."""
    notes: list[str]
    """What cannot be shown, and why."""


@spelled_by_kind
class ReceiverResponse(TypedDict):
    """What the receiver answered."""

    status: int
    """The HTTP status."""
    headers: dict[str, str]
    """Selected headers."""
    body: str
    """The first kilobyte of the body, as text."""


@spelled_by_kind
class AttemptDetail(Attempt):
    """An attempt with its request and its response."""

    timings: Timings
    """How long each phase took."""
    address: str | None
    """The IP address that was connected to, or null without a connection."""
    request: SentRequest | None
    """The request, or null when the event has expired."""
    response: ReceiverResponse | None
    """The response, or null when there was none."""


@spelled_by_kind
class DeliveryState(TypedDict):
    """The state of one event at one endpoint."""

    status: Status
    """The state of the delivery."""
    attempt_count: Count
    """How many attempts the current generation has had."""
    reason: NotRequired[Reason]
    """Why it failed; only when `status` is `failed`."""
    next_attempt_at: NotRequired[Time]
    """When the next attempt is due; only while one is to come."""


@spelled_by_kind
class UnreadableState(TypedDict):
    """Stands in for a delivery that a newer version of Posthorn wrote and this one cannot read."""

    unreadable: Literal[True]
    """Always true."""


@spelled_by_kind
class Delivery(DeliveryState):
    """One event on its way to one endpoint, with its last attempt."""

    event_id: str
    """The event's id, which identifies the delivery within its endpoint."""
    event: str
    """The event's type."""
    generation: Ordinal
    """1 until the delivery is replayed; every replay starts the next one."""
    is_test: bool
    """Whether the event was sent as a test of this endpoint."""
    created_at: Time
    """When the event was accepted."""
    replay: NotRequired[str]
    """The id of the replay that started this generation; absent in the first one."""
    last_attempt: NotRequired[Attempt]
    """The latest attempt; absent before the first one."""


@spelled_by_kind
class UnreadableDelivery(UnreadableState):
    """Stands in for a delivery that a newer version of Posthorn wrote and this one cannot read."""

    event_id: str
    """The event's id."""
    created_at: Time
    """When the event was accepted."""


@spelled_by_kind
class DeliveryDetail(Delivery):
    """A delivery with every attempt and the request as it was sent."""

    attempts: list[AttemptDetail]
    """Every attempt that is on record, the oldest first."""
    request_body: str | None
    """The body of every request, or null when the event has expired."""
    curl: str | None
    """A shell command that sends the request by hand, or null when the event has expired."""
    notes: list[str]
    """What cannot be shown, and why."""


@spelled_by_kind
class DeliveryList(TypedDict):
    """A page of deliveries."""

    deliveries: list[Delivery | UnreadableDelivery]
    """The deliveries of this page, the newest first. A filter may leave a page short, or empty."""
    next_cursor: NotRequired[str]
    """The `cursor` of the next page; absent on the last one."""


@spelled_by_kind
class DeliveryResult(TypedDict):
    """One delivery."""

    delivery: Delivery
    """The delivery as it is now."""


@spelled_by_kind
class DeliveryDetailResult(TypedDict):
    """One delivery in full."""

    delivery: DeliveryDetail
    """The delivery with every attempt."""
