"""From a workload to dollars: counted calls and measured times, multiplied by prices.

Assumptions that are neither counted nor measured are constants at the top, each with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from posthorn_cli.cost.answers import HANDSHAKE_BYTES, answer_bytes
from posthorn_cli.cost.counts import Counts, at
from posthorn_cli.cost.prices import PRICES

if TYPE_CHECKING:
    from collections.abc import Mapping

VCPU_MB: Final = 1769  # AWS gives one vCPU at this much memory, and proportionally less below
AWS_CALL_MS: Final = 6.0  # waiting for DynamoDB or SQS, within a region
SHARDS: Final = 4  # of the stream of a new on-demand table
SHARDS_OF_CHANNEL: Final = 8  # partitions that a channel's events are spread over
BATCH: Final = 100  # of the stream's mapping
RETRY_QUEUES: Final = 3
RETRY_BATCH: Final = 10  # of their mappings
RETRY_WINDOW_SECONDS: Final = 2  # during which their batches gather
RETRY_POLLERS: Final = 5  # batches that Lambda gathers from a queue at once, as long as they keep up
CONNECTION_SECONDS: Final = 60  # an idle connection is reused for this long
SECRET_SECONDS: Final = 300  # a decrypted secret is cached for this long
KEY_SECONDS: Final = 30  # an API key and a workspace are cached for this long
ACCESS_LOG_BYTES: Final = 137  # API Gateway's log line for a request
TLS_BYTES: Final = 1300  # bytes sent in a handshake: hello, key, finished, and the packets' frames
COLD_STARTS: Final = 0.001  # share of invocations, under steady load
ROW_OVERHEAD: Final = 100  # bytes that DynamoDB adds to each stored item
QUEUES: Final = 7  # that Lambda polls
POLLS_OF_A_QUEUE: Final = 5 * 3 * 60 * 24 * 30  # five pollers, a long poll of 20 s each, for a month
API_MB: Final = 512  # of ApiFunction
DELIVERY_MB: Final = 256  # of DispatchFunction and DeliverFunction: the parameter DeliveryMemory
MONTH_SECONDS: Final = 60 * 60 * 24 * 30


@dataclass(frozen=True, slots=True)
class Workload:
    """The events that are sent, and how."""

    events: float = 1_000_000  # a month
    payload: int = 2048  # bytes of an event's data
    endpoints: float = 1  # that match an event
    success: float = 0.98  # of first attempts
    retries: float = 2.5  # after a failed first attempt; the last of them succeeds
    receiver_ms: float = 300
    published: int = 1  # events per request
    idempotent: bool = False  # requests carry an Idempotency-Key
    rate: float = 1000  # events a second while events come in
    customers: int = 100  # channels between which the events are spread
    architecture: str = "arm64"
    memory: int = DELIVERY_MB  # MB of the functions that deliver
    lanes: int = 4  # concurrent batches per shard: the parameter DispatchLanes


@dataclass(frozen=True, slots=True)
class Bill:
    """Dollars by term: for all events of the workload, and for a month without events."""

    terms: Mapping[str, float]
    monthly: Mapping[str, float]
    workload: Workload
    batch: float  # events per invocation of DispatchFunction
    retry_batch: float  # retries per invocation of DeliverFunction

    @property
    def deliveries(self) -> float:
        return self.workload.events * self.workload.endpoints

    @property
    def per_million(self) -> float:
        """Return dollars per million deliveries, without the fixed monthly costs."""
        return sum(self.terms.values()) / self.deliveries * 1e6


def bill(workload: Workload, measured: Mapping[str, float]) -> Bill:
    """Count a workload's calls and price them."""
    run = at(workload.payload)
    events, deliveries = workload.events, workload.events * workload.endpoints
    requests = events / workload.published
    failing = deliveries * (1 - workload.success)
    retries = failing * workload.retries

    batch, dispatch_ms = _dispatching(workload, measured)
    invocations = events / batch
    environments = _environments(workload, dispatch_ms, batch)
    retry_batch, retry_ms, retry_environments = _retrying(workload, measured)
    retry_invocations = retries / retry_batch
    publishing = run.pieces["publish 1" if workload.published == 1 else "publish 10"]
    published = publishing * (requests if workload.published == 1 else events / 10)
    if workload.idempotent:
        published += (run.pieces["publish 1, idempotent"] - run.pieces["publish 1"]) * requests
    dispatched = run.dispatch(batch, workload.endpoints) * invocations
    failed = (run.pieces["dispatch 10 x 1, one fails"] - run.pieces["dispatch 10 x 1"]) * failing
    again = run.pieces["retry failure"] * max(0.0, retries - failing) + run.pieces["retry success"] * min(
        failing, retries
    )
    everything: Counts = published + dispatched + failed + again
    each = workload.rate / workload.customers
    first, later = each / environments, _retries_a_second(workload) / workload.customers / retry_environments
    secrets = deliveries * _missed(first, SECRET_SECONDS) + retries * _missed(later, SECRET_SECONDS)
    keys = 2 * requests * _missed(each, KEY_SECONDS)  # the key, and its workspace
    handshakes = deliveries * _missed(first, CONNECTION_SECONDS) + retries * _missed(
        later, CONNECTION_SECONDS
    )
    # the publisher is one client, and keeps a connection as long as we do
    called = requests * _missed(workload.rate / workload.published, CONNECTION_SECONDS)
    messages = everything.sqs

    def gb_seconds(count: float, milliseconds: float, memory: float) -> float:
        price = PRICES[f"lambda_gb_second_{workload.architecture}"]
        return price.of(count * memory / 1024 * milliseconds / 1000)

    def invoked(count: float) -> float:
        return PRICES["lambda_request"].of(count)

    logs = everything.log_bytes + requests * ACCESS_LOG_BYTES
    stored = everything.stored_bytes + ROW_OVERHEAD * (events + deliveries)
    egress = (
        everything.egress_bytes
        + requests * answer_bytes(workload.published)
        + called * HANDSHAKE_BYTES
        + handshakes * TLS_BYTES
    )
    # in the worst case, messages are sent and received one by one; a batch is deleted in one call
    sqs = messages * 2 + messages / retry_batch
    memory = workload.memory
    terms = {
        "API Gateway requests": PRICES["api_request"].of(requests),
        "ApiFunction": invoked(requests) + gb_seconds(requests, _publish_ms(workload, measured), API_MB),
        "DispatchFunction requests": invoked(invocations),
        "DispatchFunction time": gb_seconds(invocations, dispatch_ms, memory),
        "DeliverFunction": invoked(retry_invocations) + gb_seconds(retry_invocations, retry_ms, memory),
        "cold starts": gb_seconds(requests * COLD_STARTS, measured["init_api_cpu_ms"], API_MB)
        + gb_seconds(invocations * COLD_STARTS, measured["init_dispatch_cpu_ms"], memory)
        + gb_seconds(retry_invocations * COLD_STARTS, measured["init_deliver_cpu_ms"], memory),
        "event rows": PRICES["write_unit"].of(published.wru),
        "delivery rows": PRICES["write_unit"].of(dispatched.wru),
        "rows of failures and retries": PRICES["write_unit"].of(failed.wru + again.wru),
        "reads": PRICES["read_unit"].of(everything.rru + keys),
        "messages of retries": PRICES["sqs_request"].of(sqs) + PRICES["sqs_fair_request"].of(sqs),
        "secrets (KMS)": PRICES["kms_request"].of(secrets),
        "logs": PRICES["log_gb"].of(logs) + PRICES["log_gb_month"].of(logs / 2),
        "data transfer out": PRICES["egress_gb"].of(egress),
        "rows stored for 30 days": PRICES["table_gb_month"].of(stored) + PRICES["backup_gb_month"].of(stored),
    }
    monthly = {
        "the key (KMS)": PRICES["kms_key_month"].of(1),
        "polling of idle queues": PRICES["sqs_request"].of(QUEUES * POLLS_OF_A_QUEUE),
    }
    return Bill(terms, monthly, workload, batch, retry_batch)


