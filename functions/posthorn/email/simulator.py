"""A backend that sends nothing and publishes the notifications that SES would publish about each email.

`posthorn.email.mailbox` describes which addresses cause which events.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from posthorn.aws.clients import call
from posthorn.domain.errors import RejectedMail, Unavailable
from posthorn.email.notifications import notifications

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mypy_boto3_sns import SNSClient

    from posthorn.domain.models import Suppression
    from posthorn.email.mail import Mail

# SNS's limits for one PublishBatch call.
MAX_MESSAGES: Final = 10
MAX_BYTES: Final = 256 * 1024


class SimulatorBackend:
    """Publishes to the topic that SES would publish to. `clock` returns Unix milliseconds."""

    def __init__(
        self,
        sns: SNSClient,
        *,
        topic_arn: str,
        clock: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._sns = sns
        self._topic_arn = topic_arn
        self._clock = clock
        self._random_bytes = random_bytes

    def create_set(self, workspace: str, set_id: str, suppression: Suppression) -> None:
        """Do nothing: the simulator has no resources per set."""

    def change_set(self, set_id: str, suppression: Suppression) -> None:
        """Do nothing: the simulator keeps no suppression list."""

    def delete_set(self, workspace: str, set_id: str) -> None:
        """Do nothing: the simulator has no resources to remove."""

    def add_sender(
        self,
        workspace: str,  # noqa: ARG002 - as above, but for the return value
        identity: str,  # noqa: ARG002 - as above
        set_ids: Iterable[str],  # noqa: ARG002 - as above
    ) -> bool:
        """Do nothing: the API refuses other senders before any backend sees them, and nothing needs a tenant."""
        return False

    def remove_sender(self, workspace: str, identity: str, kept: Iterable[str]) -> None:
        """Do nothing: the simulator has no resources to remove."""

    def delete_tenant(self, workspace: str) -> None:
        """Do nothing: the simulator has no tenants."""

    def send(self, mail: Mail) -> None:
        """Publish SES's notifications about an email; without a configuration set there are none."""
        if mail.configuration_set is None:
            return
        told = notifications(
            mail, topic_arn=self._topic_arn, now_ms=self._clock(), random_bytes=self._random_bytes
        )
        # ASCII, because SNS and SQS refuse some characters that a subject may contain.
        messages = [json.dumps(one, separators=(",", ":")) for one in told]
        if any(len(message) > MAX_BYTES for message in messages):
            raise RejectedMail("The addresses must be shorter to be accepted by SES.", code="invalid_mail")
        for batch in batches(messages):
            self._publish(batch)

    def _publish(self, messages: list[str]) -> None:
        answer = call(
            self._sns.publish_batch,
            TopicArn=self._topic_arn,
            PublishBatchRequestEntries=[
                {"Id": str(number), "Message": message} for number, message in enumerate(messages)
            ],
        )
        if failed := answer.get("Failed"):
            raise Unavailable("publish_batch", failed[0]["Code"])


def batches(messages: Iterable[str]) -> Iterator[list[str]]:
    """Group ASCII messages, in order, into as few batches as SNS's limits allow."""
    batch: list[str] = []
    size = 0
    for message in messages:
        if batch and (len(batch) == MAX_MESSAGES or size + len(message) > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += len(message)
    if batch:
        yield batch
