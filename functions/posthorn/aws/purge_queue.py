"""The queue where the next steps of purges wait."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from posthorn.aws.clients import call
from posthorn.aws.messages import MESSAGE_VERSION, id_in, number_in, read_fields
from posthorn.domain.errors import Malformed
from posthorn.domain.ids import WORKSPACE, is_id
from posthorn.domain.purge_job import PurgeStep

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


def write_purge_step(step: PurgeStep) -> str:
    return json.dumps(
        {"v": MESSAGE_VERSION, "workspace": step.workspace, "step": step.number}, separators=(",", ":")
    )


def read_purge_step(body: str) -> PurgeStep:
    """Read a message; `Malformed` if it is not one of ours."""
    found = read_fields(body)
    workspace = id_in(found, "workspace")
    if not is_id(workspace, WORKSPACE):
        raise Malformed("workspace is not the id of a workspace")
    return PurgeStep(workspace, number=number_in(found, "step"))


class PurgeQueue:
    """Sends the messages that run a purge step by step."""

    def __init__(self, sqs: SQSClient, url: str) -> None:
        self._sqs = sqs
        self._url = url

    def send(self, step: PurgeStep, *, delay: int = 0) -> None:
        """Send the message of a step, delayed by a number of seconds."""
        call(
            self._sqs.send_message,
            QueueUrl=self._url,
            MessageBody=write_purge_step(step),
            DelaySeconds=delay,
            MessageGroupId=step.workspace,  # the purge of a large workspace does not delay another one
        )
