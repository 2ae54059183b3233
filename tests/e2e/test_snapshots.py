"""SnapStart on the running stack: enabled, deployed again with another parameter, and disabled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infra.local.sam import STACK_NAME
from posthorn_cli.access import create_workspace_key
from tests.e2e.customer import PATIENCE, Customer

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from infra.local.stack import Stack

    type Change = Callable[..., None]

OURS = "hooks.acme.example"
DEFAULTS = {"ApiSnapStart": "false", "ApiDomainNames": ""}


@pytest.fixture
def change(stack: Stack) -> Generator[Change]:
    """Change only these parameters of the deployed stack; restore them afterwards."""
    deployer = stack.client("cloudformation")
    names = [
        one["ParameterKey"]
        for one in deployer.describe_stacks(StackName=STACK_NAME)["Stacks"][0]["Parameters"]
    ]

    now = dict(DEFAULTS)

    def update(**values: str) -> None:
        now.update(values)
        deployer.update_stack(
            StackName=STACK_NAME,
            UsePreviousTemplate=True,
            Parameters=[
                {"ParameterKey": name, "ParameterValue": values[name]}
                if name in values
                else {"ParameterKey": name, "UsePreviousValue": True}
                for name in names
            ],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        deployer.get_waiter("stack_update_complete").wait(
            StackName=STACK_NAME, WaiterConfig={"Delay": 0.2, "MaxAttempts": int(PATIENCE / 0.2)}
        )

    yield update
    if now != DEFAULTS:  # an update without changes is an error
        update(**DEFAULTS)


def test_the_api_is_called_through_the_newest_version_as_long_as_it_is_wanted(
    stack: Stack, change: Change
) -> None:
    """A changed parameter reaches the called version, and nothing that costs remains when it is off."""
    _, key = create_workspace_key(
        stack.client("dynamodb"),
        stack.outputs["ConfigTableName"],
        workspace_name="snapshots",
        scopes=["api_user"],
    )
    customer = Customer(stack.api_url, key)

    change(ApiSnapStart="true")
    assert called(stack).endswith(":live")
    assert not refuses_its_own(customer)
    first = versions(stack)

    change(ApiDomainNames=OURS)
    assert refuses_its_own(customer)
    assert len(first) == len(versions(stack)) == 1
    assert first != versions(stack)

    change(ApiSnapStart="false")
    assert called(stack).endswith(f":function:{stack.physical_id('ApiFunction')}")
    assert refuses_its_own(customer)
    functions = stack.client("lambda").list_functions()["Functions"]
    assert not [one for one in functions if one["SnapStart"]["ApplyOn"] != "None"]


def refuses_its_own(customer: Customer) -> bool:
    """Return whether the API refuses webhooks at its domain name, which it reads from its environment."""
    status, body = customer.call("POST", "/v1/webhooks", {"url": f"https://{OURS}/", "events": ["*"]})
    assert status == 201 or body["code"] == "own_host", body
    return status != 201


def called(stack: Stack) -> str:
    """Return the ARN that the API calls."""
    (integration,) = stack.client("apigatewayv2").get_integrations(ApiId=stack.physical_id("Api"))["Items"]
    arn: str = integration["IntegrationUri"]
    return arn


def versions(stack: Stack) -> list[dict[str, Any]]:
    """Return the published versions, each of which has a snapshot that is charged for."""
    listed = stack.client("lambda").list_versions_by_function(
        FunctionName=stack.physical_id("ApiSnapshotFunction")
    )
    return [one for one in listed["Versions"] if one["Version"] != "$LATEST"]
