"""Answers about configuration sets."""

from typing import NotRequired, TypedDict

from posthorn.api.answers.fields import Time
from posthorn.domain.models import Suppression


class ConfigurationSet(TypedDict):
    """A group of emails whose events go to event destinations of their own."""

    config_set_id: str
    """Identifies the configuration set."""
    name: str
    """Its name, which emails refer to."""
    suppression_options: Suppression
    """Which recipients it suppresses."""
    created_at: Time
    """When it was created."""


class ConfigurationSetList(TypedDict):
    """A page of configuration sets."""

    configuration_sets: list[ConfigurationSet]
    """The configuration sets of this page."""
    next_cursor: NotRequired[str]
    """The `cursor` of the next page; absent on the last one."""
