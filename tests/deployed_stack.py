"""The whole template deployed by CloudFormation in moto, for commands that look at a stack from outside.

moto creates no API, no alarms and no code that runs; `answers` says what AWS would answer where moto cannot.
"""

from __future__ import annotations

import io
import json
import os
import warnings
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import boto3
import botocore.session
from botocore.loaders import Loader
from moto import mock_aws
from moto.kms.models import kms_backends

from tests.template import ACCOUNT, REGION, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

STACK: Final = "posthorn"
_CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": REGION,
}
_FORBIDDEN: Final = 403
# where IAM's names are not those of the API
_PREFIXES: Final = {"monitoring": "cloudwatch"}
_ACTIONS: Final = {"Invoke": "InvokeFunction"}
_Session: Final = boto3.Session  # a test puts another in its place
_JSON: Final = SimpleNamespace(
    load=lambda text, **_: json.loads(text), Loader=None, add_multi_constructor=lambda *_: None
)
_LOADER: Final = Loader()  # reads the description of each service once


@dataclass
class DeployedStack:
    """A stack in moto, and what AWS answers where moto does not."""

    answers: dict[str, Callable[[Mapping[str, Any]], Any]]  # by operation; gets the request's parameters
    alarms: dict[str, str]  # physical by logical id
    called: set[str] = field(default_factory=set)  # operations, as IAM calls them
    refused: set[str] = field(default_factory=set)  # operations that the operator may not call

    def client(self, service: str) -> Any:
        return _session().client(service)  # type: ignore[call-overload]  # the service is a variable

    def physical(self, logical: str) -> str:
        listed = self.client("cloudformation").list_stack_resources(StackName=STACK)
        names = {
            one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed["StackResourceSummaries"]
        }
        name: str = names[logical]
        return name

    def session(self, **_: Any) -> boto3.Session:
        """Return the session of a command: its calls are counted, refused, or answered in place of moto."""
        session = _session()
        session.events.register("provide-client-params", self._provided)
        session.events.register("before-call", self._answer)
        session.events.register("after-call.cloudformation.ListStackResources", self._listed)
        return session

    def _provided(self, *, params: Any, model: Any, **_: Any) -> None:
        self._parameters = model.name, params

    def _answer(self, *, model: Any, **_: Any) -> Any:
        prefix, operation = model.service_model.signing_name, model.name
        self.called.add(f"{_PREFIXES.get(prefix, prefix)}:{_ACTIONS.get(operation, operation)}")
        if model.name in self.refused:
            return _http(_FORBIDDEN), {
                "Error": {"Code": "AccessDeniedException", "Message": "not authorized"},
                "ResponseMetadata": {"HTTPStatusCode": _FORBIDDEN},
            }
        if model.name not in self.answers:
            return None
        _, parameters = self._parameters
        return _http(200), self.answers[model.name](parameters)

    def _listed(self, *, parsed: Any, **_: Any) -> None:
        """Leave out what moto does not support, and add the alarms that it does not create."""
        parsed["StackResourceSummaries"] = [
            one for one in parsed.get("StackResourceSummaries", []) if one["LogicalResourceId"]
        ] + [
            {
                "LogicalResourceId": logical,
                "PhysicalResourceId": physical,
                "ResourceType": "AWS::CloudWatch::Alarm",
            }
            for logical, physical in self.alarms.items()
        ]


def _session() -> boto3.Session:
    session: Any = botocore.session.Session()
    session.register_component("data_loader", _LOADER)
    return _Session(botocore_session=session)


@contextmanager
def deployed(**parameters: str) -> Iterator[DeployedStack]:
    """Deploy the template with these parameters; forget it afterwards."""
    template = load()
    with (
        mock.patch.dict(os.environ, _CREDENTIALS),
        # as in tests/moto_account.py
        mock.patch("moto.kms.models.generate_private_key", return_value=None),
        mock_aws(config={"lambda": {"use_docker": False}}),
        warnings.catch_warnings(action="ignore"),  # moto names each resource that it does not support
        # parsing the template as YAML takes longer than everything else
        mock.patch("moto.cloudformation.models.yaml", _JSON),
        mock.patch("moto.cloudformation.responses.yaml", _JSON),
    ):
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("nothing.py", "")
        session = _session()
        session.client("s3").create_bucket(Bucket="bucket")
        session.client("s3").put_object(Bucket="bucket", Key="code.zip", Body=code.getvalue())
        session.client("cloudformation").create_stack(
            StackName=STACK,
            TemplateBody=json.dumps(template.translated),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in {**template.defaults, **parameters}.items()
            ],
        )
        for key in kms_backends[ACCOUNT][REGION].keys.values():
            key.policy = json.dumps(key.policy)  # moto takes the template's as it is, and then expects text
        yield DeployedStack(
            answers={
                "GetAccountSettings": lambda _: {
                    "AccountLimit": {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 1000}
                },
                "GetAccount": lambda _: {
                    "SendingEnabled": True,
                    "EnforcementStatus": "HEALTHY",
                    "ProductionAccessEnabled": True,
                },
                "Invoke": lambda _: {"Payload": io.BytesIO(b"{}")},
            },
            alarms=_alarms() if parameters.get("AlarmTopicArn") else {},
        )


def _alarms() -> dict[str, str]:
    """Create the template's alarms, which moto's CloudFormation does not."""
    names = {name: f"{STACK}-{name}-1A2B3C" for name in load().of_type("AWS::CloudWatch::Alarm")}
    cloudwatch = _session().client("cloudwatch")
    for name in names.values():
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            MetricName="Errors",
            Namespace="AWS/Lambda",
            Period=300,
            Statistic="Sum",
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
        )
    return names


def _http(status: int) -> Any:
    return mock.Mock(status_code=status, headers={})
