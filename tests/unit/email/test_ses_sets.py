"""Configuration sets in SES end up as requested, wherever an earlier try broke off."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from moto import mock_aws

from posthorn.domain.email_types import EMAIL_TYPES
from posthorn.domain.errors import Unavailable
from posthorn.domain.models import Suppression
from posthorn.email.ses import EVENT_DESTINATION, EVENTS, SesBackend
from tests.unit.email.ses import MODEL, NAME, REGION, SET, TOPIC, WORKSPACE, Ses, bodiless

if TYPE_CHECKING:
    from collections.abc import Callable

CREATE: Final = ("CreateConfigurationSet", "CreateConfigurationSetEventDestination")


@pytest.mark.parametrize(
    ("suppression", "reasons"),
    [
        (Suppression.NONE, []),
        (Suppression.BOUNCE, ["BOUNCE"]),
        (Suppression.COMPLAINT, ["COMPLAINT"]),
        (Suppression.BOUNCE_AND_COMPLAINT, ["BOUNCE", "COMPLAINT"]),
    ],
)
def test_a_set_has_the_requested_suppression(ses: Ses, suppression: Suppression, reasons: list[str]) -> None:
    """Each option becomes SES's list of reasons, on create and on update."""
    ses.backend.create_set(WORKSPACE, SET, suppression)
    made = list(ses.sets[NAME]["suppressed"])
    other = next(one for one in Suppression if one is not suppression)
    ses.backend.change_set(SET, other)
    changed = list(ses.sets[NAME]["suppressed"])
    ses.backend.change_set(SET, suppression)

    assert made == list(ses.sets[NAME]["suppressed"]) == reasons
    assert changed != reasons


def test_a_set_reports_every_event_to_our_topic(ses: Ses) -> None:
    """SES publishes every event type to the topic, and we have a name for each."""
    ses.backend.create_set(WORKSPACE, SET, Suppression.BOUNCE)

    assert list(ses.sets) == [NAME]
    assert ses.sets[NAME]["to"] == {
        EVENT_DESTINATION: {
            "Enabled": True,
            "MatchingEventTypes": EVENTS,
            "SnsDestination": {"TopicArn": TOPIC},
        }
    }
    known: Any = MODEL.shape_for("EventType")
    assert sorted(EVENTS) == sorted(known.enum)
    assert len(EVENTS) == len(EMAIL_TYPES)


def test_an_empty_list_of_reasons_reaches_ses() -> None:
    """NONE is sent as an empty list; omitting it would mean the account's own suppression."""
    bodies: dict[str, Any] = {}
    ses = Ses()

    def note(model: Any, params: dict[str, Any], **_: Any) -> None:
        bodies[model.name] = json.loads(params["body"])

    ses.client.meta.events.register_first("before-call.sesv2", note)
    ses.backend.create_set(WORKSPACE, SET, Suppression.NONE)
    ses.backend.change_set(SET, Suppression.NONE)

    assert bodies["CreateConfigurationSet"]["SuppressionOptions"] == {"SuppressedReasons": []}
    assert bodies["PutConfigurationSetSuppressionOptions"] == {"SuppressedReasons": []}


@pytest.mark.parametrize("suppression", list(Suppression))
def test_moto_knows_the_set_that_was_made(suppression: Suppression) -> None:
    """An independent implementation of SES reads back the requested suppression."""
    with mock_aws():
        client = boto3.client("sesv2", region_name=REGION)
        unknown_to_moto = "before-call.sesv2.CreateConfigurationSetEventDestination"
        done: Any = lambda **_: (bodiless(200), {})  # noqa: E731 - typed for the stubs
        client.meta.events.register(unknown_to_moto, done)
        SesBackend(client, topic_arn=TOPIC).create_set(WORKSPACE, SET, suppression)
        found = client.get_configuration_set(ConfigurationSetName=NAME)

    wanted = [reason for reason in ("BOUNCE", "COMPLAINT") if reason in suppression]
    assert found["SuppressionOptions"]["SuppressedReasons"] == wanted


