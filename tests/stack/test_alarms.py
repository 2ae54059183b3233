"""Alarms watch metrics that AWS publishes, fire when they should, and say what to do."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from itertools import chain
from typing import Any
from unittest import mock

from posthorn.domain.retry_policy import MAX_DELAY
from posthorn_cli import installed
from posthorn_cli.app import main
from posthorn_cli.dead_letters import QUEUES
from posthorn_cli.errors import CommandError
from tests.stack.breakages import broken_by
from tests.stack.test_sources import dead_letter_queue_of, mappings_of
from tests.template import (
    ALARM,
    API,
    FUNCTION,
    PSEUDO_PARAMETERS,
    QUEUE,
    ROOT,
    TABLE,
    Json,
    Template,
    holds,
    resolve,
    target,
)

README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = "When an alarm fires"

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html:
# a message that was received more often is not counted as the oldest
COUNTED_RECEIVES = 3

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html:
# messages with a group make a standard queue fair; posthorn.aws.queues gives each message its endpoint's group
FAIR = {"DeliverQueue", "Retry1MinQueue", "Retry5MinQueue", "Retry15MinQueue", "ReplayQueue", "PurgeQueue"}

CENTS = 10  # a month for each metric of an alarm: https://aws.amazon.com/cloudwatch/pricing/


@dataclass(frozen=True)
class Series:
    """A metric's namespace, dimension and meaningful statistic, as AWS documents them."""

    dimension: str
    kind: str  # of the resource that the dimension's value comes from
    attribute: str  # of it, nothing for its Ref
    statistic: str


# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
KNOWN = {
    ("AWS/ApiGateway", "5xx"): Series("ApiId", API, "", "Sum"),
    ("AWS/DynamoDB", "ConsumedWriteCapacityUnits"): Series("TableName", TABLE, "", "Sum"),
    ("AWS/Lambda", "Errors"): Series("FunctionName", FUNCTION, "", "Sum"),
    ("AWS/Lambda", "Invocations"): Series("FunctionName", FUNCTION, "", "Sum"),
    ("AWS/Lambda", "IteratorAge"): Series("FunctionName", FUNCTION, "", "Maximum"),
    ("AWS/Lambda", "Throttles"): Series("FunctionName", FUNCTION, "", "Sum"),
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): Series("QueueName", QUEUE, "QueueName", "Maximum"),
    ("AWS/SQS", "ApproximateAgeOfOldestMessageInQuietGroups"): Series(
        "QueueName", QUEUE, "QueueName", "Maximum"
    ),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): Series("QueueName", QUEUE, "QueueName", "Maximum"),
}


def alarms_of(stack: Template) -> dict[str, Json]:
    """Return the properties of every alarm, of which there must be some."""
    alarms = stack.of_type(ALARM)
    assert alarms
    return alarms


def metrics_of(alarm: Json) -> list[Json]:
    """Return each metric of an alarm in one form, for single metrics and expressions alike."""
    if "Metrics" not in alarm:
        return [alarm]
    stats = [one["MetricStat"] for one in alarm["Metrics"] if "MetricStat" in one]
    return [{**one["Metric"], "Statistic": one["Stat"], "Period": one["Period"]} for one in stats]


def watching(stack: Template, metric: str) -> dict[str, Json]:
    """Return the alarms on only this metric, by the resource they watch."""
    found = {}
    for alarm in alarms_of(stack).values():
        if alarm.get("MetricName") == metric:
            (dimension,) = alarm["Dimensions"]
            watched = target(dimension["Value"]).partition(".")[0]
            assert watched not in found, watched
            found[watched] = alarm
    return found


@broken_by(
    (
        "Dimensions: [{Name: ApiId, Value: !Ref Api}]",
        "Dimensions: [{Name: ApiName, Value: !Ref Api}]",
    ),
    ("MetricName: 5xx", "MetricName: 5XXError"),
    ("Value: !GetAtt DeliverQueue.QueueName}]", "Value: !Ref DeliverQueue}]"),
    ("Value: !Ref SweepFunction}]", "Value: !GetAtt SweepFunction.Arn}]"),
    ("Value: !Ref EventsTable}]", "Value: !Ref DeliverQueue}]"),
    ("Namespace: AWS/DynamoDB", "Namespace: AWS/Dynamo"),
    ("        Statistic: Maximum", "        Statistic: SampleCount"),
)
def test_every_alarm_watches_an_existing_metric(stack: Template) -> None:
    """AWS publishes the metric with this namespace, dimension and statistic; the resource exists."""
    for name, alarm in alarms_of(stack).items():
        for metric in metrics_of(alarm):
            known = KNOWN[metric["Namespace"], metric["MetricName"]]
            (dimension,) = metric["Dimensions"]
            resource, _, attribute = target(dimension["Value"]).partition(".")
            found = Series(
                dimension["Name"], stack.resources[resource]["Type"], attribute, metric["Statistic"]
            )
            assert found == known, name
            assert metric["Period"] % 60 == 0, name


