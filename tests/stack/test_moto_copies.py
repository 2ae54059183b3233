"""tests/aws.py: what other tests work on is what the template says, not a copy that drifts from it."""

import json

import boto3
from moto import mock_aws

from posthorn.settings import ApiSettings, DeliverySettings
from tests.aws import ACCOUNT, REGION, create_key, create_queues, create_tables, environment
from tests.template import QUEUE, TABLE, Template


@mock_aws
def test_tables_are_made_as_the_template_says(stack: Template) -> None:
    """Keys, indexes, stream and TTL of every table are there."""
    client = boto3.client("dynamodb", REGION)
    names = create_tables(client)
    assert names.keys() == stack.of_type(TABLE).keys()
    for logical_id, expected in stack.of_type(TABLE).items():
        table = client.describe_table(TableName=names[logical_id])["Table"]
        assert table["KeySchema"] == expected["KeySchema"]
        assert table["AttributeDefinitions"] == expected["AttributeDefinitions"]
        indexes = table.get("GlobalSecondaryIndexes", [])
        assert [
            {name: index.get(name) for name in ("IndexName", "KeySchema", "Projection")} for index in indexes
        ] == expected.get("GlobalSecondaryIndexes", [])
        view = table.get("StreamSpecification", {}).get("StreamViewType")
        assert view == expected.get("StreamSpecification", {}).get("StreamViewType")
        ttl = client.describe_time_to_live(TableName=names[logical_id])["TimeToLiveDescription"]
        assert ttl.get("AttributeName") == expected["TimeToLiveSpecification"]["AttributeName"]


@mock_aws
def test_queues_are_made_as_the_template_says(stack: Template) -> None:
    """Delays are the parameters' defaults, and every queue of work leads to its dead-letter queue."""
    client = boto3.client("sqs", REGION)
    urls = create_queues(client)
    assert urls.keys() == stack.of_type(QUEUE).keys()
    attributes = {
        name: client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        for name, url in urls.items()
    }
    delays = {name: int(found["DelaySeconds"]) for name, found in attributes.items()}
    assert {name: delay for name, delay in delays.items() if delay} == {
        "Retry1MinQueue": 60,
        "Retry5MinQueue": 300,
        "Retry15MinQueue": 900,
    }
    for name in ("DeliverQueue", *(name for name, delay in delays.items() if delay)):
        redrive = json.loads(attributes[name]["RedrivePolicy"])
        assert redrive["deadLetterTargetArn"] == attributes["DeliverDeadLetterQueue"]["QueueArn"]
        assert attributes[name]["VisibilityTimeout"] == "180"


@mock_aws
def test_an_environment_makes_settings() -> None:
    """Settings can be read from what the three functions return, and a parameter can be set."""
    physical = create_tables(boto3.client("dynamodb", REGION)) | create_queues(boto3.client("sqs", REGION))
    physical["SecretsKey.Arn"] = key = create_key(boto3.client("kms", REGION))
    assert key.startswith(f"arn:aws:kms:{REGION}:{ACCOUNT}:key/")
    assert ApiSettings.read(environment("ApiFunction", physical)).secrets_key == key
    local = physical | {"Stage": "local", "AllowPrivateTargets": "true", "SecondRetryDelay": "3"}
    settings = DeliverySettings.read(environment("DeliverFunction", local))
    assert settings.store.allow_private_targets
    assert settings.retry_delays == (60, 3, 900)
    assert settings.parking_queue_url == physical["DeliverDeadLetterQueue"]
