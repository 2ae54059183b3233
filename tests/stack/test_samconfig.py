"""samconfig.toml: how `sam` deploys for a person and in CI."""

from __future__ import annotations

import tomllib

from tests.template import ROOT, Json

ENVIRONMENTS = ("default", "ci")


def parameters_of(environment: str, command: str) -> Json:
    """Return what `--config-env` sets for a command of `sam`."""
    configured = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    found: Json = configured[environment][command]["parameters"]
    return found


def test_ci_is_not_asked_and_a_person_is() -> None:
    """A prompt would block a pipeline, and a person sees the changes before they are made."""
    assert parameters_of("default", "deploy")["confirm_changeset"] is True
    assert parameters_of("ci", "deploy")["confirm_changeset"] is False


def test_ci_deploys_the_same_stack_in_the_same_way() -> None:
    """The confirmation is the only difference between the two deploys."""
    assert parameters_of("ci", "global") == parameters_of("default", "global")
    person, ci = (parameters_of(name, "deploy") for name in ENVIRONMENTS)
    assert {**ci, "confirm_changeset": True} == person


def test_no_environment_sets_parameters() -> None:
    """Values of an installation stay out of the repository, and the template has the defaults."""
    for environment in ENVIRONMENTS:
        assert "parameter_overrides" not in parameters_of(environment, "deploy")