@broken_by(
    ("FILL(invoked, 0)", "invoked"),
    ("Id: written", "Id: puts"),
    ("          ReturnData: true", "          ReturnData: false"),
    ("DatapointsToAlarm: 3 # the newest", "DatapointsToAlarm: 1 # the newest"),
    ("            Period: 300 # as above", "            Period: 60 # as above"),
)
def test_an_expression_uses_existing_metrics(stack: Template) -> None:
    """An expression uses every metric beside it, fills missing data, and is the only value compared."""
    calculating = {name: alarm for name, alarm in alarms_of(stack).items() if "Metrics" in alarm}
    assert list(calculating) == ["DispatchStoppedAlarm"]
    for alarm in calculating.values():
        (expression,) = (one for one in alarm["Metrics"] if "Expression" in one)
        ids = {one["Id"] for one in alarm["Metrics"] if "MetricStat" in one}
        assert set(re.findall(r"FILL\((\w+), 0\)", expression["Expression"])) == ids
        assert [one["Id"] for one in alarm["Metrics"] if one["ReturnData"]] == [expression["Id"]]
        assert len({metric["Period"] for metric in metrics_of(alarm)}) == 1
        # the newest period may be incomplete
        assert alarm["DatapointsToAlarm"] > 1


@broken_by(
    ("MetricName: ApproximateNumberOfMessagesVisible", "MetricName: NumberOfMessagesSent"),
    (
        "Dimensions: [{Name: QueueName, Value: !GetAtt DispatchDeadLetterQueue",
        "Dimensions: [{Name: QueueName, Value: !GetAtt DeliverQueue",
    ),
    ("        Threshold: 1 # each has", "        Threshold: 10 # each has"),
    (
        "  # The next step of each bulk replay",
        "  OtherDeadLetterQueue: {Type: AWS::SQS::Queue, Properties: {}}\n  # The next step of each bulk replay",
    ),
)
def test_every_dead_letter_queue_has_an_alarm(stack: Template) -> None:
    """Queues that sources give up into have an alarm from the first message on."""
    mappings = mappings_of(stack).values()
    dead_letters = stack.of_type(QUEUE).keys() - {mapping["source"] for mapping in mappings}
    assert dead_letters == {dead_letter_queue_of(stack, mapping) for mapping in mappings}
    alarms = watching(stack, "ApproximateNumberOfMessagesVisible")
    assert alarms.keys() == dead_letters
    for name, alarm in alarms.items():
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold", name
        assert (alarm["Threshold"], alarm["EvaluationPeriods"]) == (1, 1), name


@broken_by(
    (
        "Dimensions: [{Name: QueueName, Value: !GetAtt ReplayQueue",
        "Dimensions: [{Name: QueueName, Value: !GetAtt ReplayDeadLetterQueue",
    ),
    ("        Threshold: 900", "        Threshold: 500"),
    ("MetricName: ApproximateAgeOfOldestMessageInQuietGroups", "MetricName: ApproximateAgeOfOldestMessage"),
    ("        <<: *QuietGroupsWaitTooLong\n", "        <<: *WaitsTooLong\n"),
    ("        Threshold: 1900", "        Threshold: 900"),
    ("        Threshold: 1900", "        Threshold: 345000"),
)
def test_every_working_queue_has_an_alarm_on_its_oldest_message(stack: Template) -> None:
    """It fires when a message had to wait for its receives, after any delay, and long before it expires."""
    queues = stack.of_type(QUEUE)
    fair = watching(stack, "ApproximateAgeOfOldestMessageInQuietGroups")
    assert fair.keys() == FAIR  # endpoints that fill the queue wait by design; the others must not
    alarms = watching(stack, "ApproximateAgeOfOldestMessage") | fair
    assert alarms.keys() == queues.keys() & {mapping["source"] for mapping in mappings_of(stack).values()}
    for name, alarm in alarms.items():
        queue = queues[name]
        delay = MAX_DELAY if "DelaySeconds" in queue else 0
        receives = COUNTED_RECEIVES * queue["VisibilityTimeout"]
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold", name
        assert delay + receives <= alarm["Threshold"] <= queue["MessageRetentionPeriod"] / 24, name


