"""template.yaml as data: the contract tests read it, and tests/aws.py creates resources from it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from samtranslator.yaml_helper import yaml_parse

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).resolve().parent.parent

ALARM: Final = "AWS::CloudWatch::Alarm"
API: Final = "AWS::ApiGatewayV2::Api"
FUNCTION: Final = "AWS::Serverless::Function"
KEY: Final = "AWS::KMS::Key"
LAMBDA: Final = "AWS::Lambda::Function"  # only in the translation
LOG_GROUP: Final = "AWS::Logs::LogGroup"
MAPPING: Final = "AWS::Lambda::EventSourceMapping"  # only in the translation
QUEUE: Final = "AWS::SQS::Queue"
QUEUE_POLICY: Final = "AWS::SQS::QueuePolicy"
ROLE: Final = "AWS::IAM::Role"
SUBSCRIPTION: Final = "AWS::SNS::Subscription"
TABLE: Final = "AWS::DynamoDB::Table"
TOPIC: Final = "AWS::SNS::Topic"
TOPIC_POLICY: Final = "AWS::SNS::TopicPolicy"

REGION: Final = "us-east-1"
ACCOUNT: Final = "123456789012"  # moto's
API_ID: Final = "a1b2c3d4e5"
PSEUDO_PARAMETERS: Final = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": "posthorn",
    "AWS::URLSuffix": "amazonaws.com",
}

type Json = dict[str, Any]


@dataclass(frozen=True)
class Template:
    """The template, parsed and translated as CloudFormation would get it."""

    text: str

    @cached_property
    def data(self) -> Json:
        """The template as written: `!Ref x` is `{"Ref": "x"}` and `!GetAtt` is `{"Fn::GetAtt": [...]}`."""
        data: Json = yaml_parse(self.text)
        return data

    @cached_property
    def translated(self) -> Json:
        """The template after SAM's transform, which needs neither network nor credentials."""
        # imported here, so that tests that only need tables do not pay for it
        from samtranslator.translator.transform import transform

        data = yaml_parse(self.text)
        # `sam package` inserts the location of the uploaded code here
        data["Globals"]["Function"]["CodeUri"] = "s3://bucket/code.zip"
        with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": REGION}):
            translated: Json = transform(data, {}, _NoManagedPolicies())
        return translated

    @property
    def parameters(self) -> dict[str, Json]:
        parameters: dict[str, Json] = self.data["Parameters"]
        return parameters

    @property
    def resources(self) -> dict[str, Json]:
        resources: dict[str, Json] = self.data["Resources"]
        return resources

    @property
    def functions(self) -> dict[str, Json]:
        """Return the properties of every function in its plain form; test_snapstart.py covers the other."""
        return {name: one for name, one in self.of_type(FUNCTION).items() if name != "ApiSnapshotFunction"}

    @property
    def defaults(self) -> dict[str, str]:
        """Every parameter at its default, as text, as CloudFormation passes it."""
        return {name: str(parameter["Default"]) for name, parameter in self.parameters.items()}

    def of_type(self, kind: str) -> dict[str, Json]:
        """Return the properties of every resource of one type, by logical id."""
        return _of_type(self.resources, kind)

    def translated_of_type(self, kind: str) -> dict[str, Json]:
        """Return the properties of every resource of one type in the translation, by logical id."""
        return _of_type(self.translated["Resources"], kind)

    def variables(self, function: str) -> Json:
        """Return a function's environment as written, Globals included."""
        everybody: Json = self.data["Globals"]["Function"]["Environment"]["Variables"]
        own: Json = self.resources[function]["Properties"]["Environment"]["Variables"]
        return everybody | own


class _NoManagedPolicies:
    """Replaces SAM's query of IAM for the ARNs of AWS's own policies."""

    def load(self) -> dict[str, str]:
        return {}


@lru_cache(maxsize=1)
def load() -> Template:
    """Read template.yaml once for all tests, none of which may change it."""
    return Template((ROOT / "template.yaml").read_text(encoding="utf-8"))


def resolve(value: Any, known: Mapping[str, str]) -> Any:
    """Evaluate Ref, GetAtt, If, Select, Join and Sub with `known` values.

    The key of a GetAtt is `"Logical.Attribute"`.
    """
    match value:
        case {"Ref": name}:
            return known[name]
        case {"Fn::GetAtt": [name, attribute]}:
            return known[f"{name}.{attribute}"]
        case {"Fn::If": [str() as condition, then, otherwise]}:
            return resolve(then if holds(load().data["Conditions"][condition], known) else otherwise, known)
        case {"Fn::Select": [int() as place, list() as choices]}:
            return resolve(choices[place], known)
        case {"Fn::Join": [str() as separator, list() as parts]}:
            return separator.join(map(str, resolve(parts, known)))
        case {"Fn::Sub": str() as text}:
            return re.sub(r"\$\{([^}]+)\}", lambda hit: known[hit[1]], text)
        case dict():
            return {key: resolve(child, known) for key, child in value.items()}
        case list():
            return [resolve(child, known) for child in value]
        case _:
            return value


def holds(condition: Any, known: Mapping[str, str], named: Mapping[str, Any] | None = None) -> bool:
    """Evaluate a condition of the template; others that it refers to are in `named`."""
    match condition:
        case {"Condition": str() as name}:
            assert named is not None
            return holds(named[name], known, named)
        case {"Fn::Equals": [left, right]}:
            return bool(resolve(left, known) == resolve(right, known))
        case {"Fn::Not": [negated]}:
            return not holds(negated, known, named)
        case {"Fn::And": list() as all_of}:
            return all(holds(one, known, named) for one in all_of)
        case {"Fn::Or": list() as any_of}:
            return any(holds(one, known, named) for one in any_of)
        case _:
            raise AssertionError(f"not a condition: {condition!r}")


def target(value: Any) -> str:
    """Return the target of a Ref or GetAtt: `"Logical"` or `"Logical.Attribute"`."""
    match value:
        case {"Ref": str() as name}:
            return name
        case {"Fn::GetAtt": [str() as name, str() as attribute]}:
            return f"{name}.{attribute}"
        case _:
            raise AssertionError(f"neither Ref nor GetAtt: {value!r}")


def _of_type(resources: dict[str, Json], kind: str) -> dict[str, Json]:
    return {name: found["Properties"] for name, found in resources.items() if found["Type"] == kind}
