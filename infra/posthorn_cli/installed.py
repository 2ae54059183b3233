"""An installation as its operator reaches it: the stack's outputs, and the stores and queues behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from posthorn.aws.clients import CALLS_AT_ONCE
from posthorn.aws.notice_messages import NoticeQueue
from posthorn.aws.purge_queue import PurgeQueue
from posthorn.aws.queues import Queues
from posthorn.delivery.enqueue import DeliveryEnqueuer
from posthorn.domain.clock import now_ms
from posthorn.stores.api_keys import ApiKeys
from posthorn.stores.channels import channels_with_endpoints
from posthorn.stores.deliveries import Deliveries
from posthorn.stores.endpoints import Endpoints
from posthorn.stores.event_log import EventLog
from posthorn.stores.events import Events
from posthorn.stores.purges import Purges
from posthorn.stores.workspaces import Workspaces
from posthorn_cli.errors import CommandError
from posthorn_cli.output import note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

    from posthorn.domain.workspace import Workspace


@dataclass(frozen=True)
class Installed:
    """A stack that is deployed."""

    stack: str
    session: Any = field(repr=False)
    outputs: Mapping[str, str]  # where the names of the stack's tables and queues stand
    clock: Callable[[], int] = now_ms
    parameters: Mapping[str, str] = field(default_factory=dict)
    status: str = ""  # of the last deploy, in CloudFormation's words

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        return cast("DynamoDBClient", client(self.session, "dynamodb"))

    @cached_property
    def sqs(self) -> SQSClient:
        return cast("SQSClient", client(self.session, "sqs"))

    def output(self, name: str) -> str:
        if name not in self.outputs:
            raise CommandError(f"The stack {self.stack} is not a Posthorn stack: it has no output {name}.")
        return self.outputs[name]

    def queue_url(self, queue: str) -> str:
        """Return the URL of a queue by its name in the template."""
        return self.sqs.get_queue_url(QueueName=self.output(f"{queue}Name"))["QueueUrl"]

    @cached_property
    def workspaces(self) -> Workspaces:
        return Workspaces(self.dynamodb, self.output("ConfigTableName"))

    def workspace(self, name: str) -> Workspace:
        """Return the workspace with this id or uid."""
        found = self.workspaces.get(name)
        if found is None:
            raise CommandError(f"There is no workspace with the id or uid {name}.")
        return found

    @cached_property
    def purges(self) -> Purges:
        return Purges(self.dynamodb, self.output("ConfigTableName"))

    @cached_property
    def purge_queue(self) -> PurgeQueue:
        return PurgeQueue(self.sqs, self.queue_url("PurgeQueue"))

    @cached_property
    def api_keys(self) -> ApiKeys:
        return ApiKeys(self.dynamodb, self.output("ConfigTableName"))

    def channels(self) -> list[str]:
        """Return the names of all channels that have endpoints."""
        return channels_with_endpoints(self.dynamodb, self.output("ConfigTableName"))

    @cached_property
    def endpoints(self) -> Endpoints:
        return Endpoints(self.dynamodb, self.output("ConfigTableName"), on_unreadable=_skipped)

    @cached_property
    def deliveries(self) -> Deliveries:
        return Deliveries(
            self.dynamodb, self.output("DeliveriesTableName"), retention_days=self._retention_days
        )

    @cached_property
    def events(self) -> Events:
        return Events(self.dynamodb, self.output("EventsTableName"), retention_days=self._retention_days)

    def event_log(self, *, on_unreadable: Callable[[str, str], None]) -> EventLog:
        return EventLog(self.dynamodb, self.output("EventsTableName"), on_unreadable=on_unreadable)

    @cached_property
    def queues(self) -> Queues:
        retries = [self.queue_url(f"Retry{minutes}MinQueue") for minutes in (1, 5, 15)]
        return Queues(self.sqs, self.queue_url("DeliverQueue"), retries)

    @cached_property
    def notice_queue(self) -> NoticeQueue:
        return NoticeQueue(self.sqs, self.queue_url("DeliverQueue"))

    @cached_property
    def enqueuer(self) -> DeliveryEnqueuer:
        return DeliveryEnqueuer(self.deliveries, self.queues, clock=self.clock)

    @property
    def _retention_days(self) -> int:
        return int(self.output("RetentionDays"))


def find(stack: str, *, region: str | None, profile: str | None) -> Installed:
    """Return the installation that a command's common options name."""
    import boto3  # late: it takes a second, and help, completion and `posthorn cost` do without
    from botocore.exceptions import ClientError

    session = boto3.Session(profile_name=profile, region_name=region)
    try:
        answer = client(session, "cloudformation").describe_stacks(StackName=stack)
    except ClientError as error:
        if cast("Any", error.response).get("Error", {}).get("Code") != "ValidationError":
            raise
        raise CommandError(f"There is no stack named {stack} in {session.region_name}.") from error
    (found,) = answer["Stacks"]
    return Installed(
        stack,
        session,
        {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])},
        parameters={one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", [])},
        status=found["StackStatus"],
    )


def client(session: Any, service: str) -> Any:
    """Return a client of an AWS service that does not keep an operator waiting."""
    from botocore.config import Config

    # an operator waits for the answer: seconds until an address that is not there is called so, not minutes
    config = Config(
        connect_timeout=5,
        read_timeout=20,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=CALLS_AT_ONCE,
    )
    return session.client(service, config=config)


def _skipped(row: str, reason: str) -> None:
    note(f"skipped {row}: {reason}")