def snapstart() -> tuple[float, float]:
    """Return the cost of SnapStart for the API: dollars a month for its version, and dollars per restore."""
    gb = API_MB / 1024
    month = PRICES["snapstart_cache_gb_second"].of(gb * MONTH_SECONDS)
    return month, PRICES["snapstart_restore_gb"].of(gb)


def _share(memory: float) -> float:
    """Return the share of a vCPU for a function with that many MB."""
    return min(1.0, memory / VCPU_MB)


def _publish_ms(workload: Workload, measured: Mapping[str, float]) -> float:
    one, ten = measured["publish_1_cpu_ms"], measured["publish_10_cpu_ms"]
    cpu = one + (ten - one) / 9 * (workload.published - 1)
    return cpu / _share(API_MB) + AWS_CALL_MS * (3 if workload.idempotent else 1)


def _dispatching(workload: Workload, measured: Mapping[str, float]) -> tuple[float, float]:
    """Return events per invocation and its milliseconds: during one invocation, the next batch gathers."""
    batch = first = _of_one_request(workload.published)
    milliseconds = 0.0
    for _ in range(50):
        milliseconds = _dispatch_ms(batch, workload, measured)
        gathered = workload.rate / (SHARDS * workload.lanes) * milliseconds / 1000
        batch = min(float(BATCH), max(first, gathered))
    return batch, milliseconds


