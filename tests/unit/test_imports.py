"""Which module imports which, and what each function loads."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

import pytest

from tests.loading import loaded_modules
from tests.modules import Module, imported_modules, modules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# From the top down: a package imports from itself and from the lines below it; packages that share a line do
# not import each other.
LAYERS = (
    ("handlers",),
    ("wiring",),
    ("api.routes",),
    ("api",),
    ("delivery", "email", "schemas"),
    ("wire",),
    ("stores",),
    ("aws", "transport", "telemetry", "settings"),
    ("environment",),
    ("domain",),
)
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}

EVENT_PATH = (
    "DispatchFunction",
    "DeliverFunction",
    "FeedbackFunction",
    "ReplayFunction",
    "PurgeFunction",
    "SweepFunction",
)

# Modules that the path of an event must not load: slow at a cold start, and unused there.
NOT_WITHOUT_THE_API = (
    "pydantic",
    "jsonschema_rs",
    "aws_lambda_powertools.event_handler",
    "asyncio",
    "posthorn.api",
)

# Modules that a function without outgoing requests must not load.
NOT_WITHOUT_SENDING = ("pycurl", "posthorn.transport", "posthorn.aws.secrets", "posthorn.delivery.sender")


def place_of(name: str) -> str:
    """Return a module's row in the table: `posthorn.stores.events` -> `stores`."""
    parts = name.split(".")[1:]
    nested = ".".join(parts[:2])
    return nested if nested in LEVELS else "".join(parts[:1])


def upward(module: Module) -> Iterator[str]:
    """Yield imports from the module's own line or from above it."""
    place = place_of(module.name)
    for name in imported_modules(module):
        other = place_of(name) or place
        if other != place and LEVELS[other] <= LEVELS[place]:
            yield name


def circle(known: Mapping[str, Module]) -> list[str]:
    """Return the modules of an import cycle, type-only imports included; empty if there is none."""
    graph = {name: imported_modules(module) - {name} for name, module in known.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_every_module_has_its_place() -> None:
    """Every module has a place in the table of layers."""
    places = {place_of(name) for name in modules() if name != "posthorn"}
    assert places == LEVELS.keys()


@pytest.mark.parametrize("name", [name for name in modules() if name != "posthorn"])
def test_imports_point_one_way(name: str) -> None:
    """No module imports from another package of its line or from above, not even types."""
    assert list(upward(modules()[name])) == []


def test_nothing_imports_a_handler() -> None:
    """Handlers are where Lambda enters, so nothing else imports them."""
    importers = [name for name, module in modules().items() if _imports_handlers(module)]
    assert importers == []


def test_no_modules_import_each_other() -> None:
    """There are no import cycles between or inside packages, not even for types."""
    assert circle(modules()) == []


def test_a_circle_inside_a_package_is_noticed() -> None:
    """Two stores that import each other are found, even if one does so for types only."""
    items = Module("posthorn.stores.items", "if TYPE_CHECKING:\n    from posthorn.stores.tables import PK")
    tables = Module("posthorn.stores.tables", "def late():\n    from posthorn.stores import items")
    broken = {**modules(), items.name: items, tables.name: tables}
    assert set(circle(broken)) == {items.name, tables.name}


def test_packages_import_nothing() -> None:
    """`__init__.py` imports nothing, so importing one module loads only that module."""
    packages = [module for module in modules().values() if any(_inside(module.name))]
    assert len(packages) > 8
    assert [module.name for module in packages if module.imports] == []


@pytest.mark.parametrize("function", EVENT_PATH)
def test_the_path_of_an_event_loads_nothing_of_the_api(function: str) -> None:
    """A cold start outside the API loads no pydantic, router, asyncio or route."""
    assert _loaded(function, NOT_WITHOUT_THE_API) == []
    assert _loaded("ApiFunction", NOT_WITHOUT_THE_API) != []


@pytest.mark.parametrize("function", ["FeedbackFunction", "ReplayFunction", "PurgeFunction", "SweepFunction"])
def test_functions_without_requests_do_not_load_the_http_client(function: str) -> None:
    """Functions that only read and write rows and messages do not load the HTTP client."""
    assert _loaded(function, NOT_WITHOUT_SENDING) == []
    assert _loaded("DeliverFunction", NOT_WITHOUT_SENDING) != []


@pytest.mark.parametrize(
    ("function", "own", "other"),
    [("DispatchFunction", "dispatcher", "worker"), ("DeliverFunction", "worker", "dispatcher")],
)
def test_delivering_functions_do_not_load_each_other(function: str, own: str, other: str) -> None:
    """The delivering functions share code, and none loads the others' code or that of replays."""
    foreign = (
        f"posthorn.delivery.{other}",
        "posthorn.delivery.bulk_replay",
        "posthorn.domain.replay_job",
        "posthorn.stores.replays",
    )
    assert _loaded(function, foreign) == []
    assert _loaded(function, (f"posthorn.delivery.{own}",)) != []


def test_the_shapes_of_answers_are_for_checking_only() -> None:
    """Mypy and `make openapi` read them; a function that loaded them would pay for what it does not use."""
    assert _loaded("ApiFunction", ("posthorn.api.answers",)) == []
    assert _loaded("ApiFunction", ("posthorn.api.routes.webhooks",)) != []


def test_importing_makes_no_client() -> None:
    """Clients are made on first use, so imports need no region and can precede moto."""
    made = _python(
        "import importlib, botocore.session",
        "made = []",
        "botocore.session.Session.create_client = lambda *args, **options: made.append(args)",
        f"[importlib.import_module(name) for name in {sorted(modules())!r}]",
        "print(made)",
    )
    assert made == "[]"


@pytest.mark.parametrize(
    "source",
    [
        "from posthorn.api import problems",
        "from posthorn.wire import formats",
        "if TYPE_CHECKING:\n    from posthorn.delivery.sender import Sender",
        "def f():\n    from posthorn import wiring",
    ],
)
def test_the_layers_notice_an_import_that_points_up(source: str) -> None:
    """A store that imported a route, a neighbor or a delivery would be found."""
    assert list(upward(Module("posthorn.stores.broken", source)))


@pytest.mark.parametrize("source", ["from posthorn import handlers", "import posthorn.handlers.api"])
def test_an_import_of_a_handler_is_noticed(source: str) -> None:
    """Both spellings of a handler import are found."""
    assert _imports_handlers(Module("posthorn.handlers.broken", source))


def _imports_handlers(module: Module) -> bool:
    return any(one.is_of("posthorn.handlers") for one in module.imports)


def _inside(name: str) -> Iterator[str]:
    """Yield the modules of a package."""
    return (other for other in modules() if other.startswith(f"{name}."))


@lru_cache
def _modules_of(function: str) -> frozenset[str]:
    return frozenset(loaded_modules(function))


def _loaded(function: str, names: tuple[str, ...]) -> list[str]:
    """Return which of these modules, and their submodules, a function loads before its first invocation."""
    return sorted(
        one
        for one in _modules_of(function)
        if any(one == name or one.startswith(f"{name}.") for name in names)
    )


def _python(*lines: str) -> str:
    """Run lines in a fresh interpreter and return their output."""
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()
