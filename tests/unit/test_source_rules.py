"""Rules for the source, each with code that breaks it: what is imported, logged, compared, and read from the environment."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.modules import Module, modules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINES = 250

NETWORK = (
    "pycurl",
    "socket",
    "ssl",
    "urllib3",
    "requests",
    "http.client",
    "httpx",
    "aiohttp",
    "asyncio",
    "ftplib",
    "smtplib",
    "urllib",  # except urllib.parse, see below
)
LOG_METHODS = {"critical", "debug", "error", "exception", "info", "log", "warning"}
EVENT_NAME = re.compile(r"[a-z]+\.[a-z_]+")
GUESSABLE = re.compile(r"digest|signature|hmac|secret|token|hash|checksum|password")
CONFIDENTIAL = {
    "authorization",
    "body",
    "data",
    "exc_info",
    "headers",
    "path",
    "payload",
    "query",
    "secret",
    "secrets",
    "signature",
    "snippet",
    "token",
    "url",
}
ADDRESS_FLAGS = {"is_private", "is_global", "is_loopback", "is_link_local", "is_reserved", "is_multicast"}


def imports_network(module: Module) -> Iterator[int]:
    if not module.name.startswith("posthorn.transport."):
        yield from (
            one.line
            for one in module.imports
            if any(one.is_of(name) for name in NETWORK) and not one.is_of("urllib.parse")
        )


def asks_an_address_flag(module: Module) -> Iterator[int]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in ADDRESS_FLAGS:
            yield node.lineno


def trusts_any_certificate(module: Module) -> Iterator[int]:
    for node in ast.walk(module.tree):
        match node:
            case ast.keyword(arg="verify", value=ast.Constant(value=False)):
                yield node.lineno
            case ast.Call(args=[ast.Attribute(attr=option), ast.Constant(value=value)]) if (
                option.startswith("SSL_VERIFY") and not value
            ):
                yield node.lineno
            case ast.Attribute(attr="CERT_NONE" | "_create_unverified_context"):
                yield node.lineno


def compares_digests(module: Module) -> Iterator[int]:
    """Find == between values that an attacker could guess byte by byte; use `hmac.compare_digest`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
            sides = [node.left, *node.comparators]
            if not any(isinstance(side, ast.Constant) for side in sides) and any(
                GUESSABLE.search(name) for side in sides if not _is_length(side) for name in _names_in(side)
            ):
                yield node.lineno


def logs_elsewhere(module: Module) -> Iterator[int]:
    """Look for log calls outside telemetry; a handler may make the logger, which is a statement `log()`."""
    if module.name == "posthorn.telemetry":
        return
    is_handler = module.name.startswith("posthorn.handlers.")
    made = {
        id(node.value)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Expr) and not _arguments(node)
    }
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Name(id="log") | ast.Attribute(attr="log")):
                if not is_handler or id(node) not in made:
                    yield node.lineno
            case ast.Call(func=ast.Attribute(attr=method)) if method in LOG_METHODS and _arguments(node):
                yield node.lineno
    yield from (
        one.line
        for one in module.imports
        if one.is_of("aws_lambda_powertools.Logger")
        or (
            one.of.startswith("posthorn.telemetry.")
            and not (is_handler and one.of == "posthorn.telemetry.log")
        )
    )