@broken_by(
    ("Threshold: 300000 #", "Threshold: 300 #"),
    ("Threshold: 300000 #", "Threshold: 21600000 #"),
    ("MetricName: IteratorAge", "MetricName: Duration"),
    ("Period: 300 # a batch", "Period: 60 # a batch"),
    ("After 6 hours records", "After 5 hours records"),
    ("failed for 6 hours", "failed for 5 hours"),
)
def test_the_stream_alarm_fires_before_records_are_lost(stack: Template) -> None:
    """No single slow batch triggers the alarm, and it fires hours before records are lost."""
    (mapping,) = (one for one in mappings_of(stack).values() if one["source"] == "EventsTable")
    ((function, alarm),) = watching(stack, "IteratorAge").items()
    assert function == mapping["function"]
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    seconds = alarm["Threshold"] / 1000
    timeout = stack.functions[function]["Timeout"]
    assert 2 * timeout < seconds < mapping["MaximumRecordAgeInSeconds"] / 4
    # a batch that times out reports its age once in that time
    assert alarm["Period"] > timeout
    texts = [
        alarm["AlarmDescription"],
        watching(stack, "ApproximateNumberOfMessagesVisible")[dead_letter_queue_of(stack, mapping)],
    ]
    for text in texts:
        (hours,) = re.findall(r"(\d+) hours", str(text))
        assert int(hours) * 3600 == mapping["MaximumRecordAgeInSeconds"]


@broken_by(
    ("Value: !Ref EventsTable}]", "Value: !Ref DeliveriesTable}]"),
    (
        "MetricName: Invocations\n              Dimensions: [{Name: FunctionName, Value: !Ref DispatchFunction}]",
        "MetricName: Invocations\n              Dimensions: [{Name: FunctionName, Value: !Ref DeliverFunction}]",
    ),
)
def test_an_accepted_event_that_is_not_dispatched_fires_an_alarm(stack: Template) -> None:
    """The alarm compares writes to the stream's table with the records that are read."""
    (mapping,) = (one for one in mappings_of(stack).values() if one["source"] == "EventsTable")
    watched = {
        metric["MetricName"]: target(metric["Dimensions"][0]["Value"])
        for metric in metrics_of(alarms_of(stack)["DispatchStoppedAlarm"])
    }
    assert watched == {"ConsumedWriteCapacityUnits": mapping["source"], "Invocations": mapping["function"]}


@broken_by(
    ("EvaluationPeriods: 2 #", "EvaluationPeriods: 12 #"),
    ("MetricName: Throttles", "MetricName: Errors"),
)
def test_throttles_fire_an_alarm_before_they_make_dead_letters(stack: Template) -> None:
    """The functions that deliver have an alarm that fires before a message's receives are used up."""
    alarms = watching(stack, "Throttles")
    assert alarms.keys() == {"DispatchFunction", "DeliverFunction"}
    for name, alarm in alarms.items():
        patience = alarm["Period"] * alarm["EvaluationPeriods"]
        for mapping in mappings_of(stack).values():
            if mapping["function"] == name and (queue := stack.of_type(QUEUE).get(mapping["source"])):
                assert patience < queue["RedrivePolicy"]["maxReceiveCount"] * queue["VisibilityTimeout"]


@broken_by(
    ("Schedule: rate(5 minutes)", "Schedule: rate(10 minutes)"),
    ("EvaluationPeriods: 3 #", "EvaluationPeriods: 1 #"),
    ("Value: !Ref SweepFunction}]", "Value: !Ref ReplayFunction}]"),
)
def test_scheduled_functions_have_an_alarm_on_repeated_failures(stack: Template) -> None:
    """Nothing waits for scheduled functions, so each has an alarm with a run in every period."""
    schedules = {
        name: int(match[1]) * 60
        for name, function in stack.functions.items()
        for source in function.get("Events", {}).values()
        if (match := re.fullmatch(r"rate\((\d+) minutes\)", source["Properties"].get("Schedule", "")))
    }
    alarms = watching(stack, "Errors")
    assert alarms.keys() == schedules.keys() == {"SweepFunction"}
    for name, alarm in alarms.items():
        assert alarm["Period"] >= schedules[name]
        assert alarm["EvaluationPeriods"] > 1


@broken_by(
    ("DatapointsToAlarm: 3 # and", "DatapointsToAlarm: 1 # and"),
    ("MetricName: 5xx", "MetricName: 4xx"),
)
def test_the_api_has_an_alarm_on_its_errors(stack: Template) -> None:
    """5xx responses fire the alarm, but not those of a single minute; one request a minute is enough."""
    alarm = watching(stack, "5xx")["Api"]
    assert alarm["Period"] == 60
    assert alarm["EvaluationPeriods"] > alarm["DatapointsToAlarm"] > 1
    assert alarm["Threshold"] == 1


