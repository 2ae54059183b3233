"""A stand-in for SES that validates every request against botocore's service model, and a mail to send."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError
from botocore.session import Session
from botocore.validate import ParamValidator

from posthorn.email.mail import Mail
from posthorn.email.ses import PREFIX, SesBackend
from posthorn.email.ses_tenants import SesTenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import Shape

REGION: Final = "us-east-1"
ACCOUNT: Final = "123456789012"
ARN: Final = f"arn:aws:ses:{REGION}:{ACCOUNT}"
TOPIC: Final = f"arn:aws:sns:{REGION}:{ACCOUNT}:feedback"
WORKSPACE: Final = "wksp_01H3Z8V6R5N4M3K2J1H0G9F8E8"
SET: Final = "cs_01H3Z8V6R5N4M3K2J1H0G9F8E7"
NAME: Final = f"posthorn-{SET}"
MODEL: Final = Session().get_service_model("sesv2")

MAIL: Final = Mail(
    message_id="550e8400-e29b-41d4-a716-446655440000",
    workspace=WORKSPACE,
    configuration_set=SET,
    sender="Ann <ann@shop.example>",
    to=("bob@mail.example",),
    subject="Grüße",
    html="<p>Grüße</p>",
)


def breaks_of(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """Yield where a value violates constraints of the service model that botocore does not check."""
    rules = shape.metadata
    if "enum" in rules and value not in rules["enum"]:
        yield f"{path}: not one of {rules['enum']}"
    if "pattern" in rules and not re.fullmatch(rules["pattern"], value):
        yield f"{path}: not {rules['pattern']}"
    if "max" in rules and len(value) > rules["max"]:
        yield f"{path}: more than {rules['max']}"
    members: Any = shape
    if shape.type_name == "structure":
        for name, one in value.items():
            yield from breaks_of(members.members[name], one, f"{path}.{name}")
    elif shape.type_name == "list":
        for number, one in enumerate(value):
            yield from breaks_of(members.member, one, f"{path}[{number}]")


def check(operation: str, parameters: dict[str, Any]) -> None:
    """Validate a request against the service model."""
    shape = MODEL.operation_model(operation).input_shape
    assert shape is not None
    report = ParamValidator().validate(parameters, shape)
    assert not report.has_errors(), report.generate_report()
    broken = list(breaks_of(shape, parameters))
    assert broken == [], broken  # raised here, since pytest rewrites asserts in tests only


@dataclass
class Ses:
    """SES behind a real client: every request goes through botocore and its service model.

    moto does not support the event destinations and suppression options of a set or tenants, so this class does. An
    operation in `refuses` fails with that code and changes nothing; one in `silent` takes effect but never
    answers.
    """

    sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    identities: dict[str, str | None] = field(default_factory=dict)  # name -> default set
    tenants: dict[str, set[str]] = field(default_factory=dict)  # name -> ARNs of the associated resources
    sent: list[dict[str, Any]] = field(default_factory=list)
    refuses: dict[str, str] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    over_http: set[str] = field(default_factory=set)  # operations that something else answers
    words: str = "no"

    def __post_init__(self) -> None:
        self.client = boto3.client(
            "sesv2", region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing"
        )
        self.backend = SesBackend(self.client, topic_arn=TOPIC)
        self.with_tenants = SesBackend(self.client, topic_arn=TOPIC, tenants=self.tenants_of())
        self._asked: dict[str, Any] = {}
        self.client.meta.events.register("provide-client-params.sesv2", self._ask)
        answer: Any = self._answer  # which the stubs type as returning nothing
        self.client.meta.events.register("before-call.sesv2", answer)

    def tenants_of(self, *, is_required: bool = False) -> SesTenants:
        return SesTenants(self.client, account=ARN, prefix=PREFIX, is_required=is_required)

    def _ask(self, params: dict[str, Any], **_: Any) -> None:
        self._asked = params

    def _answer(self, model: Any, **_: Any) -> tuple[AWSResponse, dict[str, Any]] | None:
        check(model.name, self._asked)
        if model.name in self.over_http:
            return None
        code = self.refuses.pop(model.name, None) or self._do(model.name, dict(self._asked))
        if model.name in self.silent:
            self.silent.remove(model.name)
            raise ReadTimeoutError(endpoint_url="https://email.us-east-1.amazonaws.com/")
        status = 200
        if code is not None:
            errors = {shape.name: shape.metadata["error"] for shape in MODEL.error_shapes}
            status = errors.get(code, {}).get("httpStatusCode", 500)
        parsed: dict[str, Any] = {"ResponseMetadata": {"HTTPStatusCode": status}}
        if model.name == "GetEmailIdentity" and code is None:
            default = self.identities[self._asked["EmailIdentity"]]
            parsed |= {} if default is None else {"ConfigurationSetName": default}
        if code is not None:
            parsed["Error"] = {"Code": code, "Message": self.words}
        return bodiless(status), parsed

    def _do(self, operation: str, asked: dict[str, Any]) -> str | None:
        """Perform the operation, or return its error code."""
        if operation == "SendEmail":
            return self._send(asked)
        if "Tenant" in operation:
            return self._do_with_tenant(operation, asked)
        if operation == "GetEmailIdentity":
            return None if asked["EmailIdentity"] in self.identities else "NotFoundException"
        return self._do_with_set(operation, asked)

    def _do_with_set(self, operation: str, asked: dict[str, Any]) -> str | None:
        name = asked.pop("ConfigurationSetName")
        if operation == "CreateConfigurationSet":
            if name in self.sets:
                return "AlreadyExistsException"
            self.sets[name] = {"suppressed": asked.pop("SuppressionOptions")["SuppressedReasons"], "to": {}}
        elif name not in self.sets:
            return "NotFoundException"
        elif operation == "DeleteConfigurationSet":
            if f"{ARN}:configuration-set/{name}" in set().union(*self.tenants.values()):
                return "BadRequestException"
            del self.sets[name]
        elif operation == "PutConfigurationSetSuppressionOptions":
            self.sets[name]["suppressed"] = asked.pop("SuppressedReasons")
        elif operation == "CreateConfigurationSetEventDestination":
            destination = asked.pop("EventDestinationName")
            if destination in self.sets[name]["to"]:
                return "AlreadyExistsException"
            self.sets[name]["to"][destination] = asked.pop("EventDestination")
        else:
            raise AssertionError(f"the API's role does not allow this call: {operation}")
        assert asked == {}, "the request has parameters that this stand-in ignores"
        return None

    def _send(self, asked: dict[str, Any]) -> str | None:
        """Accept a mail; one through a tenant must use only what is associated with the tenant."""
        if (tenant := asked.get("TenantName")) is not None:
            if tenant not in self.tenants:
                return "NotFoundException"
            address = asked["FromEmailAddress"].rpartition("<")[2].removesuffix(">")
            domain = address.partition("@")[2]
            names = [address, *(domain.split(".", cut)[cut] for cut in range(domain.count(".") + 1))]
            identity = next((name for name in names if name in self.identities), None)
            if identity is None:
                return "MessageRejected"
            used = {f"{ARN}:identity/{identity}"}
            if name := asked.get("ConfigurationSetName") or self.identities[identity]:
                used.add(f"{ARN}:configuration-set/{name}")
            if not used <= self.tenants[tenant]:
                return "AccessDeniedException"
        self.sent.append(asked)
        return None

    def _do_with_tenant(self, operation: str, asked: dict[str, Any]) -> str | None:
        name, arn = asked["TenantName"], asked.get("ResourceArn", "")
        if operation == "CreateTenant":
            if name in self.tenants:
                return "AlreadyExistsException"
            self.tenants[name] = set()
            return None
        if name not in self.tenants:
            return "NotFoundException"
        if operation == "DeleteTenant":
            del self.tenants[name]
        elif operation == "CreateTenantResourceAssociation":
            kind, _, resource = arn.removeprefix(f"{ARN}:").partition("/")
            if resource not in (self.identities if kind == "identity" else self.sets):
                return "NotFoundException"
            if arn in self.tenants[name]:
                return "AlreadyExistsException"
            self.tenants[name].add(arn)
        elif operation == "DeleteTenantResourceAssociation":
            if arn not in self.tenants[name]:
                return "NotFoundException"
            self.tenants[name].remove(arn)
        else:
            raise AssertionError(f"the API's role does not allow this call: {operation}")
        return None


def bodiless(status: int) -> AWSResponse:
    return AWSResponse("", status, HTTPHeaders(), None)
