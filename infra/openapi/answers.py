"""Which shape each route answers with: what its view says it returns."""

import inspect
import typing
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import SimpleNamespace
from typing import Any

from posthorn.api import answers
from posthorn.api.route import Route
from posthorn.api.routes.endpoint_kinds import EndpointResource
from posthorn.api.services import Services


def answer_of(route: Route) -> Any:
    """Return the `T` of a view that returns an `Answer[T]`."""
    hints = typing.get_type_hints(inspect.unwrap(route.handle), localns=_names())
    (shape,) = typing.get_args(hints["return"])
    return shape


@cache
def _names() -> dict[str, Any]:
    """Return what views import for the type checker only."""
    shapes = {
        name: shape
        for module in iter_modules(answers.__path__, f"{answers.__name__}.")
        for name, shape in vars(import_module(module.name)).items()
        if typing.is_typeddict(shape)
    }
    here = {"EndpointResource": EndpointResource, "Services": Services}
    return {**shapes, **here, "answers": SimpleNamespace(**shapes)}
