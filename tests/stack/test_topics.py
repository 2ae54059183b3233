"""The topic of email events: who may publish to it, and where it delivers."""

from tests.stack.breakages import broken_by
from tests.template import QUEUE_POLICY, SUBSCRIPTION, TOPIC, TOPIC_POLICY, Template


@broken_by(
    (
        '                "aws:SourceAccount": !Ref AWS::AccountId\n',
        '                "aws:PrincipalIsAWSService": "true"\n',
    ),
    ("              ArnLike:\n", "              ArnNotLike:\n"),
    ("Principal: {Service: ses.amazonaws.com}", 'Principal: "*"'),
)
def test_only_ses_may_publish_and_only_for_our_sets(stack: Template) -> None:
    """Only this account's SES, and only for our sets, can publish events for customers."""
    assert list(stack.of_type(TOPIC)) == ["FeedbackTopic"]
    (policy,) = stack.of_type(TOPIC_POLICY).values()
    assert policy["Topics"] == [{"Ref": "FeedbackTopic"}]
    sets = (
        "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:configuration-set/posthorn-${Stage}-cs_*"
    )
    assert policy["PolicyDocument"]["Statement"] == [
        {
            "Sid": "EventsOfMails",
            "Effect": "Allow",
            "Principal": {"Service": "ses.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": {"Ref": "FeedbackTopic"},
            "Condition": {
                "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
                "ArnLike": {"aws:SourceArn": {"Fn::Sub": sets}},
            },
        }
    ]


@broken_by(
    ('                "aws:SourceArn": !Ref FeedbackTopic\n', '                "aws:SourceArn": "*"\n'),
    ("Queues: [!Ref FeedbackQueue]", "Queues: [!Ref DeliverQueue]"),
)
def test_only_the_topic_may_send_to_the_queue(stack: Template) -> None:
    """SNS may send to this queue, from this one topic; no other queue has a policy."""
    (policy,) = stack.of_type(QUEUE_POLICY).values()
    assert policy["Queues"] == [{"Ref": "FeedbackQueue"}]
    assert policy["PolicyDocument"]["Statement"] == [
        {
            "Sid": "FromTheTopic",
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": {"Fn::GetAtt": ["FeedbackQueue", "Arn"]},
            "Condition": {"ArnEquals": {"aws:SourceArn": {"Ref": "FeedbackTopic"}}},
        }
    ]


@broken_by(
    ("RawMessageDelivery: true", "RawMessageDelivery: false"),
    ("Endpoint: !GetAtt FeedbackQueue.Arn", "Endpoint: !GetAtt DeliverQueue.Arn"),
)
def test_the_topic_leads_to_the_queue_as_it_is(stack: Template) -> None:
    """With raw delivery, a message is SES's own JSON, and half as long as with an envelope."""
    assert stack.of_type(SUBSCRIPTION) == {
        "FeedbackSubscription": {
            "TopicArn": {"Ref": "FeedbackTopic"},
            "Protocol": "sqs",
            "Endpoint": {"Fn::GetAtt": ["FeedbackQueue", "Arn"]},
            "RawMessageDelivery": True,
        }
    }
