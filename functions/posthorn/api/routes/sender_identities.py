"""`/v1/workspaces/{workspace}/sender-identities`: the domains and addresses that a workspace may send emails from."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from pydantic import Field

from posthorn.api import bodies, idempotency
from posthorn.api.http import Answer, Request
from posthorn.api.problems import FieldError, invalid, not_found
from posthorn.api.route import PAGED, Route
from posthorn.api.routes import workspaces
from posthorn.domain.api_key import PLATFORM
from posthorn.domain.clock import rfc3339
from posthorn.domain.errors import RefusedSender
from posthorn.domain.sender_identity import SenderIdentity
from posthorn.email.senders import NAME_RULE, identity_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn.api.answers import sender_identities as answers
    from posthorn.api.answers.fields import Deleted
    from posthorn.api.answers.sender_identities import SenderIdentityList, SenderIdentityResult
    from posthorn.api.services import Services

PATH: Final = f"{workspaces.ONE}/sender-identities"
ONE: Final = f"{PATH}/{{identity}}"


class NewSenderIdentity(bodies.Body):
    """The body of a request that registers a sender identity."""

    identity: str = Field(
        description="A domain, which covers its subdomains, or an address, which covers only itself. The case of the"
        " part before the @ matters, that of the domain does not."
    )


def list_sender_identities(services: Services, request: Request) -> Answer[SenderIdentityList]:
    read = partial(services.senders.store.page, _workspace(services, request))
    page, cursor = services.cursors.page(request, read)
    content: SenderIdentityList = {"senderIdentities": [_shown(one) for one in page]}
    if cursor is not None:
        content["nextCursor"] = cursor
    return Answer(content)


def create_sender_identity(services: Services, request: Request) -> Answer[SenderIdentityResult]:
    """Register an identity, its resources at the email backend first; a repetition completes an interrupted call."""
    idempotency.check(request)  # registering twice changes nothing, so the key decides nothing
    workspace = _workspace(services, request)
    name = identity_name(bodies.validate(NewSenderIdentity, bodies.parse(request)).identity)
    if name is None:
        raise invalid([FieldError("/identity", f"Must be {NAME_RULE}.")])
    try:
        has_tenant = services.email.add_sender(workspace, name, _set_ids(services, workspace))
    except RefusedSender as refusal:
        raise invalid([FieldError("/identity", refusal.detail)], refusal.code) from refusal
    one, is_new = services.senders.store.register(
        SenderIdentity(workspace, name, created_at=services.clock(), has_tenant=has_tenant)
    )
    services.senders.forget(one)
    return Answer({"senderIdentity": _shown(one)}, status=201 if is_new else 200)


def retrieve_sender_identity(services: Services, request: Request) -> Answer[SenderIdentityResult]:
    return Answer({"senderIdentity": _shown(_find(services, request))})


def delete_sender_identity(services: Services, request: Request) -> Answer[Deleted]:
    """Remove an identity, its row last, so that a retry completes an interrupted delete."""
    one = _find(services, request)
    kept = [other.name for other in services.senders.store.of_workspace(one.workspace) if other != one]
    services.email.remove_sender(one.workspace, one.name, kept)
    services.senders.store.remove(one)
    services.senders.forget(one)
    return Answer({"deleted": True})


ROUTES: Final = (
    Route("GET", PATH, PLATFORM, list_sender_identities, "List sender identities", query=PAGED),
    Route(
        "POST",
        PATH,
        PLATFORM,
        create_sender_identity,
        "Register a sender identity",
        NewSenderIdentity,
        is_upsert=True,
        note=(
            "The workspace may send emails from it at once. With SES, an operator must create the identity there, too:"
            " SES sends only from verified ones. Several workspaces may have the same identity, such as a domain of"
            " yours that all customers send from. Registering it again changes nothing."
        ),
    ),
    Route("GET", ONE, PLATFORM, retrieve_sender_identity, "Retrieve a sender identity"),
    Route(
        "DELETE",
        ONE,
        PLATFORM,
        delete_sender_identity,
        "Delete a sender identity",
        note="The workspace may still send from it for up to 30 seconds. SES keeps the identity.",
    ),
)


def _workspace(services: Services, request: Request) -> str:
    """Return the id of the workspace in the path, whether that is its id or its uid."""
    found = services.workspaces.store.get(workspaces.name_in(request))
    if found is None or found.state.is_deleting:
        raise not_found("workspace")
    return found.id


def _find(services: Services, request: Request) -> SenderIdentity:
    workspace = _workspace(services, request)
    name = identity_name(unquote(request.path["identity"]))
    one = None if name is None else services.senders.store.get(workspace, name)
    if one is None:
        raise not_found("sender identity")
    return one


def _set_ids(services: Services, workspace: str) -> Iterator[str]:
    after: str | None = None
    while True:
        sets, after = services.configuration_sets.page(workspace, after=after, limit=100)
        yield from (one.id for one in sets)
        if after is None:
            return


def _shown(one: SenderIdentity) -> answers.SenderIdentity:
    return {"identity": one.name, "kind": one.kind, "createdAt": rfc3339(one.created_at)}
