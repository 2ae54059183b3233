"""Environment variables: the template sets exactly those that a function's settings read."""

import ast
from collections.abc import Iterator, Mapping

import pytest

import posthorn.settings
from posthorn.domain.email_choices import EmailBackend, SenderIdentities, SesTenants
from posthorn.domain.errors import SettingsError
from posthorn.settings import (
    LOCAL_STAGE,
    ApiSettings,
    BuiltInEventTypes,
    DeliverySettings,
    FeedbackSettings,
    PurgeSettings,
    ReplaySettings,
    SweepSettings,
)
from posthorn.telemetry import log
from tests.modules import modules
from tests.stack.breakages import broken_by
from tests.template import API, API_ID, KEY, PSEUDO_PARAMETERS, QUEUE, TABLE, TOPIC, Template, holds, resolve

SETTINGS: dict[
    str,
    type[ApiSettings | DeliverySettings | FeedbackSettings | PurgeSettings | ReplaySettings | SweepSettings],
] = {
    "ApiFunction": ApiSettings,
    "FeedbackFunction": FeedbackSettings,
    "DispatchFunction": DeliverySettings,
    "DeliverFunction": DeliverySettings,
    "ReplayFunction": ReplaySettings,
    "PurgeFunction": PurgeSettings,
    "SweepFunction": SweepSettings,
}

READ_BY_OTHERS = {
    "RES_OPTIONS": "limits the lookups of the C library's resolver, which getaddrinfo uses",
    "POWERTOOLS_SERVICE_NAME": "Powertools writes it into every log line",
}


class Recorder(Mapping[str, str]):
    """An environment that records which names are read."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("settings must be read by name, not by iteration")

    def __len__(self) -> int:
        raise AssertionError("settings must be read by name, not by iteration")


def variables_of(stack: Template, function: str, **parameters: str) -> dict[str, str]:
    """Return the function's environment, with a made-up name for every resource."""
    known = dict(PSEUDO_PARAMETERS)
    for kind in (TABLE, QUEUE, KEY, TOPIC, API):
        for name in stack.of_type(kind):
            known |= {name: f"physical-{name}", f"{name}.Arn": f"arn-of-{name}"}
    known |= stack.defaults | parameters
    return {name: str(resolve(value, known)) for name, value in stack.variables(function).items()}


def names_read(stack: Template, function: str) -> set[str]:
    """Return every name that the function's settings read, on either side of their one condition."""
    names: set[str] = set()
    for parameters in ({}, {"Stage": LOCAL_STAGE, "AllowPrivateTargets": "true"}):
        recorder = Recorder(variables_of(stack, function, **parameters))
        SETTINGS[function].read(recorder)
        names |= recorder.names
    return names


def reader_of(kind: type) -> str:
    """Return the name of the function that reads a kind of settings once per process: `api_settings`."""
    name = f"{kind.__name__.removesuffix('Settings').lower()}_settings"
    assert callable(getattr(posthorn.settings, name))
    return name


@broken_by(
    ("  DeliverFunction:\n", "  SendFunction:\n"),
)
def test_every_function_has_settings(stack: Template) -> None:
    """Every function of the template is in the table above."""
    assert SETTINGS.keys() == stack.functions.keys()


@broken_by(
    ("posthorn.handlers.api.handler", "posthorn.handlers.deliver.handler"),
)
def test_every_handler_reads_the_settings_of_its_function(stack: Template) -> None:
    """A handler calls the reader of the table's settings, and no other."""
    readers = {kind: reader_of(kind) for kind in SETTINGS.values()}
    for name, function in stack.functions.items():
        handler = modules()[function["Handler"].rpartition(".")[0]]
        names = {node.id for node in ast.walk(handler.tree) if isinstance(node, ast.Name)}
        assert names & set(readers.values()) == {readers[SETTINGS[name]]}, name


