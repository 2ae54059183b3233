"""Checks that somebody hears of a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn_cli.check.deployed import ALARM, Missing
from posthorn_cli.check.findings import fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn_cli.check.deployed import Deployed
    from posthorn_cli.check.findings import Finding

_SILENT: Final = {"", "0"}


def check_alarms(deployed: Deployed) -> Iterator[Finding]:
    """Look for the topic, its subscriptions, and alarms that are on."""
    topic = deployed.parameters.get("AlarmTopicArn")
    if not topic:
        if deployed.is_local:
            yield ok("Stage local needs no alarms.")
        else:
            yield warn("There are no alarms.", "Deploy with AlarmTopicArn, the ARN of an SNS topic.")
        return
    try:
        attributes = deployed.ask("sns", "get_topic_attributes", TopicArn=topic)["Attributes"]
        if attributes.get("SubscriptionsConfirmed", "") in _SILENT:
            yield warn(
                "Nobody has a confirmed subscription to the topic of the alarms.",
                f"Run: aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint ADDRESS",
            )
    except Missing:
        yield fail("The topic of the alarms does not exist.", "Deploy with the ARN of another one.")
    names = deployed.of_type(ALARM)
    if not names:
        yield warn("The stack has no alarms.", "Deploy it again with AlarmTopicArn.")
        return
    answer = deployed.ask("cloudwatch", "describe_alarms", AlarmNames=list(names.values()))
    alarms = {alarm["AlarmName"]: alarm for alarm in answer["MetricAlarms"]}
    for name, physical in names.items():
        if (alarm := alarms.get(physical)) is None:
            yield warn(f"{name} does not exist.", "Deploy the stack again.")
            continue
        if not alarm.get("ActionsEnabled", True):
            yield warn(
                f"{name} notifies nobody: its actions are disabled.",
                f"Run: aws cloudwatch enable-alarm-actions --alarm-names {physical}",
            )
        if alarm.get("StateValue") == "ALARM":
            yield warn(f"{name} is in alarm.", 'What it means is in the README, "When an alarm fires".')
    yield ok(f"{len(names)} alarms notify {topic}.")
