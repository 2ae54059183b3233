"""A backend that sends nothing and publishes what SES would tell about each mail.

Which address causes what stands in `posthorn.email.mailbox`.
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

# SNS's limits for one PublishBatch
MAX_MESSAGES: Final = 10
MAX_BYTES: Final = 256 * 1024


class SimulatorBackend:
    """Publishes to the topic that SES would publish to. `clock` is Unix milliseconds."""

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

    def create_set(self, set_id: str, suppression: Suppression) -> None:
        """Do nothing: a set needs nothing here."""

    def change_set(self, set_id: str, suppression: Suppression) -> None:
        """Do nothing: nobody's address is suppressed by what happens here."""

    def delete_set(self, set_id: str) -> None:
        """Do nothing: a set needed nothing here."""

    def send(self, mail: Mail) -> None:
        """Publish what SES would about a mail, which is nothing at all without a configuration set."""
        if mail.configuration_set is None:
            return
        told = notifications(
            mail, topic_arn=self._topic_arn, now_ms=self._clock(), random_bytes=self._random_bytes
        )
        # ASCII, since SNS and SQS refuse some characters that a subject may hold
        messages = [json.dumps(one, separators=(",", ":")) for one in told]
        if any(len(message) > MAX_BYTES for message in messages):
            raise RejectedMail("SES would not take addresses as long as these.", code="invalid_mail")
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
    """Put ASCII messages together, in order, into as few batches as SNS takes."""
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
