"""What is adjusted after a deploy, since MiniStack is not AWS and this machine is not a region."""

from typing import Any, Final

from infra.local.account import Account

QUEUE_CONCURRENCY: Final = 4
"""Batches of one queue at a time. Each is a Python process here; the template's 100 would take the machine down."""


def route_every_request(account: Account, api_id: str, function_arn: str) -> None:
    """Send every request of an HTTP API to a function.

    MiniStack ignores the OpenAPI body in which SAM describes the routes of an `AWS::Serverless::HttpApi`.
    """
    gateway = account.client("apigatewayv2")
    integration = gateway.create_integration(
        ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=function_arn, PayloadFormatVersion="2.0"
    )
    gateway.create_route(
        ApiId=api_id, RouteKey="$default", Target=f"integrations/{integration['IntegrationId']}"
    )


def limit_queue_concurrency(account: Account) -> None:
    """Lower the concurrency of every queue's event source mapping to what one machine can carry."""
    functions = account.client("lambda")
    mappings: list[dict[str, Any]] = functions.list_event_source_mappings()["EventSourceMappings"]
    for mapping in mappings:
        if "ScalingConfig" in mapping:
            functions.update_event_source_mapping(
                UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": QUEUE_CONCURRENCY}
            )