def logs_what_is_confidential(module: Module) -> Iterator[int]:
    """Find log calls whose text is not fixed or whose fields hold credentials or content."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=level, value=ast.Call(func=ast.Name(id="log")))):
                if level == "exception" or not _names_an_event(node) or _arguments(node) & CONFIDENTIAL:
                    yield node.lineno
            case ast.Call(func=ast.Attribute(value=ast.Name(id="telemetry"))) if (
                _arguments(node) & CONFIDENTIAL
            ):
                yield node.lineno
    if module.name == "posthorn.telemetry":  # puts its fields together before it logs them
        yield from (
            node.lineno
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Attribute) and node.attr in CONFIDENTIAL
        )


def reads_environment(module: Module) -> Iterator[int]:
    if module.name != "posthorn.settings":
        yield from _environment_in(module.tree)
        yield from (
            one.line for one in module.imports if one.of in {"os.environ", "os.environb", "os.getenv"}
        )


def reads_environment_at_import(module: Module) -> Iterator[int]:
    """Find reads of the environment in code that runs at import: everything except function bodies."""
    later = (
        line
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for statement in (node.body if isinstance(node.body, list) else [node.body])
        for line in _environment_in(statement)
    )
    yield from set(_environment_in(module.tree)) - set(later)


def imports_boto(module: Module) -> Iterator[int]:
    if module.name != "posthorn.aws.clients":
        yield from (one.line for one in module.imports if one.is_of("boto3") or one.is_of("botocore"))


def prints(module: Module) -> Iterator[int]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield node.lineno


def is_too_long(module: Module) -> Iterator[int]:
    if len(module.source.splitlines()) > LINES:
        yield len(module.source.splitlines())


# each rule with code that breaks it
RULES: dict[Callable[[Module], Iterator[int]], tuple[str, ...]] = {
    imports_network: (
        "import pycurl",
        "from socket import getaddrinfo",
        "def f():\n    import urllib3.util",
        "from http.client import HTTPSConnection",
        "from http import client",
        "import asyncio",
        "from urllib import request",
    ),
    asks_an_address_flag: ("ok = ip_address(text).is_global", "no = address.is_private"),
    trusts_any_certificate: (
        "session.post(url, verify=False)",
        "curl.setopt(pycurl.SSL_VERIFYPEER, 0)",
        "curl.setopt(curl.SSL_VERIFYHOST, False)",
        "context.verify_mode = ssl.CERT_NONE",
    ),
    compares_digests: (
        "ok = signature == expected",
        "if hmac.new(key, body, 'sha256').hexdigest() != given: ...",
        "same = one.token == other.token",
        "ok = key.secret_hash == hash_of(given)",
    ),
    logs_elsewhere: (
        "log().error('row.unreadable', extra={})",
        "log()",
        "lines = log()",
        "telemetry.log().info('row.unreadable')",
        "from posthorn.telemetry import log",
        "from posthorn.telemetry import call_failed as told",
        "from aws_lambda_powertools import Logger",
        "logging.getLogger(__name__).warning('row.unreadable')",
        "logger.info('row.unreadable', extra={})",
    ),
    logs_what_is_confidential: (
        "log().info('delivery.sent', extra={'url': endpoint.url})",
        "log().error(f'failed: {target}')",
        "log().error('the delivery failed')",
        "log().error('delivery.failed', extra={'text': endpoint.token})",
        "log().warning('delivery.failed', body)",
        "log().exception('delivery.failed')",
        "log().error('delivery.failed', exc_info=True)",
        "log().error(str(error))",
        "telemetry.dead_lettered('message', message_id, body)",
        "telemetry.row_unreadable(where=endpoint.url, reason='')",
    ),
    reads_environment: (
        "import os\nstage = os.environ['STAGE']",
        "def f():\n    return os.getenv('STAGE')",
        "from os import environ",
    ),
    reads_environment_at_import: (
        "import os\nstage = os.environ.get('STAGE')",
        "def f(stage=os.environ['STAGE']): ...",
        "class Stage:\n    name = os.getenv('STAGE')",
    ),
    imports_boto: ("import boto3", "from botocore.exceptions import ClientError"),
    prints: ("print('here')",),
    is_too_long: ("x = 1\n" * (LINES + 1),),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_module_breaks_a_rule(rule: Callable[[Module], Iterator[int]]) -> None:
    """No module breaks the rule."""
    assert {name: lines for name, module in modules().items() if (lines := list(rule(module)))} == {}


@pytest.mark.parametrize(
    ("rule", "source"),
    [(rule, source) for rule, sources in RULES.items() for source in sources],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_each_rule_finds_code_that_breaks_it(rule: Callable[[Module], Iterator[int]], source: str) -> None:
    """Code that breaks a rule is found, so the test above can fail."""
    assert list(rule(Module("posthorn.stores.broken", source)))


@pytest.mark.parametrize(
    "source", ["log().info('delivery.attempted')", "logger = log()", "log('row.unreadable')"]
)
def test_a_handler_makes_the_logger_and_no_line(source: str) -> None:
    """A handler that logs an event itself is found; the statement that makes the logger is not."""
    assert list(logs_elsewhere(Module("posthorn.handlers.broken", source)))
    assert not list(logs_elsewhere(Module("posthorn.handlers.right", "if is_in_lambda():\n    log()")))


@pytest.mark.parametrize(
    "source", ["fields = {'to': target.path}", "fields = {'to': endpoint.url}", "said = outcome.snippet"]
)
def test_the_line_of_an_attempt_holds_nothing_confidential(source: str) -> None:
    """The module that writes attempt log lines does not even read confidential fields."""
    assert list(logs_what_is_confidential(Module("posthorn.telemetry", source)))


def _names_in(tree: ast.AST) -> Iterator[str]:
    """Yield every name, attribute, keyword and dictionary key."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=str() as name) | ast.Attribute(attr=name) | ast.keyword(arg=str() as name):
                yield name
            case ast.Dict():
                yield from (str(key.value) for key in node.keys if isinstance(key, ast.Constant))


def _arguments(node: ast.AST) -> set[str]:
    """Return every name that a call is given, with a placeholder for each argument."""
    if isinstance(node, ast.Expr):
        node = node.value
    if not isinstance(node, ast.Call):
        return set()
    parts = [*node.args, *node.keywords]
    return {"", *(name for part in parts for name in _names_in(part))} if parts else set()


def _names_an_event(node: ast.Call) -> bool:
    match node.args:
        case [ast.Constant(value=str() as text)]:
            return EVENT_NAME.fullmatch(text) is not None
    return False


def _is_length(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"


def _environment_in(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"}:
            yield node.lineno
