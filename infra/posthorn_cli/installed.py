"""An installation as its operator reaches it: the stack's outputs, and the stores and queues behind them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3

from posthorn.aws.queues import Queues
from posthorn.delivery.enqueue import DeliveryEnqueuer
from posthorn.domain.clock import now_ms
from posthorn.stores.deliveries import Deliveries
from posthorn.stores.endpoints import Endpoints
from posthorn.stores.events import Events
from posthorn_cli.errors import CommandError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True)
class Installed:
    """A stack that is deployed."""

    stack: str
    session: Any = field(repr=False)
    outputs: Mapping[str, str]  # where the names of the stack's tables and queues stand
    clock: Callable[[], int] = now_ms

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        client: DynamoDBClient = self.session.client("dynamodb")
        return client

    @cached_property
    def sqs(self) -> SQSClient:
        client: SQSClient = self.session.client("sqs")
        return client

    def output(self, name: str) -> str:
        if name not in self.outputs:
            raise CommandError(f"the stack {self.stack} has no output {name}; is it a Posthorn stack?")
        return self.outputs[name]

    def queue_url(self, queue: str) -> str:
        """Return the URL of a queue by its name in the template."""
        return self.sqs.get_queue_url(QueueName=self.output(f"{queue}Name"))["QueueUrl"]

    @cached_property
    def endpoints(self) -> Endpoints:
        def unreadable(row: str, reason: str) -> None:
            print(f"left out: {row}: {reason}", file=sys.stderr)

        return Endpoints(self.dynamodb, self.output("ConfigTableName"), on_unreadable=unreadable)

    @cached_property
    def deliveries(self) -> Deliveries:
        return Deliveries(
            self.dynamodb, self.output("DeliveriesTableName"), retention_days=self._retention_days
        )

    @cached_property
    def events(self) -> Events:
        return Events(self.dynamodb, self.output("EventsTableName"), retention_days=self._retention_days)

    @cached_property
    def queues(self) -> Queues:
        retries = [self.queue_url(f"Retry{minutes}MinQueue") for minutes in (1, 5, 15)]
        return Queues(self.sqs, self.queue_url("DeliverQueue"), retries)

    @cached_property
    def enqueuer(self) -> DeliveryEnqueuer:
        return DeliveryEnqueuer(self.deliveries, self.queues, clock=self.clock)

    @property
    def _retention_days(self) -> int:
        return int(self.output("RetentionDays"))


def find(options: argparse.Namespace) -> Installed:
    """Return the installation that a command's common options name."""
    session = boto3.Session(profile_name=options.profile, region_name=options.region)
    (stack,) = session.client("cloudformation").describe_stacks(StackName=options.stack)["Stacks"]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}
    return Installed(options.stack, session, outputs)