def _made(suppression: Suppression) -> dict[str, dict[str, Any]]:
    ses = Ses()
    ses.backend.create_set(WORKSPACE, SET, suppression)
    return ses.sets


def _refused(ses: Ses, operation: str) -> None:
    ses.refuses[operation] = "TooManyRequestsException"


def _unanswered(ses: Ses, operation: str) -> None:
    ses.silent.add(operation)


@pytest.mark.parametrize("operation", CREATE)
@pytest.mark.parametrize("fault", [_refused, _unanswered])
def test_a_create_that_broke_off_is_completed(
    ses: Ses, operation: str, fault: Callable[[Ses, str], None]
) -> None:
    """Wherever the first create broke off, a second one with another suppression completes the set."""
    fault(ses, operation)
    with pytest.raises(Unavailable):
        ses.backend.create_set(WORKSPACE, SET, Suppression.NONE)
    half_done = {name: dict(one) for name, one in ses.sets.items()}

    ses.backend.create_set(WORKSPACE, SET, Suppression.BOUNCE_AND_COMPLAINT)

    assert half_done != ses.sets
    assert ses.sets == _made(Suppression.BOUNCE_AND_COMPLAINT)


def test_a_create_that_is_completed_can_break_off_again(ses: Ses) -> None:
    """Correcting the suppression may fail too; the next try continues from there."""
    for operation in (CREATE[1], "PutConfigurationSetSuppressionOptions"):
        _unanswered(ses, operation)
        with pytest.raises(Unavailable):
            ses.backend.create_set(WORKSPACE, SET, Suppression.COMPLAINT)

    ses.backend.create_set(WORKSPACE, SET, Suppression.COMPLAINT)

    assert ses.sets == _made(Suppression.COMPLAINT)


@pytest.mark.parametrize("fault", [_refused, _unanswered])
def test_a_delete_that_broke_off_is_completed(ses: Ses, fault: Callable[[Ses, str], None]) -> None:
    """Whether or not SES had deleted the set, the next try succeeds and the set is gone."""
    ses.backend.create_set(WORKSPACE, SET, Suppression.NONE)
    fault(ses, "DeleteConfigurationSet")
    with pytest.raises(Unavailable):
        ses.backend.delete_set(WORKSPACE, SET)

    ses.backend.delete_set(WORKSPACE, SET)

    assert ses.sets == {}


def test_half_a_set_can_be_deleted(ses: Ses) -> None:
    """A set without its event destination, or one that never existed, can be deleted like any other."""
    _refused(ses, CREATE[1])
    with pytest.raises(Unavailable):
        ses.backend.create_set(WORKSPACE, SET, Suppression.NONE)
    ses.backend.delete_set(WORKSPACE, SET)
    ses.backend.delete_set(WORKSPACE, "cs_never")

    assert ses.sets == {}


ACTS: Final[dict[str, Callable[[SesBackend], None]]] = {
    CREATE[0]: lambda backend: backend.create_set(WORKSPACE, SET, Suppression.NONE),
    CREATE[1]: lambda backend: backend.create_set(WORKSPACE, SET, Suppression.NONE),
    "PutConfigurationSetSuppressionOptions": lambda backend: backend.change_set(SET, Suppression.NONE),
    "DeleteConfigurationSet": lambda backend: backend.delete_set(WORKSPACE, SET),
}
# nothing is left to do, as the tests above show
HARMLESS: Final = {
    (CREATE[0], "AlreadyExistsException"),
    (CREATE[1], "AlreadyExistsException"),
    ("DeleteConfigurationSet", "NotFoundException"),
}


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (operation, code)
        for operation in ACTS
        for code in (
            *sorted(shape.name for shape in MODEL.operation_model(operation).error_shapes),
            "AccessDeniedException",
            "ThrottlingException",
        )
        if (operation, code) not in HARMLESS
    ],
)
def test_every_other_error_about_a_set_is_an_outage(ses: Ses, operation: str, code: str) -> None:
    """After any other SES error, the caller learns that the work is not done."""
    ses.refuses[operation] = code
    with pytest.raises(Unavailable) as raised:
        ACTS[operation](ses.backend)

    assert raised.value.code == code
