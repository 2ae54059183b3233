"""A deployed stack, as its operator can look at it with AWS's read calls."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from posthorn_cli.aws_errors import DENIED, explain
from posthorn_cli.installed import client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthorn_cli.installed import Installed

FUNCTION: Final = "AWS::Lambda::Function"
MAPPING: Final = "AWS::Lambda::EventSourceMapping"
ALARM: Final = "AWS::CloudWatch::Alarm"

# where IAM's names are not those of the API
_PREFIXES: Final = {"sesv2": "ses", "dynamodbstreams": "dynamodb"}
_ACTIONS: Final = {"lambda:Invoke": "lambda:InvokeFunction"}
_MISSING: Final = re.compile("NotFound|NonExistentQueue|QueueDoesNotExist")


class CannotLook(Exception):
    """AWS did not answer a read; the text is a sentence, `advice` says what to do."""

    def __init__(self, text: str, advice: str) -> None:
        super().__init__(text)
        self.advice = advice


class Missing(Exception):
    """A resource of the stack does not exist."""


@dataclass(frozen=True)
class Deployed:
    """A stack with its parameters and resources."""

    place: Installed = field(repr=False)
    api_url: str

    @property
    def parameters(self) -> Mapping[str, str]:
        return self.place.parameters

    @property
    def stack(self) -> str:
        return self.place.stack

    @property
    def is_local(self) -> bool:
        """Whether it is for development: there, nothing is worth an alarm or a protection."""
        return self.parameters.get("Stage") == "local"

    def ask(self, service: str, operation: str, **arguments: Any) -> Any:
        """Make a call to AWS; raise `Missing` or `CannotLook`."""
        from botocore.exceptions import BotoCoreError, ClientError

        connection = self._client(service)
        action = _action(service, connection.meta.method_to_api_mapping[operation])
        try:
            return getattr(connection, operation)(**arguments)
        except ClientError as error:
            response: Any = error.response
            code = str(response.get("Error", {}).get("Code", ""))
            if DENIED.search(code):
                raise CannotLook(f"Needs {action}.", f"Allow {action} for your AWS identity.") from error
            if _MISSING.search(code):
                raise Missing from error
            raise CannotLook(f"{action}: {explain(error)}", "Run the command again.") from error
        except BotoCoreError as error:
            raise CannotLook(f"{action}: {explain(error)}", "Run the command again.") from error

    def of_type(self, kind: str) -> dict[str, str]:
        """Return the physical id of each resource of a type, by the name in the template."""
        return {name: physical for name, (its_kind, physical) in self._resources.items() if its_kind == kind}

    @cached_property
    def mappings(self) -> dict[str, Any]:
        """The event source mappings by the name in the template; None for one that does not exist."""
        return {name: self._mapping(uuid) for name, uuid in self.of_type(MAPPING).items()}

    def _mapping(self, uuid: str) -> Any:
        try:
            return self.ask("lambda", "get_event_source_mapping", UUID=uuid)
        except Missing:
            return None

    @cached_property
    def _resources(self) -> dict[str, tuple[str, str]]:
        found: dict[str, tuple[str, str]] = {}
        token: dict[str, str] = {}
        while True:
            page = self.ask("cloudformation", "list_stack_resources", StackName=self.stack, **token)
            for one in page["StackResourceSummaries"]:
                found[one["LogicalResourceId"]] = one["ResourceType"], one.get("PhysicalResourceId", "")
            if "NextToken" not in page:
                return found
            token = {"NextToken": page["NextToken"]}

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = client(self.place.session, service)
        return self._clients[service]


def _action(service: str, operation: str) -> str:
    """Return the IAM action that allows an operation."""
    name = f"{_PREFIXES.get(service, service)}:{operation}"
    return _ACTIONS.get(name, name)