@broken_by(
    ("WithAlarms: !Not [!Equals", "WithAlarms: !Or [!Equals [a, a], !Equals"),
    (
        "  SweepErrorsAlarm:\n    Type: AWS::CloudWatch::Alarm\n    Condition: WithAlarms\n",
        "  SweepErrorsAlarm:\n    Type: AWS::CloudWatch::Alarm\n",
    ),
    ("        OKActions: [!Ref AlarmTopicArn]\n", "        OKActions: []\n"),
    ("    AlarmActions: [!Ref AlarmTopicArn]", "    AlarmActions: [!Ref FeedbackTopic]"),
)
def test_alarms_notify_their_topic_at_both_ends(stack: Template) -> None:
    """Without a topic there is no alarm; with one, each notifies when it begins and when it ends."""
    condition = stack.data["Conditions"]["WithAlarms"]
    assert not holds(condition, stack.defaults)
    assert holds(condition, {**stack.defaults, "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms"})
    made = {name for name, one in stack.resources.items() if one.get("Condition") == "WithAlarms"}
    assert made == alarms_of(stack).keys()
    for name, alarm in alarms_of(stack).items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopicArn"}], name
        assert alarm.get("ActionsEnabled", True) is True, name


@broken_by(
    ("TreatMissingData: notBreaching", "TreatMissingData: breaching"),
)
def test_missing_data_fires_no_alarm(stack: Template) -> None:
    """Most metrics of an idle installation have no data, which fires no alarm."""
    for name, alarm in alarms_of(stack).items():
        assert alarm["TreatMissingData"] == "notBreaching", name


@broken_by(
    ("posthorn dead-letters --stack", "posthorn letters --stack"),
    ("--queue deliver`", "--queue delivery`"),
    ("--stack ${AWS::StackName} --queue replay", "--stack posthorn-${Stage} --queue replay"),
    (
        "`posthorn redispatch --stack ${AWS::StackName} --since",
        "`posthorn redispatch --stack ${AWS::StackName} --from",
    ),
    ('README, "When an alarm fires"', 'README, "Alarms"'),
    ("the log of SweepFunction", "the log of SweeperFunction"),
)
def test_every_alarm_says_what_happened_and_what_to_do(stack: Template) -> None:
    """The description is sentences, with a runnable command or an existing section of the README."""
    headings = set(re.findall(r"^## (.+)$", README, re.MULTILINE))
    for name, alarm in alarms_of(stack).items():
        text = resolve(alarm["AlarmDescription"], PSEUDO_PARAMETERS)
        assert re.fullmatch(r"[A-Z].{40,1000}\.", text), name
        run = re.findall(r"`(posthorn [^`]+)`", text)
        sections = re.findall(r'README, "([^"]+)"', text)
        assert run or sections, name
        assert set(sections) <= headings, name
        assert text.count("posthorn") == len(run) + text.count(
            f"--stack {PSEUDO_PARAMETERS['AWS::StackName']} "
        )
        for command in run:
            assert _stack_of(command) == PSEUDO_PARAMETERS["AWS::StackName"], f"{name}: {command}"
        assert set(re.findall(r"\w+Function", text)) <= stack.functions.keys(), name


@broken_by(
    ("--queue feedback --move", "--queue replay --move"),
)
def test_a_dead_letter_queues_alarm_names_the_command_for_this_queue(stack: Template) -> None:
    """The `--queue` in the description is the watched queue."""
    for queue, alarm in watching(stack, "ApproximateNumberOfMessagesVisible").items():
        text = resolve(alarm["AlarmDescription"], PSEUDO_PARAMETERS)
        named = {QUEUES[name] for name in re.findall(r"--queue (\w+)", text)}
        assert named == {queue}


@broken_by(
    ("  SweepErrorsAlarm:\n", "  SweepFailuresAlarm:\n"),
    (
        "      AlarmDescription: >-\n        The API answered",
        "      Metrics: []\n      AlarmDescription: >-\n        The API answered",
    ),
)
def test_the_readme_has_a_line_for_each_alarm_and_the_price_of_all(stack: Template) -> None:
    """Its table lists every alarm once, and its price is that of the metrics the alarms use."""
    (section,) = re.findall(rf"^## {SECTION}$(.*?)^##", README, re.MULTILINE | re.DOTALL)
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = list(chain.from_iterable(re.findall(r"`(\w+)`", row) for row in rows))
    assert sorted(named) == sorted(alarms_of(stack))
    metrics = sum(len(metrics_of(alarm)) for alarm in alarms_of(stack).values())
    assert f"${metrics * CENTS / 100:.2f} a month" in section
    assert f"{len(named)} CloudWatch alarms" in section


def _stack_of(command: str) -> str | None:
    """Return the stack that a command looks for; None when its command line is wrong."""
    asked: list[str] = []

    def find(stack: str, **_: Any) -> None:
        asked.append(stack)
        raise CommandError("Only asked.")

    with mock.patch.object(installed, "find", find):
        main(shlex.split(command)[1:])
    return asked[0] if asked else None
