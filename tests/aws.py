"""Tables, queues, topics and the key in moto, created from template.yaml, so that tests use the real schema.

Every function returns logical id -> physical name, and physical names differ from logical ones, so code that
confuses the two fails here as it would on AWS.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.template import (
    ACCOUNT,
    API,
    API_ID,
    KEY,
    PSEUDO_PARAMETERS,
    QUEUE,
    REGION,
    SUBSCRIPTION,
    TABLE,
    TOPIC,
    Json,
    load,
    resolve,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

__all__ = [
    "ACCOUNT",
    "NO_LIMITS",
    "REGION",
    "create_key",
    "create_queues",
    "create_tables",
    "create_topics",
    "environment",
]

NO_LIMITS = {name: "0" for name in load().parameters if name.endswith("Limit")}
"""Parameters with which a workspace has no limits: for tests that make as much of something as they need."""

_TABLE_FIELDS = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")
_QUEUE_ATTRIBUTES = ("DelaySeconds", "VisibilityTimeout", "MessageRetentionPeriod")


def create_tables(client: DynamoDBClient, *, rows_expire: bool = True) -> dict[str, str]:
    """Create every table with its keys, indexes, stream and TTL; return table names by logical id."""
    names: dict[str, str] = {}
    for logical_id, properties in load().of_type(TABLE).items():
        names[logical_id] = name = _physical(logical_id)
        request: dict[str, Any] = {field: properties[field] for field in _TABLE_FIELDS if field in properties}
        if stream := properties.get("StreamSpecification"):
            # CloudFormation enables the stream when its view type is set; the API needs both
            request["StreamSpecification"] = {"StreamEnabled": True, **stream}
        client.create_table(TableName=name, **request)
        if rows_expire and (ttl := properties.get("TimeToLiveSpecification")):
            client.update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)
    return names


def create_queues(client: SQSClient) -> dict[str, str]:
    """Create every queue with its delay, timeout and redrive policy; return queue URLs by logical id."""
    known = load().defaults
    urls: dict[str, str] = {}
    waiting = load().of_type(QUEUE)
    while waiting:
        # dead-letter queues come before the queues that refer to them
        logical_id = next(name for name, queue in waiting.items() if _redrive_target(queue) not in waiting)
        queue = resolve(waiting.pop(logical_id), known | PSEUDO_PARAMETERS)
        attributes: Any = {name: str(queue[name]) for name in _QUEUE_ATTRIBUTES if name in queue}
        if redrive := queue.get("RedrivePolicy"):
            attributes["RedrivePolicy"] = json.dumps(redrive)
        name = _physical(logical_id)
        urls[logical_id] = client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        known[f"{logical_id}.Arn"] = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    return urls


def create_topics(client: SNSClient) -> dict[str, str]:
    """Create every topic and subscribe its existing queue; return topic ARNs by logical id."""
    arns = {
        logical_id: client.create_topic(Name=_physical(logical_id))["TopicArn"]
        for logical_id in load().of_type(TOPIC)
    }
    known = {
        f"{name}.Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{_physical(name)}" for name in load().of_type(QUEUE)
    }
    for subscription in load().of_type(SUBSCRIPTION).values():
        wanted = resolve(subscription, arns | known)
        client.subscribe(
            TopicArn=wanted["TopicArn"],
            Protocol=wanted["Protocol"],
            Endpoint=wanted["Endpoint"],
            Attributes={"RawMessageDelivery": json.dumps(wanted["RawMessageDelivery"])},
        )
    return arns


def create_key(client: KMSClient) -> str:
    """Create the key of the signing secrets; return its ARN."""
    (properties,) = load().of_type(KEY).values()
    description = resolve(properties["Description"], load().defaults)
    return client.create_key(Description=description)["KeyMetadata"]["Arn"]


def environment(function: str, physical: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the template gives a function, every parameter at its default.

    `physical` holds what the functions above returned: table names, queue URLs, topic ARNs, and the key's ARN
    as `"SecretsKey.Arn"`. A parameter named in it too, such as `"Stage"`, overrides its default.
    """
    apis = dict.fromkeys(load().of_type(API), API_ID)  # moto creates none
    known = load().defaults | PSEUDO_PARAMETERS | apis | dict(physical)
    return {name: str(resolve(value, known)) for name, value in load().variables(function).items()}


def _physical(logical_id: str) -> str:
    return f"posthorn-{logical_id}-1A2B3C"


def _redrive_target(queue: Json) -> str | None:
    match queue.get("RedrivePolicy"):
        case {"deadLetterTargetArn": {"Fn::GetAtt": [str() as name, "Arn"]}}:
            return name
        case _:
            return None
