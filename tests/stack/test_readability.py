"""Readers and operators find reasons in the text and names in the outputs."""

import re
from itertools import pairwise

from tests.stack.breakages import broken_by
from tests.template import PSEUDO_PARAMETERS, QUEUE, TABLE, TOPIC, Template

NAME = {"AWS::ApiGatewayV2::Api": "Name"}  # every other type calls it `<Type>Name`
# names that are required, but may occur twice in an account
NAMED = {"Api": {"Ref": "AWS::StackName"}, "ApiStage": "$default"}


def lines_of(stack: Template, section: str) -> list[str]:
    """Return the lines of one top-level section of the template."""
    lines = stack.text.splitlines()
    start = lines.index(f"{section}:") + 1
    end = next((n for n in range(start, len(lines)) if re.match(r"\w", lines[n])), len(lines))
    return lines[start:end]


@broken_by(
    ("  # As DispatchLogGroup.\n", "\n"),
)
def test_every_resource_says_why_it_is_there(stack: Template) -> None:
    """The line above each resource is a comment that is a sentence."""
    lines = lines_of(stack, "Resources")
    starts = {line.strip(" :"): n for n, line in enumerate(lines) if re.fullmatch(r"  \w+:", line)}
    assert starts.keys() == stack.resources.keys()
    for name, n in starts.items():
        assert re.fullmatch(r"  # [A-Z].{10,}\.", lines[n - 1]), name


@broken_by(
    ("Timeout: 29 #", "Timeout: 29\n      #"),
    ("{MaximumConcurrency: 100} #", "{MaximumConcurrency: 100}\n            #"),
)
def test_every_number_has_its_reason(stack: Template) -> None:
    """A number in a resource has a comment behind it or on the line above."""
    lines = lines_of(stack, "Resources")
    bare = [
        line.strip()
        for before, line in pairwise(lines)
        if re.search(r":\s+\d+\s*[,}]*\s*$", line) and not before.strip().startswith("#")
    ]
    assert bare == []


@broken_by(
    (
        "      BillingMode: PAY_PER_REQUEST\n",
        "      BillingMode: PAY_PER_REQUEST\n      TableName: posthorn\n",
    ),
    ("Name: !Ref AWS::StackName", "Name: posthorn"),
)
def test_nothing_has_a_name_of_its_own(stack: Template) -> None:
    """CloudFormation generates names, so two stages fit into an account and resources can be replaced."""
    for name, resource in stack.resources.items():
        kind = resource["Type"]
        own = resource["Properties"].get(NAME.get(kind, kind.rpartition("::")[2] + "Name"))
        assert own == NAMED.get(name), name


@broken_by(
    ("arn:${AWS::Partition}:iam", "arn:aws:iam"),
    ("${AWS::AccountId}", "123456789012"),
    ("execute-api.${AWS::Region}", "execute-api.eu-west-1"),
    ("${AWS::URLSuffix}", "amazonaws.com"),
)
def test_no_account_no_region_and_no_partition_is_written_out(stack: Template) -> None:
    """The template works in every account and region, including the partitions of China and GovCloud."""
    text = "\n".join(line.partition(" # ")[0] for line in stack.text.splitlines())
    assert not re.search(r"arn:aws", text)
    assert not re.search(r"\b\d{12}\b", text)
    assert not re.search(r"\b(us|eu|ap|sa|ca|me|af|il)-[a-z]+-\d\b", text)
    assert PSEUDO_PARAMETERS["AWS::URLSuffix"] not in re.sub(
        r"(apigateway|lambda|ses|sns|dynamodb\.\$\{AWS::Region\})\.amazonaws\.com", "", text
    )


@broken_by(
    ("Value: !GetAtt Retry5MinQueue.QueueName", "Value: !Ref Retry5MinQueue"),
    ("Value: !Ref FeedbackTopic", "Value: !GetAtt FeedbackTopic.TopicName"),
)
def test_outputs_name_everything_an_operator_needs(stack: Template) -> None:
    """The API's URL, every table, queue and topic and the key are outputs."""
    values = {name: output["Value"] for name, output in stack.data["Outputs"].items()}
    expected = {
        "ApiUrl": {"Fn::Sub": "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}"},
        "SecretsKeyArn": {"Fn::GetAtt": ["SecretsKey", "Arn"]},
        "RetentionDays": {"Ref": "RetentionDays"},
        "SweepFunctionName": {"Ref": "SweepFunction"},
    }
    expected |= {f"{name}Name": {"Ref": name} for name in stack.of_type(TABLE)}
    expected |= {f"{name}Name": {"Fn::GetAtt": [name, "QueueName"]} for name in stack.of_type(QUEUE)}
    expected |= {f"{name}Arn": {"Ref": name} for name in stack.of_type(TOPIC)}
    assert values == expected
    for name, output in stack.data["Outputs"].items():
        assert re.fullmatch(r"[A-Z].{10,}\.", output["Description"]), name
