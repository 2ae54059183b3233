"""`/api/v1/partner/email/configuration-sets`: groups of mails whose events have destinations of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, StringConstraints

from posthorn.api import bodies, idempotency, pagination
from posthorn.api.http import Answer, Request
from posthorn.api.problems import Problem, not_found
from posthorn.api.route import PAGED, Route
from posthorn.domain.api_key import Scope
from posthorn.domain.clock import rfc3339
from posthorn.domain.ids import CONFIGURATION_SET, is_id
from posthorn.domain.models import ConfigurationSet, SetState, Suppression

if TYPE_CHECKING:
    from posthorn.api.services import Services
    from posthorn.stores.idempotency import Decision

PATH: Final = "/api/v1/partner/email/configuration-sets"

type SetName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
# strict models take no text for an enumeration unless told to
type SuppressionOptions = Annotated[Suppression, Field(strict=False)]


class NewConfigurationSet(bodies.Body):
    """What a configuration set is made from."""

    name: SetName
    suppression_options: SuppressionOptions = Suppression.BOUNCE_AND_COMPLAINT


class ConfigurationSetChange(bodies.Body):
    """What is to change; whatever is absent stays."""

    name: SetName = ""
    suppression_options: SuppressionOptions = Suppression.NONE


def list_configuration_sets(services: Services, request: Request) -> Answer:
    limit, after = pagination.read_limit(request), services.cursors.read(request)
    page, last = services.configuration_sets.page(request.workspace, after=after, limit=limit)
    shown = [_shown(one) for one in page if one.state is SetState.READY]
    content: dict[str, Any] = {"configuration_sets": shown}
    if last is not None:
        content["next_cursor"] = services.cursors.write(request, last)
    return Answer(content)


def create_configuration_set(services: Services, request: Request) -> Answer:
    """Make a set, then what it needs at the backend; whatever breaks off in between is completed by the next try."""
    wanted = bodies.validate(NewConfigurationSet, bodies.parse(request))
    decision = idempotency.decide(services, request, [services.new_id(CONFIGURATION_SET)])
    if decision.is_done:
        return Answer(_shown(find(services, request.workspace, decision.ids[0])), 201)
    made = ConfigurationSet(
        id=decision.ids[0],
        workspace=request.workspace,
        name=wanted.name,
        suppression=wanted.suppression_options,
        created_at=decision.decided_at,
        state=SetState.CREATING,
    )
    if not services.configuration_sets.create(made):
        made = _unfinished(services, made, decision)
    services.email.create_set(made.id, made.suppression)
    ready = made if made.state is SetState.READY else services.configuration_sets.move(made, SetState.READY)
    idempotency.finish(services, request, decision)
    return Answer(_shown(ready or find(services, request.workspace, made.id)), 201)


def retrieve_configuration_set(services: Services, request: Request) -> Answer:
    return Answer(_shown(find(services, request.workspace, request.path["configSetId"])))


def change_configuration_set(services: Services, request: Request) -> Answer:
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
        # also when the row said so before: what broke off here is completed by the same change again
        services.email.change_set(new.id, new.suppression)
        now = find(services, request.workspace, new.id)
        if now.suppression is not new.suppression:  # of two changes at once, the row's is the last
            services.email.change_set(now.id, now.suppression)
            new = now
    return Answer(_shown(new))


def delete_configuration_set(services: Services, request: Request) -> Answer:
    """Remove a set with its destinations; a delete that broke off is completed by the next."""
    set_id = request.path["configSetId"]
    one = _get(services, request.workspace, set_id)
    if one is None:
        raise not_found("configuration set")
    if one.state is not SetState.DELETING:
        moved = services.configuration_sets.move(one, SetState.DELETING)
        if moved is None:
            raise _concurrent()
        one = moved
    for endpoint in services.endpoints.of_channel(set_id):
        services.endpoints.delete(set_id, endpoint.id)
    services.email.delete_set(set_id)
    services.configuration_sets.remove(one)
    return Answer({"deleted": True})


def find(services: Services, workspace: str, set_id: str) -> ConfigurationSet:
    """Return a set that is in use, or raise the 404."""
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
        change_configuration_set,
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
    """Return the set that an earlier try left unfinished under this id or name, or refuse the name."""
    found = services.configuration_sets.by_name(wanted.workspace, wanted.name)
    if found is None:
        raise _concurrent()  # deleted just now
    if found.id == wanted.id:
        return found  # a repetition of this very request
    if found.state is not SetState.CREATING:
        raise _taken(wanted.name)
    if wanted.created_at - found.created_at < idempotency.REQUEST_OVER_MS:
        raise _concurrent()  # whoever makes it may still be at work
    if decision.is_kept:
        raise Problem(
            409,
            "name_unfinished",
            "An earlier request left this name unfinished. Repeat it with its Idempotency-Key, or send this one"
            " without a key.",
        )
    adopted = replace(found, suppression=wanted.suppression)
    if not services.configuration_sets.change(found, adopted):
        raise _concurrent()
    return adopted


def _taken(name: str) -> Problem:
    return Problem(409, "name_taken", f"There is a configuration set called {name} already.")


def _concurrent() -> Problem:
    return Problem(
        409, "concurrent_changes", "Others are changing this configuration set right now; try again."
    )


def _shown(one: ConfigurationSet) -> dict[str, Any]:
    return {
        "config_set_id": one.id,
        "name": one.name,
        "suppression_options": one.suppression,
        "created_at": rfc3339(one.created_at),
    }
