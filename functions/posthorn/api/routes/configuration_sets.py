"""`/api/v1/partner/email/configuration-sets`: groups of emails with event destinations of their own."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, StringConstraints

from posthorn.api import bodies, idempotency
from posthorn.api.http import Answer, Request
from posthorn.api.limits import limits_of
from posthorn.api.problems import Problem, not_found
from posthorn.api.route import PAGED, Route
from posthorn.domain.api_key import Scope
from posthorn.domain.clock import rfc3339
from posthorn.domain.ids import CONFIGURATION_SET, is_id
from posthorn.domain.models import ConfigurationSet, SetState, Suppression

if TYPE_CHECKING:
    from posthorn.api.answers import configuration_sets as answers
    from posthorn.api.answers.configuration_sets import ConfigurationSetList
    from posthorn.api.answers.fields import Deleted
    from posthorn.api.services import Services
    from posthorn.stores.idempotency import Decision

PATH: Final = "/api/v1/partner/email/configuration-sets"

type SetName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$"),
    Field(description="A name that is unique in the workspace."),
]
# A strict model accepts a string for an enum only with strict=False.
type SuppressionOptions = Annotated[
    Suppression, Field(strict=False, description="Which recipients the set suppresses.")
]


class NewConfigurationSet(bodies.Body):
    """The body of a request that creates a configuration set."""

    name: SetName
    suppression_options: SuppressionOptions = Suppression.BOUNCE_AND_COMPLAINT


class ConfigurationSetChange(bodies.Body):
    """The fields to change; absent fields keep their values."""

    name: SetName = ""
    suppression_options: SuppressionOptions = Suppression.NONE


def list_configuration_sets(services: Services, request: Request) -> Answer[ConfigurationSetList]:
    page, cursor = services.cursors.page(
        request, partial(services.configuration_sets.page, request.workspace)
    )
    shown = [_shown(one) for one in page if one.state is SetState.READY]
    content: ConfigurationSetList = {"configuration_sets": shown}
    if cursor is not None:
        content["next_cursor"] = cursor
    return Answer(content)


def create_configuration_set(services: Services, request: Request) -> Answer[answers.ConfigurationSet]:
    """Create a set, then its resources at the mail backend; a retry completes what an interrupted request left."""
    wanted = bodies.validate(NewConfigurationSet, bodies.parse(request))
    decision = idempotency.decide(services, request, [services.new_id(CONFIGURATION_SET)])
    if decision.is_done:
        return Answer(_shown(find(services, request.workspace, decision.ids[0])))
    made = ConfigurationSet(
        id=decision.ids[0],
        workspace=request.workspace,
        name=wanted.name,
        suppression=wanted.suppression_options,
        created_at=decision.decided_at,
        state=SetState.CREATING,
    )
    limit = limits_of(services, request.workspace).configuration_sets
    if not services.configuration_sets.create(made, limit=limit):
        made = _unfinished(services, made, decision)
    services.email.create_set(request.workspace, made.id, made.suppression)
    ready = made if made.state is SetState.READY else services.configuration_sets.move(made, SetState.READY)
    idempotency.finish(services, request, decision)
    return Answer(_shown(ready or find(services, request.workspace, made.id)))


def retrieve_configuration_set(services: Services, request: Request) -> Answer[answers.ConfigurationSet]:
    return Answer(_shown(find(services, request.workspace, request.path["configSetId"])))


def update_configuration_set(services: Services, request: Request) -> Answer[answers.ConfigurationSet]:
    change = bodies.validate(ConfigurationSetChange, bodies.parse(request))
    given = change.model_fields_set
    old = find(services, request.workspace, request.path["configSetId"])
    new = replace(
        old,
        name=change.name if "name" in given else old.name,
        suppression=change.suppression_options if "suppression_options" in given else old.suppression,
    )
    if new != old and not services.configuration_sets.change(old, new):
        raise _taken(new.name) if new.name != old.name else _concurrent()
    if "suppression_options" in given:
        # Even if the row already has this value: an earlier request may have been interrupted here.
        services.email.change_set(new.id, new.suppression)
        now = find(services, request.workspace, new.id)
        if now.suppression is not new.suppression:  # of two concurrent changes, the one in the row wins
            services.email.change_set(now.id, now.suppression)
            new = now
    return Answer(_shown(new))


def delete_configuration_set(services: Services, request: Request) -> Answer[Deleted]:
    """Remove a set with its destinations; a retry completes an interrupted delete."""
    set_id = request.path["configSetId"]
    one = _get(services, request.workspace, set_id)
    if one is None:
        raise not_found("configuration set")
    if one.state is not SetState.DELETING:
        moved = services.configuration_sets.move(one, SetState.DELETING)
        if moved is None:
            raise _concurrent()
        one = moved
    destinations = services.endpoints.of_channel(set_id)
    for destination in destinations.endpoints:
        services.deleted_endpoints.delete(destination, now_ms=services.clock())
    for destination_id in destinations.unreadable:
        services.endpoints.delete(set_id, destination_id)
    services.email.delete_set(request.workspace, set_id)
    services.configuration_sets.remove(one, now_ms=services.clock())
    return Answer({"deleted": True})


def find(services: Services, workspace: str, set_id: str) -> ConfigurationSet:
    """Return a set that is ready, or raise the 404."""
    one = _get(services, workspace, set_id)
    if one is None or one.state is not SetState.READY:
        raise not_found("configuration set")
    return one


ROUTES: Final = (
    Route("GET", PATH, Scope.PARTNER, list_configuration_sets, "List configuration sets", query=PAGED),
    Route(
        "POST",
        PATH,
        Scope.PARTNER,
        create_configuration_set,
        "Create a configuration set",
        NewConfigurationSet,
        status=201,
    ),
    Route(
        "GET",
        f"{PATH}/{{configSetId}}",
        Scope.PARTNER,
        retrieve_configuration_set,
        "Retrieve a configuration set",
    ),
    Route(
        "PATCH",
        f"{PATH}/{{configSetId}}",
        Scope.PARTNER,
        update_configuration_set,
        "Change a configuration set",
        ConfigurationSetChange,
    ),
    Route(
        "DELETE",
        f"{PATH}/{{configSetId}}",
        Scope.PARTNER,
        delete_configuration_set,
        "Delete a configuration set and its event destinations",
    ),
)


def _get(services: Services, workspace: str, set_id: str) -> ConfigurationSet | None:
    return services.configuration_sets.get(workspace, set_id) if is_id(set_id, CONFIGURATION_SET) else None


def _unfinished(services: Services, wanted: ConfigurationSet, decision: Decision) -> ConfigurationSet:
    """Return the set that an earlier request left unfinished under this id or name, or refuse the name."""
    found = services.configuration_sets.by_name(wanted.workspace, wanted.name)
    if found is None:
        raise _concurrent()  # deleted just now
    if found.id == wanted.id:
        return found  # left by an earlier try of this request
    if found.state is not SetState.CREATING:
        raise _taken(wanted.name)
    if wanted.created_at - found.created_at < idempotency.REQUEST_OVER_MS:
        raise _concurrent()  # the request that creates it may still be running
    if decision.is_kept:
        raise Problem(
            409,
            "name_unfinished",
            "An earlier request to create a set with this name was interrupted. Repeat that request with its"
            " Idempotency-Key, or send this one without a key.",
        )
    adopted = replace(found, suppression=wanted.suppression)
    if not services.configuration_sets.change(found, adopted):
        raise _concurrent()
    return adopted


def _taken(name: str) -> Problem:
    return Problem(409, "name_taken", f"The name must be unique: a configuration set {name} already exists.")


def _concurrent() -> Problem:
    return Problem(
        409, "concurrent_changes", "Other requests are changing this configuration set. Retry the request."
    )


def _shown(one: ConfigurationSet) -> answers.ConfigurationSet:
    return {
        "config_set_id": one.id,
        "name": one.name,
        "suppression_options": one.suppression,
        "created_at": rfc3339(one.created_at),
    }