@broken_by(
    ("          ATTEMPT_DEADLINE: !Ref AttemptDeadline\n", ""),
    ("            BRAND_ALIAS_HEADER: !Ref BrandAliasHeader\n", ""),
    ("        STAGE: !Ref Stage\n", ""),
    function="DispatchFunction",
)
@pytest.mark.parametrize("function", SETTINGS)
def test_the_template_sets_every_variable_that_is_read(stack: Template, function: str) -> None:
    """The template sets every variable that a function's settings read."""
    missing = names_read(stack, function) - stack.variables(function).keys()
    assert not missing


@broken_by(
    ("        STAGE: !Ref Stage\n", "        STAGE: !Ref Stage\n        COLOUR: !Ref Stage\n"),
    ("        RES_OPTIONS: timeout:1 attempts:2\n", ""),
    function="DispatchFunction",
)
@pytest.mark.parametrize("function", SETTINGS)
def test_every_variable_is_read(stack: Template, function: str) -> None:
    """Every variable is read by the function's settings or, with a written reason, by other code."""
    unread = stack.variables(function).keys() - names_read(stack, function)
    assert unread == READ_BY_OTHERS.keys()


@broken_by(
    ("STAGE: !Ref Stage", "STAGE: prod"),
)
def test_every_value_comes_from_a_parameter_or_a_resource(stack: Template) -> None:
    """No name of an installation is written out, except for values that other people's code reads."""
    for function in stack.functions:
        for name, value in stack.variables(function).items():
            assert isinstance(value, str) == (name in READ_BY_OTHERS), (function, name)


@broken_by(
    ("RES_OPTIONS: timeout:1 attempts:2", f"RES_OPTIONS: {'timeout:1 ' * 200}"),
)
def test_an_environment_has_room_to_spare(stack: Template) -> None:
    """With names of maximum length, an environment stays below Lambda's limit of 4 KB."""
    queue_url = "https://sqs.ap-southeast-1.amazonaws.com/123456789012/" + "q" * 80
    for function in stack.functions:
        size = 0
        for name, value in variables_of(stack, function).items():
            size += len(name) + (len(queue_url) if value.startswith(("physical-", "arn-of-")) else len(value))
        assert size < 4096 * 3 / 4, function


def test_powertools_takes_the_service_name_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service name in log lines comes from the variable above."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "another-name")
    assert log.__wrapped__().service == "another-name"


@broken_by(
    ("- Assert: !Equals [!Ref Stage, local]", "- Assert: !Equals [!Ref Stage, prod]"),
    stage="prod",
    allow="true",
    taken=False,
)
@pytest.mark.parametrize(
    ("stage", "allow", "taken"),
    [
        ("prod", "false", True),
        ("local", "false", True),
        ("local", "true", True),
        ("prod", "true", False),
        ("localhost", "true", False),
    ],
)
def test_the_rule_and_the_settings_agree_on_private_targets(
    stack: Template, stage: str, allow: str, taken: bool
) -> None:
    """CloudFormation refuses the same parameters with which the functions would refuse to start."""
    parameters = stack.defaults | {"Stage": stage, "AllowPrivateTargets": allow}
    assert _rules_hold(stack, parameters) == taken
    for function, settings in SETTINGS.items():
        variables = variables_of(stack, function, **parameters)
        if taken:
            assert settings.read(variables).store.allow_private_targets == (allow == "true")
        else:
            with pytest.raises(SettingsError, match="ALLOW_PRIVATE_TARGETS"):
                settings.read(variables)


@broken_by(
    ("by-stage], !Equals [!Ref Stage, local]", "by-stage], !Equals [!Ref Stage, prod]"),
    ("!If [SimulatedMail, simulator, ses]", "!If [SimulatedMail, ses, simulator]"),
    stage="prod",
    backend="by-stage",
    is_simulated=False,
)
@pytest.mark.parametrize(
    ("stage", "backend", "is_simulated"),
    [
        ("prod", "by-stage", False),
        ("local", "by-stage", True),
        ("localhost", "by-stage", False),
        ("local", "ses", False),
        ("prod", "simulator", True),
    ],
)
def test_mail_is_simulated_by_default_in_the_local_stage(
    stack: Template, stage: str, backend: str, is_simulated: bool
) -> None:
    """By default a local installation sends no mail, and one for customers does."""
    variable = stack.variables("ApiFunction")["EMAIL_BACKEND"]
    assert variable == {"Fn::If": ["SimulatedMail", EmailBackend.SIMULATOR, EmailBackend.SES]}
    condition = stack.data["Conditions"]["SimulatedMail"]
    assert holds(condition, {"Stage": stage, "EmailBackend": backend}) == is_simulated


