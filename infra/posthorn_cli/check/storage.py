"""Checks that the tables are protected, and that no dead letters wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn_cli.check.deployed import Missing
from posthorn_cli.check.findings import fail, ok, warn
from posthorn_cli.dead_letters import QUEUES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn_cli.check.deployed import Deployed
    from posthorn_cli.check.findings import Finding

TABLES: Final = ("ConfigTable", "EventsTable", "DeliveriesTable")


def check_tables(deployed: Deployed) -> Iterator[Finding]:
    """Look at the state and the deletion protection of each table."""
    for table in TABLES:
        name = deployed.place.output(f"{table}Name")
        try:
            state = deployed.ask("dynamodb", "describe_table", TableName=name)["Table"]
        except Missing:
            yield fail(f"{table} does not exist.", "Restore it from a backup, or deploy a new stack.")
            continue
        if state["TableStatus"] not in {"ACTIVE", "UPDATING"}:
            yield fail(f"{table} is {state['TableStatus']}.", "Read why in the DynamoDB console, tables.")
        if not state.get("DeletionProtectionEnabled") and not deployed.is_local:
            yield warn(
                f"{table} may be deleted by a single call.",
                f"Run: aws dynamodb update-table --table-name {name} --deletion-protection-enabled",
            )
    protected = "active" if deployed.is_local else "active and protected against deletion"
    yield ok(f"{len(TABLES)} tables are {protected}.")


def check_dead_letters(deployed: Deployed) -> Iterator[Finding]:
    """Count the messages of each dead-letter queue."""
    for queue, output in QUEUES.items():
        try:
            url = deployed.ask("sqs", "get_queue_url", QueueName=deployed.place.output(f"{output}Name"))
            state = deployed.ask(
                "sqs",
                "get_queue_attributes",
                QueueUrl=url["QueueUrl"],
                AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
            )
        except Missing:
            yield fail(f"{output} does not exist.", "Deploy the stack again.")
            continue
        if count := sum(map(int, state["Attributes"].values())):
            yield warn(
                f"{count:,} dead letters wait in {output}.",
                f"Read why: posthorn dead-letters --stack {deployed.stack} --queue {queue}",
            )
    yield ok("There are no dead letters.")
