"""tests/aws.py creates the template's resources, not copies that drift from it."""

import json

import boto3
from moto import mock_aws

from posthorn.domain.email_choices import EmailBackend
from posthorn.settings import ApiSettings, DeliverySettings, FeedbackSettings
from tests.aws import ACCOUNT, REGION, create_key, create_queues, create_tables, create_topics, environment
from tests.template import QUEUE, TABLE, TOPIC, Template


@mock_aws
def test_tables_are_made_as_the_template_says(stack: Template) -> None:
    """Every table has the template's keys, indexes, stream and TTL."""
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
    """Delays are the parameters' defaults, and every working queue has its dead-letter queue."""
    client = boto3.client("sqs", REGION)
    urls = create_queues(client)
    assert urls.keys() == stack.of_type(QUEUE).keys()
    attributes = {
        name: client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        for name, url in urls.items()
    }
    delays = {name: int(found["DelaySeconds"]) for name, found in attributes.items()}
    delays_of_retries = {name: delay for name, delay in delays.items() if delay}
    assert delays_of_retries == {"Retry1MinQueue": 60, "Retry5MinQueue": 300, "Retry15MinQueue": 900}
    work = ("DeliverQueue", *delays_of_retries)
    dead_letters = dict.fromkeys(work, "DeliverDeadLetterQueue") | {
        "FeedbackQueue": "FeedbackDeadLetterQueue"
    }
    for name, dead_letter in dead_letters.items():
        redrive = json.loads(attributes[name]["RedrivePolicy"])
        assert redrive["deadLetterTargetArn"] == attributes[dead_letter]["QueueArn"]
        assert attributes[name]["VisibilityTimeout"] == ("200" if name in delays_of_retries else "180")


@mock_aws
def test_topics_lead_where_the_template_says(stack: Template) -> None:
    """A message published to the topic arrives in its queue, word for word."""
    sqs, sns = boto3.client("sqs", REGION), boto3.client("sns", REGION)
    urls = create_queues(sqs)
    arns = create_topics(sns)
    assert arns.keys() == stack.of_type(TOPIC).keys()
    sns.publish(TopicArn=arns["FeedbackTopic"], Message='{"eventType": "Send"}')
    (message,) = sqs.receive_message(QueueUrl=urls["FeedbackQueue"])["Messages"]
    assert message["Body"] == '{"eventType": "Send"}'


@mock_aws
def test_an_environment_makes_settings() -> None:
    """Settings can be read from the environments of tests/aws.py, and a parameter can be set."""
    physical = create_tables(boto3.client("dynamodb", REGION)) | create_queues(boto3.client("sqs", REGION))
    physical |= create_topics(boto3.client("sns", REGION))
    physical["SecretsKey.Arn"] = key = create_key(boto3.client("kms", REGION))
    assert key.startswith(f"arn:aws:kms:{REGION}:{ACCOUNT}:key/")
    api = ApiSettings.read(environment("ApiFunction", physical))
    assert (api.secrets_key, api.email_backend) == (key, EmailBackend.SES)
    assert api.feedback_topic == physical["FeedbackTopic"]
    feedback = FeedbackSettings.read(environment("FeedbackFunction", physical))
    assert feedback.dead_letter_queue_url == physical["FeedbackDeadLetterQueue"]
    local = physical | {"Stage": "local", "AllowPrivateTargets": "true", "SecondRetryDelay": "3"}
    settings = DeliverySettings.read(environment("DeliverFunction", local))
    assert settings.store.allow_private_targets
    assert settings.retry_delays == (60, 3, 900)
    assert settings.dead_letter_queue_url == physical["DeliverDeadLetterQueue"]
    assert ApiSettings.read(environment("ApiFunction", local)).email_backend is EmailBackend.SIMULATOR
