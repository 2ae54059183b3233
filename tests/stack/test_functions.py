"""Functions: their code, their timeouts and their logs."""

import importlib
import inspect
from pathlib import Path

import posthorn.handlers
from posthorn.api import idempotency
from tests.stack.breakages import broken_by
from tests.template import FUNCTION, LAMBDA, LOG_GROUP, ROOT, Template, target


@broken_by(
    ("posthorn.handlers.api.handler", "posthorn.handlers.api.main"),
)
def test_every_handler_is_a_function_of_an_event_and_a_context(stack: Template) -> None:
    """The handler that the template names exists and can be called as Lambda calls it."""
    for name, function in stack.functions.items():
        module, _, attribute = function["Handler"].rpartition(".")
        handler = getattr(importlib.import_module(module), attribute)
        assert callable(handler), name
        inspect.signature(handler).bind({}, object())


@broken_by(
    ("posthorn.handlers.deliver.handler", "posthorn.handlers.dispatch.handler"),
)
def test_every_module_of_handlers_belongs_to_one_function(stack: Template) -> None:
    """Every handler module is deployed, and no two functions share one."""
    (folder,) = posthorn.handlers.__path__
    written = [f"posthorn.handlers.{path.stem}.handler" for path in Path(folder).glob("[!_]*.py")]
    deployed = [function["Handler"] for function in stack.functions.values()]
    assert sorted(deployed) == sorted(written)


@broken_by(
    ("Runtime: python3.13", "Runtime: python3.12"),
    ("      Timeout: 29", "      Runtime: python3.12\n      Timeout: 29"),
)
def test_every_function_ships_the_same_code_for_the_python_that_tests_it(stack: Template) -> None:
    """Runtime and code come from Globals only, and the runtime is the project's Python version."""
    shared = stack.data["Globals"]["Function"]
    python = (ROOT / ".python-version").read_text(encoding="utf-8").strip()
    assert shared["Runtime"] == f"python{python}"
    assert (ROOT / shared["CodeUri"] / "requirements.txt").is_file()
    for name, function in stack.functions.items():
        own = {"Runtime", "CodeUri", "Architectures", "PackageType", "Layers"} & function.keys()
        assert not own, name


@broken_by(
    ("LogGroup: !Ref DispatchLogGroup", "LogGroup: !Ref ApiLogGroup"),
    ("RetentionInDays: !Ref LogRetentionDays", "RetentionInDays: 3653"),
    ("ApplicationLogLevel: !Ref LogLevel", "ApplicationLogLevel: INFO"),
    ("LogFormat: JSON", "LogFormat: Text"),
    ("SystemLogLevel: WARN", "SystemLogLevel: DEBUG"),
    (
        "LoggingConfig: {LogGroup: !Ref ReplayLogGroup}",
        "LoggingConfig: {LogGroup: !Ref ReplayLogGroup, LogFormat: Text}",
    ),
    ("    LoggingConfig: {LogFormat: JSON, ApplicationLogLevel: !Ref LogLevel, SystemLogLevel: WARN}\n", ""),
)
def test_every_function_logs_json_to_a_group_of_its_own_that_expires(stack: Template) -> None:
    """A log group belongs to one function or the API, and expires after the parameter's number of days."""
    groups = stack.of_type(LOG_GROUP)
    for name, group in groups.items():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name
    used: list[str] = []
    for name, function in stack.translated_of_type(LAMBDA).items():
        logging = dict(function["LoggingConfig"])
        own_group = target(logging.pop("LogGroup"))
        expected = {
            "LogFormat": "JSON",
            "ApplicationLogLevel": {"Ref": "LogLevel"},
            "SystemLogLevel": "WARN",
        }
        assert logging == expected, name
        assert own_group == target(stack.of_type(FUNCTION)[name]["LoggingConfig"]["LogGroup"]), name
        if name in stack.functions:
            used.append(own_group)
    access_log = target(stack.resources["ApiStage"]["Properties"]["AccessLogSettings"]["DestinationArn"])
    assert sorted([*used, access_log.removesuffix(".Arn")]) == sorted(groups)


@broken_by(
    ("MemorySize: !Ref DeliveryMemory", "MemorySize: 256 #"),
    ("MemorySize: 512 # CPU follows memory, and a page", "MemorySize: !Ref DeliveryMemory"),
)
def test_delivering_functions_have_the_memory_of_the_parameter(stack: Template) -> None:
    """One parameter applies to the two functions that open connections, and to no other."""
    given = {
        name: function["MemorySize"]
        for name, function in stack.functions.items()
        if not isinstance(function["MemorySize"], int)
    }
    assert given == {name: {"Ref": "DeliveryMemory"} for name in ("DispatchFunction", "DeliverFunction")}


@broken_by(
    ("MaxValue: 15", "MaxValue: 16"),
)
def test_an_attempt_of_the_longest_deadline_fits_twice_into_a_function_that_makes_one(
    stack: Template,
) -> None:
    """Half of the timeout is left for the rows before and after an attempt."""
    longest = stack.parameters["AttemptDeadline"]["MaxValue"]
    senders = [name for name in stack.functions if "ATTEMPT_DEADLINE" in stack.variables(name)]
    assert senders == ["DispatchFunction", "DeliverFunction"]
    for name in senders:
        assert stack.functions[name]["Timeout"] >= 2 * longest, name


@broken_by(
    ("Timeout: 29 #", "Timeout: 30 #"),
)
def test_a_request_that_is_taken_for_over_is_over(stack: Template) -> None:
    """Another request takes over unfinished work only when ApiFunction can no longer be doing it."""
    assert stack.functions["ApiFunction"]["Timeout"] * 1000 < idempotency.REQUEST_OVER_MS