@broken_by(
    ("by-stage], !Equals [!Ref Stage, local]", "by-stage], !Equals [!Ref Stage, prod]"),
    ("!If [AnySender, open, enforced]", "!If [AnySender, enforced, open]"),
    stage="prod",
    senders="by-stage",
    is_open=False,
)
@pytest.mark.parametrize(
    ("stage", "senders", "is_open"),
    [
        ("prod", "by-stage", False),
        ("local", "by-stage", True),
        ("localhost", "by-stage", False),
        ("local", "enforced", False),
        ("prod", "open", True),
    ],
)
def test_any_sender_is_allowed_by_default_in_the_local_stage(
    stack: Template, stage: str, senders: str, is_open: bool
) -> None:
    """By default, the published calls work as printed on a local installation, and customers cannot send as others."""
    variable = stack.variables("ApiFunction")["SENDER_IDENTITIES"]
    assert variable == {"Fn::If": ["AnySender", SenderIdentities.OPEN, SenderIdentities.ENFORCED]}
    condition = stack.data["Conditions"]["AnySender"]
    assert holds(condition, {"Stage": stage, "SenderIdentities": senders}) == is_open


@broken_by(
    ("SES_TENANTS: !Ref SesTenants", "SES_TENANTS: auto"),
)
def test_tenants_can_be_required_or_left_out(stack: Template) -> None:
    """The API reads the parameter."""
    for value in SesTenants:
        variables = variables_of(stack, "ApiFunction", SesTenants=value)
        assert ApiSettings.read(variables).ses_tenants is value


@broken_by(
    ("BUILT_IN_EVENT_TYPES: !Ref BuiltInEventTypes", "BUILT_IN_EVENT_TYPES: smashsend"),
    ("    Default: smashsend #", "    Default: none #"),
)
def test_the_built_in_event_types_can_be_left_out(stack: Template) -> None:
    """The API reads the parameter, and by default has the types of the published documentation."""
    for value in BuiltInEventTypes:
        variables = variables_of(stack, "ApiFunction", BuiltInEventTypes=value)
        assert ApiSettings.read(variables).built_in_event_types is value
    default = ApiSettings.read(variables_of(stack, "ApiFunction")).built_in_event_types
    assert default is BuiltInEventTypes.SMASHSEND


@broken_by(
    ("API_HOST: !Sub ${Api}.execute-api", "API_HOST: !Sub ${Stage}.execute-api"),
    ("API_DOMAIN_NAMES: !Ref ApiDomainNames", "API_DOMAIN_NAMES: !Ref Stage"),
)
def test_every_function_that_checks_urls_knows_the_hosts_of_the_api(stack: Template) -> None:
    """No webhook can lead back to the API: the URL of the outputs and the listed names are refused."""
    url = resolve(stack.data["Outputs"]["ApiUrl"]["Value"], PSEUDO_PARAMETERS | {"Api": API_ID})
    names = {"Api": API_ID, "ApiDomainNames": "api.acme.com,hooks.acme.com"}
    expected = {url.removeprefix("https://"), "api.acme.com", "hooks.acme.com"}
    assert ApiSettings.read(variables_of(stack, "ApiFunction", **names)).api_hosts == expected
    for function in ("DispatchFunction", "DeliverFunction"):
        settings = DeliverySettings.read(variables_of(stack, function, **names))
        assert settings.api_hosts == expected, function


def _rules_hold(stack: Template, parameters: Mapping[str, str]) -> bool:
    """Evaluate the template's Rules as CloudFormation does before it creates anything."""
    return all(
        holds(assertion["Assert"], parameters)
        for rule in stack.translated["Rules"].values()
        if "RuleCondition" not in rule or holds(rule["RuleCondition"], parameters)
        for assertion in rule["Assertions"]
    )
