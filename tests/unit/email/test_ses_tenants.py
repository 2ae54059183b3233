"""SES tenants: a workspace's mails go through its tenant, which has what they use, wherever an earlier try broke off."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from posthorn.domain.errors import OperatorError, RefusedSender, Unavailable
from posthorn.domain.models import Suppression
from posthorn.email.ses import SesBackend
from posthorn.email.ses_tenants import has_tenants
from tests.unit.email.ses import ARN, MAIL, MODEL, NAME, SET, TOPIC, WORKSPACE, Ses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TENANT: Final = f"posthorn-{WORKSPACE}"
OTHER: Final = "wksp_01H3Z8V6R5N4M3K2J1H0G9F8E9"
SET_ARN: Final = f"{ARN}:configuration-set/{NAME}"
THROUGH: Final = replace(MAIL, has_tenant=True)


def identity(name: str) -> str:
    return f"{ARN}:identity/{name}"


def made(ses: Ses, *names: str) -> None:
    """Create identities in SES, and one of our sets."""
    ses.identities |= dict.fromkeys(names)
    ses.with_tenants.create_set(WORKSPACE, SET, Suppression.NONE)


def test_a_workspace_sends_through_its_tenant(ses: Ses) -> None:
    """The tenant has the identity and the sets that existed before; the mail names it."""
    made(ses, "shop.example")

    assert ses.with_tenants.add_sender(WORKSPACE, "shop.example", [SET])
    ses.with_tenants.send(THROUGH)

    assert ses.tenants == {TENANT: {identity("shop.example"), SET_ARN}}
    assert [sent.get("TenantName") for sent in ses.sent] == [TENANT]


def test_a_set_that_is_made_later_joins_the_tenant(ses: Ses) -> None:
    """Without the association, SES would refuse every mail with the set."""
    ses.identities["shop.example"] = None
    ses.with_tenants.add_sender(WORKSPACE, "shop.example", [])
    ses.with_tenants.create_set(WORKSPACE, SET, Suppression.NONE)

    assert SET_ARN in ses.tenants[TENANT]


def test_a_set_that_a_tenant_has_can_be_deleted(ses: Ses) -> None:
    """SES refuses to delete what is associated, so the association goes first; the tenant stays."""
    made(ses, "shop.example")
    ses.with_tenants.add_sender(WORKSPACE, "shop.example", [SET])
    ses.with_tenants.delete_set(WORKSPACE, SET)

    assert ses.sets == {}
    assert ses.tenants == {TENANT: {identity("shop.example")}}


def test_a_workspace_without_a_tenant_has_sets(ses: Ses) -> None:
    """Creating and deleting a set is the same as without tenants, and creates no tenant."""
    ses.with_tenants.create_set(WORKSPACE, SET, Suppression.NONE)
    assert list(ses.sets) == [NAME]
    ses.with_tenants.delete_set(WORKSPACE, SET)
    assert (ses.sets, ses.tenants) == ({}, {})


@pytest.mark.parametrize(
    ("known", "registered", "used"),
    [
        (["shop.example"], "shop.example", "shop.example"),
        (["shop.example"], "news.shop.example", "shop.example"),
        (["shop.example", "news.shop.example"], "news.shop.example", "news.shop.example"),
        (["shop.example"], "ann@shop.example", "shop.example"),
        (["shop.example", "ann@shop.example"], "ann@shop.example", "ann@shop.example"),
    ],
)
def test_the_tenant_gets_the_identity_that_ses_sends_with(
    ses: Ses, known: list[str], registered: str, used: str
) -> None:
    """That is the most specific one that SES knows; no identity above it becomes available to the tenant."""
    made(ses, *known)
    ses.with_tenants.add_sender(WORKSPACE, registered, [])
    assert ses.tenants == {TENANT: {identity(used)}}


def test_an_identity_that_ses_does_not_know_is_refused(ses: Ses) -> None:
    """An operator must create it first; parents of the registered domain count, relatives do not."""
    ses.identities |= {"other.example": None, "news.shop.example": None}
    with pytest.raises(RefusedSender) as raised:
        ses.with_tenants.add_sender(WORKSPACE, "shop.example", [])

    assert raised.value.code == "unknown_identity"
    assert "operator" in raised.value.detail


def test_the_default_set_of_an_identity_joins_the_tenant(ses: Ses) -> None:
    """SES applies it to mails without a set, and refuses them unless the tenant has it."""
    made(ses, "shop.example")
    ses.identities["shop.example"] = NAME
    ses.with_tenants.add_sender(WORKSPACE, "shop.example", [])
    ses.with_tenants.send(replace(THROUGH, configuration_set=None))

    assert len(ses.sent) == 1
    assert ses.tenants == {TENANT: {identity("shop.example"), SET_ARN}}


def _address_becomes_an_identity(ses: Ses) -> None:
    ses.identities["ann@shop.example"] = None


def _identity_gets_a_default_set(ses: Ses) -> None:
    ses.sets["default"] = {"suppressed": [], "to": {}}
    ses.identities["shop.example"] = "default"


def _associations_are_gone(ses: Ses) -> None:
    ses.tenants[TENANT].clear()


@pytest.mark.parametrize(
    "change", [_address_becomes_an_identity, _identity_gets_a_default_set, _associations_are_gone]
)
@pytest.mark.parametrize("with_set", [True, False])
def test_a_tenant_is_completed_when_ses_refuses_a_mail(
    ses: Ses, change: Callable[[Ses], None], with_set: bool
) -> None:
    """What changes in SES after the registration costs one refused call; the mail is sent once."""
    made(ses, "shop.example")
    ses.with_tenants.add_sender(WORKSPACE, "shop.example", [SET])
    change(ses)
    mail = THROUGH if with_set else replace(THROUGH, configuration_set=None)

    ses.with_tenants.send(mail)
    ses.with_tenants.send(mail)

    assert len(ses.sent) == 2


def test_what_no_association_mends_is_the_operators(ses: Ses) -> None:
    """If SES still refuses the mail, the call fails with its error, and the mail is not sent."""
    made(ses, "shop.example")
    ses.with_tenants.add_sender(WORKSPACE, "shop.example", [SET])
    answers = iter(["AccessDeniedException", "AccessDeniedException"])
    ses.client.meta.events.register_first(
        "provide-client-params.sesv2.SendEmail",
        lambda **_: ses.refuses.__setitem__("SendEmail", next(answers)),
    )
    with pytest.raises(OperatorError) as raised:
        ses.with_tenants.send(THROUGH)

    assert (raised.value.operation, raised.value.code) == ("send_email", "AccessDeniedException")
    assert ses.sent == []
    assert next(answers, None) is None


def test_a_tenant_that_is_gone_is_not_made_again_by_a_mail(ses: Ses) -> None:
    """A mail of a workspace that was just deleted must leave nothing behind."""
    made(ses, "shop.example")
    ses.with_tenants.add_sender(WORKSPACE, "shop.example", [SET])
    ses.with_tenants.delete_tenant(WORKSPACE)
    with pytest.raises(OperatorError):
        ses.with_tenants.send(THROUGH)

    assert (ses.sent, ses.tenants) == ([], {})


@pytest.mark.parametrize("code", ["TooManyRequestsException", "SendingPausedException", "MessageRejected"])
def test_any_other_refusal_is_passed_on(ses: Ses, code: str) -> None:
    """Only a missing association is completed: a mail that may have been sent is never sent again."""
    made(ses, "shop.example")
    ses.with_tenants.add_sender(WORKSPACE, "shop.example", [SET])
    ses.refuses["SendEmail"] = code
    with pytest.raises(Exception, match=r".") as raised:
        ses.with_tenants.send(THROUGH)

    assert (
        type(raised.value).__name__
        == {
            "TooManyRequestsException": "Unavailable",
            "SendingPausedException": "OperatorError",
            "MessageRejected": "RejectedMail",
        }[code]
    )
    assert ses.sent == []


def test_a_mail_of_no_identity_goes_without_a_tenant(ses: Ses) -> None:
    """So does every mail if the installation has no tenants."""
    made(ses, "shop.example")
    ses.with_tenants.send(MAIL)
    ses.backend.send(THROUGH)

    assert ["TenantName" in sent for sent in ses.sent] == [False, False]
    assert ses.backend.add_sender(WORKSPACE, "unknown.example", []) is False
    ses.backend.remove_sender(WORKSPACE, "unknown.example", [])
    ses.backend.delete_tenant(WORKSPACE)
    assert ses.tenants == {}


@pytest.mark.parametrize(
    ("kept", "left"),
    [
        ([], set()),
        (["other.example"], set()),
        (["bob@shop.example"], {"shop.example"}),
        (["shop.example"], {"shop.example"}),
        (["ann@shop.example"], {"shop.example", "ann@shop.example"}),
    ],
)
def test_removing_an_identity_keeps_what_others_need(ses: Ses, kept: list[str], left: set[str]) -> None:
    """The rest is dissociated, so that an operator can delete the identity in SES; the tenant keeps its reputation."""
    made(ses, "shop.example", "ann@shop.example")
    for name in ("shop.example", "ann@shop.example"):
        ses.with_tenants.add_sender(WORKSPACE, name, [])
    ses.with_tenants.remove_sender(WORKSPACE, "ann@shop.example", kept)

    assert ses.tenants == {TENANT: {identity(name) for name in left}}


def test_deleting_a_tenant_leaves_others_alone(ses: Ses) -> None:
    """It takes the associations along, and can be repeated."""
    made(ses, "shop.example")
    for workspace in (WORKSPACE, OTHER):
        ses.with_tenants.add_sender(workspace, "shop.example", [])
    ses.with_tenants.delete_tenant(WORKSPACE)
    ses.with_tenants.delete_tenant(WORKSPACE)

    assert ses.tenants == {f"posthorn-{OTHER}": {identity("shop.example")}}


STEPS: Final = ("CreateTenant", "GetEmailIdentity", "CreateTenantResourceAssociation")


@pytest.mark.parametrize("operation", STEPS)
@pytest.mark.parametrize("is_silent", [True, False])
def test_a_registration_that_broke_off_is_completed(ses: Ses, operation: str, is_silent: bool) -> None:
    """Wherever the first try broke off, the second one leaves the same as a single one."""
    made(ses, "shop.example")
    if is_silent:
        ses.silent.add(operation)
    else:
        ses.refuses[operation] = "TooManyRequestsException"
    with pytest.raises(Unavailable):
        ses.with_tenants.add_sender(WORKSPACE, "shop.example", [SET])

    assert ses.with_tenants.add_sender(WORKSPACE, "shop.example", [SET])
    assert ses.tenants == {TENANT: {identity("shop.example"), SET_ARN}}


def test_a_quota_of_tenants_is_the_operators(ses: Ses) -> None:
    """No retry overcomes it."""
    ses.refuses["CreateTenant"] = "LimitExceededException"
    with pytest.raises(OperatorError):
        ses.with_tenants.add_sender(WORKSPACE, "shop.example", [])


# An endpoint that does not know an operation answers in one of these ways: its service's code, or IAM's refusal to
# name the operation, or a 404 without a code.
UNKNOWN: Final = [
    (404, "UnknownOperationException", ""),
    (403, "AccessDeniedException", "Unable to determine service/operation name to be authorized"),
    (404, "", ""),
]


@pytest.fixture(params=UNKNOWN, ids=["service", "iam", "bare"])
def region(request: pytest.FixtureRequest, ses: Ses) -> Ses:
    """Return an SES without tenants, which answers over HTTP."""
    status, code, message = request.param

    def answer(request: Any, **_: Any) -> AWSResponse:
        content = json.dumps({"message": message} if code else {}).encode()

        class Raw:
            def stream(self, **_: object) -> Iterator[bytes]:
                yield content

        headers = HTTPHeaders()
        if code:
            headers["x-amzn-errortype"] = code
        return AWSResponse(request.url, status, headers, Raw())

    for operation in MODEL.operation_names:
        if "Tenant" in operation:
            answering: Any = answer  # which the stubs type as returning nothing
            ses.client.meta.events.register_first(f"before-send.sesv2.{operation}", answering)
            ses.over_http.add(operation)
    return ses


def test_a_region_without_tenants_works_without(region: Ses) -> None:
    """Sets can be created and deleted, an identity is registered without a tenant, and mails are sent."""
    backend = region.with_tenants
    backend.create_set(WORKSPACE, SET, Suppression.NONE)
    has_tenant = backend.add_sender(WORKSPACE, "shop.example", [SET])
    backend.send(replace(MAIL, has_tenant=has_tenant))
    backend.remove_sender(WORKSPACE, "shop.example", [])
    backend.delete_set(WORKSPACE, SET)
    backend.delete_tenant(WORKSPACE)

    assert has_tenant is False
    assert [sent.get("TenantName") for sent in region.sent] == [None]
    assert region.sets == {}


def test_required_tenants_are_not_left_out(region: Ses) -> None:
    """With `SesTenants=on`, a region without them is an error and no silent loss of separation."""
    tenants = region.tenants_of(is_required=True)
    backend = SesBackend(region.client, topic_arn=TOPIC, tenants=tenants)
    with pytest.raises(Unavailable):
        backend.add_sender(WORKSPACE, "shop.example", [])


def test_a_missing_permission_is_no_region_without_tenants(ses: Ses) -> None:
    """IAM's ordinary refusal is the operator's to mend, even with `SesTenants=auto`."""
    ses.words = "User is not authorized to perform: ses:CreateTenant on resource: x"
    ses.refuses["CreateTenant"] = "AccessDeniedException"
    with pytest.raises(OperatorError) as raised:
        ses.with_tenants.add_sender(WORKSPACE, "shop.example", [])

    assert raised.value.permission == "ses:CreateTenant"


def test_tenants_are_found_in_the_model_of_the_service() -> None:
    """A runtime whose botocore is older than tenants has none of their operations."""
    assert has_tenants(MODEL.operation_names)
    assert not has_tenants([name for name in MODEL.operation_names if "Tenant" not in name])
