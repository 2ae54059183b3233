"""A tenant of SES for each workspace, so that SES measures and pauses workspaces separately.

SES refuses an email through a tenant unless the sender's identity and the configuration set are associated with the
tenant, and refuses to delete a resource that is still associated with one.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from posthorn.aws.clients import call
from posthorn.domain.errors import RefusedSender, Unavailable
from posthorn.email.senders import covering

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from mypy_boto3_sesv2 import SESV2Client

# What an endpoint of SES answers to an operation that it does not know
_UNKNOWN: Final = frozenset({"404", "InvalidAction", "UnknownOperation", "UnknownOperationException"})
_UNKNOWN_TO_IAM: Final = "Unable to determine service/operation name"


class SesTenants:
    """Creates, completes and deletes tenants.

    `account` is the start of the ARNs of the account's resources in SES. Unless tenants are required, a region without
    them works without them.
    """

    def __init__(self, sesv2: SESV2Client, *, account: str, prefix: str, is_required: bool) -> None:
        self._sesv2 = sesv2
        self._account = account
        self._prefix = prefix
        self._is_required = is_required

    def name_of(self, workspace: str) -> str:
        return self._prefix + workspace

    def open(self, workspace: str, identity: str, set_ids: Iterable[str]) -> bool:
        """Create a workspace's tenant unless it exists, and associate an identity and sets; false without tenants."""
        try:
            with passing("AlreadyExistsException"):
                call(self._sesv2.create_tenant, TenantName=self.name_of(workspace))
        except Unavailable as error:
            if self._is_required or not _is_unknown(error):
                raise
            return False
        if not self._add_identity(workspace, identity):
            detail = "Must be an identity in SES, or part of one. An operator must create it there first."
            raise RefusedSender(detail, code="unknown_identity")
        for set_id in set_ids:
            with passing("NotFoundException"):  # a set that is being created or deleted
                self.add_set(workspace, set_id)
        return True

    def complete(self, workspace: str, address: str, set_id: str | None) -> None:
        """Associate what an email uses: an identity or a default set may be newer in SES than the registration."""
        self._add_identity(workspace, address)
        if set_id is not None:
            self.add_set(workspace, set_id)

    def add_set(self, workspace: str, set_id: str) -> None:
        """Associate a set; `Unavailable` with the code NotFoundException if the workspace has no tenant."""
        self._associate(workspace, self._set_arn(self._prefix + set_id))

    def remove_set(self, workspace: str, set_id: str) -> None:
        self._dissociate(workspace, self._set_arn(self._prefix + set_id))

    def remove_identity(self, workspace: str, identity: str, kept: Iterable[str]) -> None:
        """Dissociate an identity, except for what other identities of the workspace need."""
        needed = {name for other in kept for name in covering(other)}
        for name in covering(identity):
            if name not in needed:
                self._dissociate(workspace, self._identity_arn(name))

    def delete(self, workspace: str) -> None:
        """Delete a workspace's tenant with its associations; a missing one is ignored."""
        with self._unless_unknown(), passing("NotFoundException"):
            call(self._sesv2.delete_tenant, TenantName=self.name_of(workspace))

    def _add_identity(self, workspace: str, name: str) -> bool:
        """Associate the identity that SES uses for an address or domain, with its default set; false if none."""
        for one in covering(name):
            try:
                found = call(self._sesv2.get_email_identity, EmailIdentity=one)
            except Unavailable as error:
                if error.code != "NotFoundException":
                    raise
                continue
            self._associate(workspace, self._identity_arn(one))
            if default := found.get("ConfigurationSetName"):
                self._associate(workspace, self._set_arn(default))
            return True
        return False

    def _associate(self, workspace: str, arn: str) -> None:
        with self._unless_unknown(), passing("AlreadyExistsException"):
            call(
                self._sesv2.create_tenant_resource_association,
                TenantName=self.name_of(workspace),
                ResourceArn=arn,
            )

    def _dissociate(self, workspace: str, arn: str) -> None:
        with self._unless_unknown(), passing("NotFoundException"):
            call(
                self._sesv2.delete_tenant_resource_association,
                TenantName=self.name_of(workspace),
                ResourceArn=arn,
            )

    @contextmanager
    def _unless_unknown(self) -> Iterator[None]:
        """Ignore that a region has no tenants, unless they are required: then there is nothing to do."""
        try:
            yield
        except Unavailable as error:
            if self._is_required or not _is_unknown(error):
                raise

    def _identity_arn(self, name: str) -> str:
        return f"{self._account}:identity/{name}"

    def _set_arn(self, name: str) -> str:
        return f"{self._account}:configuration-set/{name}"


def has_tenants(operations: Collection[str]) -> bool:
    """Return whether botocore, which AWS upgrades in Lambda's runtime by itself, knows tenants."""
    return "CreateTenantResourceAssociation" in operations


@contextmanager
def passing(code: str) -> Iterator[None]:
    """Ignore one error code of SES that means that nothing is left to do."""
    try:
        yield
    except Unavailable as error:
        if error.code != code:
            raise


def _is_unknown(error: Unavailable) -> bool:
    return error.code in _UNKNOWN or _UNKNOWN_TO_IAM in str(error.__cause__)