def _of_one_request(published: int) -> float:
    """Return how many events of a request arrive together: they spread over their channel's shards."""
    return published / (SHARDS_OF_CHANNEL * (1 - (1 - 1 / SHARDS_OF_CHANNEL) ** published))


def _dispatch_ms(batch: float, workload: Workload, measured: Mapping[str, float]) -> float:
    one, hundred = measured["dispatch_1_cpu_ms"], measured["dispatch_100_cpu_ms"]
    deliveries = batch * workload.endpoints
    cpu = one + (hundred - one) / 99 * (deliveries - 1)
    environments = max(1.0, min(SHARDS * workload.lanes, workload.rate))
    missed = _missed(workload.rate / workload.customers / environments, CONNECTION_SECONDS)
    cpu += deliveries * measured["handshake_cpu_ms"] * missed
    # endpoints, rows that exist already, rows that are written
    return cpu / _share(workload.memory) + 3 * AWS_CALL_MS + workload.receiver_ms


def _environments(workload: Workload, dispatch_ms: float, batch: float) -> float:
    """Return the number of busy environments of DispatchFunction."""
    return max(1.0, min(SHARDS * workload.lanes, workload.rate / batch * dispatch_ms / 1000))


def _retries_a_second(workload: Workload) -> float:
    return workload.rate * workload.endpoints * (1 - workload.success) * workload.retries


def _retrying(workload: Workload, measured: Mapping[str, float]) -> tuple[float, float, float]:
    """Return retries per invocation, its milliseconds, and the number of busy environments.

    Messages that arrive in a window are spread over the pollers. The first message of a window and those that
    arrive during an invocation would raise the figure a little; they are not counted.
    """
    rate = _retries_a_second(workload)
    gathered = rate / RETRY_QUEUES / RETRY_POLLERS * RETRY_WINDOW_SECONDS
    batch = min(float(RETRY_BATCH), max(1.0, gathered))
    ten = measured["deliver_10_cpu_ms"]
    one = ten / 10 + measured["dispatch_1_cpu_ms"] / 2  # ten of them share half the fixed cost of a dispatch
    cpu = one + (ten - one) / (RETRY_BATCH - 1) * (batch - 1) + batch * measured["handshake_cpu_ms"]
    # claim, read, update, and the next message: those of a batch overlap, as its receivers do
    milliseconds = cpu / _share(workload.memory) + 4 * AWS_CALL_MS + workload.receiver_ms
    return batch, milliseconds, max(1.0, rate / batch * milliseconds / 1000)


def _missed(each_second: float, seconds: float) -> float:
    """Return the share of cache misses for a value used at this rate and cached for this long.

    It assumes random arrivals and a lifetime that use does not extend.
    """
    return 1 / (1 + each_second * seconds)
