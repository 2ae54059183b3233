"""AWS list prices without free tiers, and other services' prices. Dated: check them before quoting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DATE: Final = "2026-11-21"
REGION: Final = "us-east-1"

MILLION: Final = 1e6
GB: Final = 1e9


@dataclass(frozen=True, slots=True)
class Price:
    """A price in dollars for an amount of something."""

    dollars: float
    per: float
    what: str
    source: str

    def of(self, amount: float) -> float:
        return self.dollars * amount / self.per


_AWS: Final = "AWS Price List API"

PRICES: Final = {
    "api_request": Price(1.00, MILLION, "HTTP API request", _AWS),
    "lambda_request": Price(0.20, MILLION, "Lambda request", _AWS),
    "lambda_gb_second_arm64": Price(0.0000133334, 1, "Lambda GB-second, arm64", _AWS),
    "lambda_gb_second_x86_64": Price(0.0000166667, 1, "Lambda GB-second, x86_64", _AWS),
    "write_unit": Price(0.625, MILLION, "DynamoDB on-demand write unit", _AWS),
    "read_unit": Price(0.125, MILLION, "DynamoDB on-demand read unit", _AWS),
    "table_gb_month": Price(0.25, GB, "DynamoDB storage, GB-month", _AWS),
    "backup_gb_month": Price(0.20, GB, "DynamoDB point-in-time recovery, GB-month", _AWS),
    "sqs_request": Price(0.40, MILLION, "SQS request, standard", _AWS),
    "sqs_fair_request": Price(0.10, MILLION, "SQS request of a message with a group, on top", _AWS),
    "kms_request": Price(3.00, MILLION, "KMS request", _AWS),
    "kms_key_month": Price(1.00, 1, "KMS key, month", _AWS),
    "log_gb": Price(0.50, GB, "CloudWatch Logs, ingested GB", _AWS),
    "log_gb_month": Price(0.03, GB, "CloudWatch Logs, stored GB-month", _AWS),
    "egress_gb": Price(0.09, GB, "data transfer out, GB", _AWS),
    "snapstart_cache_gb_second": Price(0.0000015046, 1, "SnapStart cache, GB-second", _AWS),
    "snapstart_restore_gb": Price(0.0001397998, 1, "SnapStart restore, GB", _AWS),
}


@dataclass(frozen=True, slots=True)
class Peer:
    """The price of another service for a million messages a month."""

    name: str
    dollars: float
    basis: str
    source: str


PEERS: Final = (
    Peer(
        "Svix, free plan and overage",
        95.0,
        "50,000 included, then $0.0001 each; retries not counted",
        "svix.com/pricing, transcribed 2026-09-20",
    ),
    Peer(
        "Svix, Professional",
        585.0,
        "$490 a month, then the same overage",
        "svix.com/pricing, transcribed 2026-09-20",
    ),
    Peer(
        "Hookdeck Outpost, managed",
        10.0,
        "from $10 per million events",
        "README of hookdeck/outpost, 2026-08-20",
    ),
    Peer("Convoy Cloud Pro", 99.0, "flat, at most 25 events/s", "getconvoy.io/pricing, 2026-05-22"),
    Peer(
        "EventBridge bus and API destination",
        1.2,
        "5 s at most, no signature of the body, no log of attempts, no API in front",
        _AWS,
    ),
)
