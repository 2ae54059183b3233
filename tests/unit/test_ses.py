"""The SES backend: SES's configuration sets are what ours say, whatever broke off, and a mail is sent once."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError
from botocore.session import Session
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from moto.ses.models import ses_backends

from posthorn import aws
from posthorn.email.mail import Mail
from posthorn.email.ses import EVENT_DESTINATION, EVENTS, SesBackend
from posthorn.email_types import EMAIL_TYPES, MESSAGE_TAG, OWN_TAGS, SET_TAG, WORKSPACE_TAG
from posthorn.errors import RejectedMail, Unavailable
from posthorn.models import Suppression

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.model import Shape

REGION: Final = "us-east-1"
ACCOUNT: Final = "123456789012"
TOPIC: Final = f"arn:aws:sns:{REGION}:{ACCOUNT}:feedback"
SET: Final = "cs_01H3Z8V6R5N4M3K2J1H0G9F8E7"
NAME: Final = f"posthorn-{SET}"
MODEL: Final = Session().get_service_model("sesv2")
TAG: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")  # SES's rule for names and values

MAIL: Final = Mail(
    message_id="550e8400-e29b-41d4-a716-446655440000",
    workspace="wksp_01H3Z8V6R5N4M3K2J1H0G9F8E8",
    configuration_set=SET,
    sender="Ann <ann@shop.example>",
    to=("bob@mail.example",),
    subject="Grüße",
    html="<p>Grüße</p>",
)
FULL: Final = replace(
    MAIL,
    to=("bob@mail.example", "Bea <bea@mail.example>"),
    cc=("carl@mail.example",),
    bcc=("dora@mail.example",),
    reply_to=("help@shop.example",),
    text="Grüße",
    headers=(("List-Unsubscribe", "<https://shop.example/u>"), ("X-Order", "7")),
    tags=(("campaign", "spring"), ("ab", "B")),
)

CREATE: Final = ("CreateConfigurationSet", "CreateConfigurationSetEventDestination")


def breaks_of(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """Yield where a value breaks what the service model says and botocore does not check itself."""
    rules = shape.metadata
    if "enum" in rules and value not in rules["enum"]:
        yield f"{path}: not one of {rules['enum']}"
    if "pattern" in rules and not re.fullmatch(rules["pattern"], value):
        yield f"{path}: not {rules['pattern']}"
    if "max" in rules and len(value) > rules["max"]:
        yield f"{path}: more than {rules['max']}"
    members: Any = shape
    if shape.type_name == "structure":
        for name, one in value.items():
            yield from breaks_of(members.members[name], one, f"{path}.{name}")
    elif shape.type_name == "list":
        for number, one in enumerate(value):
            yield from breaks_of(members.member, one, f"{path}[{number}]")


def check(operation: str, parameters: dict[str, Any]) -> None:
    """Hold a request against the service model."""
    shape = MODEL.operation_model(operation).input_shape
    assert shape is not None
    report = ParamValidator().validate(parameters, shape)
    assert not report.has_errors(), report.generate_report()
    assert list(breaks_of(shape, parameters)) == []


@dataclass
class Ses:
    """SES as it answers to a real client: every request goes through botocore and its service model.

    moto does not know the event destinations and suppression options of a set, so this does. An operation
    named in `refuses` fails with that code and changes nothing; one in `silent` is done and never answered.
    """

    sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    sent: list[dict[str, Any]] = field(default_factory=list)
    refuses: dict[str, str] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    words: str = "no"

    def __post_init__(self) -> None:
        self.client = boto3.client(
            "sesv2", region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing"
        )
        self.backend = SesBackend(self.client, topic_arn=TOPIC)
        self._asked: dict[str, Any] = {}
        self.client.meta.events.register("provide-client-params.sesv2", self._ask)
        answer: Any = self._answer  # which the stubs expect to return nothing
        self.client.meta.events.register("before-call.sesv2", answer)

    def _ask(self, params: dict[str, Any], **_: Any) -> None:
        self._asked = params

    def _answer(self, model: Any, **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        check(model.name, self._asked)
        code = self.refuses.pop(model.name, None) or self._do(model.name, dict(self._asked))
        if model.name in self.silent:
            self.silent.remove(model.name)
            raise ReadTimeoutError(endpoint_url="https://email.us-east-1.amazonaws.com/")
        status = 200
        if code is not None:
            errors = {shape.name: shape.metadata["error"] for shape in MODEL.error_shapes}
            status = errors.get(code, {}).get("httpStatusCode", 500)
        parsed: dict[str, Any] = {"ResponseMetadata": {"HTTPStatusCode": status}}
        if code is not None:
            parsed["Error"] = {"Code": code, "Message": self.words}
        return _http(status), parsed

    def _do(self, operation: str, asked: dict[str, Any]) -> str | None:
        """Do what is asked, or return the code of what is wrong with it."""
        if operation == "SendEmail":
            self.sent.append(asked)
            return None
        name = asked.pop("ConfigurationSetName")
        if operation == "CreateConfigurationSet":
            if name in self.sets:
                return "AlreadyExistsException"
            self.sets[name] = {"suppressed": asked.pop("SuppressionOptions")["SuppressedReasons"], "to": {}}
        elif name not in self.sets:
            return "NotFoundException"
        elif operation == "DeleteConfigurationSet":
            del self.sets[name]
        elif operation == "PutConfigurationSetSuppressionOptions":
            self.sets[name]["suppressed"] = asked.pop("SuppressedReasons")
        elif operation == "CreateConfigurationSetEventDestination":
            destination = asked.pop("EventDestinationName")
            if destination in self.sets[name]["to"]:
                return "AlreadyExistsException"
            self.sets[name]["to"][destination] = asked.pop("EventDestination")
        else:
            raise AssertionError(f"a call the API's role may not make: {operation}")
        assert asked == {}, "asked for more than anybody looks at"
        return None


def _http(status: int) -> AWSResponse:
    return AWSResponse("", status, HTTPHeaders(), None)


@pytest.fixture
def ses() -> Ses:
    return Ses()


# ---- configuration sets


@pytest.mark.parametrize(
    ("suppression", "reasons"),
    [
        (Suppression.NONE, []),
        (Suppression.BOUNCE, ["BOUNCE"]),
        (Suppression.COMPLAINT, ["COMPLAINT"]),
        (Suppression.BOUNCE_AND_COMPLAINT, ["BOUNCE", "COMPLAINT"]),
    ],
)
def test_a_set_suppresses_what_it_was_made_to(ses: Ses, suppression: Suppression, reasons: list[str]) -> None:
    """Each option becomes SES's list of reasons, when a set is made and when it is changed."""
    ses.backend.create_set(SET, suppression)
    made = list(ses.sets[NAME]["suppressed"])
    other = next(one for one in Suppression if one is not suppression)
    ses.backend.change_set(SET, other)
    changed = list(ses.sets[NAME]["suppressed"])
    ses.backend.change_set(SET, suppression)

    assert made == list(ses.sets[NAME]["suppressed"]) == reasons
    assert changed != reasons


def test_a_set_reports_every_event_to_our_topic(ses: Ses) -> None:
    """SES publishes all its event types to the topic, each of which we have a name for."""
    ses.backend.create_set(SET, Suppression.BOUNCE)

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
    """NONE is said and not left out, since a set that says nothing suppresses what the account does."""
    bodies: dict[str, Any] = {}
    ses = Ses()

    def note(model: Any, params: dict[str, Any], **_: Any) -> None:
        bodies[model.name] = json.loads(params["body"])

    ses.client.meta.events.register_first("before-call.sesv2", note)
    ses.backend.create_set(SET, Suppression.NONE)
    ses.backend.change_set(SET, Suppression.NONE)

    assert bodies["CreateConfigurationSet"]["SuppressionOptions"] == {"SuppressedReasons": []}
    assert bodies["PutConfigurationSetSuppressionOptions"] == {"SuppressedReasons": []}


@pytest.mark.parametrize("suppression", list(Suppression))
def test_moto_knows_the_set_that_was_made(suppression: Suppression) -> None:
    """An implementation of SES that is not ours reads back the suppression that was asked for."""
    with mock_aws():
        client = boto3.client("sesv2", region_name=REGION)
        unknown_to_moto = "before-call.sesv2.CreateConfigurationSetEventDestination"
        done: Any = lambda **_: (_http(200), {})  # noqa: E731 - typed for the stubs
        client.meta.events.register(unknown_to_moto, done)
        SesBackend(client, topic_arn=TOPIC).create_set(SET, suppression)
        found = client.get_configuration_set(ConfigurationSetName=NAME)

    wanted = [reason for reason in ("BOUNCE", "COMPLAINT") if reason in suppression]
    assert found["SuppressionOptions"]["SuppressedReasons"] == wanted


def _made(suppression: Suppression) -> dict[str, dict[str, Any]]:
    ses = Ses()
    ses.backend.create_set(SET, suppression)
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
    """Wherever the first try ends, a second one, which wants another suppression, leaves a whole set."""
    fault(ses, operation)
    with pytest.raises(Unavailable):
        ses.backend.create_set(SET, Suppression.NONE)
    half_done = {name: dict(one) for name, one in ses.sets.items()}

    ses.backend.create_set(SET, Suppression.BOUNCE_AND_COMPLAINT)

    assert half_done != ses.sets
    assert ses.sets == _made(Suppression.BOUNCE_AND_COMPLAINT)


def test_a_create_that_is_completed_can_break_off_again(ses: Ses) -> None:
    """Putting the suppression right may fail as well, and the next try goes on from there."""
    for operation in (CREATE[1], "PutConfigurationSetSuppressionOptions"):
        _unanswered(ses, operation)
        with pytest.raises(Unavailable):
            ses.backend.create_set(SET, Suppression.COMPLAINT)

    ses.backend.create_set(SET, Suppression.COMPLAINT)

    assert ses.sets == _made(Suppression.COMPLAINT)


@pytest.mark.parametrize("fault", [_refused, _unanswered])
def test_a_delete_that_broke_off_is_completed(ses: Ses, fault: Callable[[Ses, str], None]) -> None:
    """Whether SES had deleted the set or not, the next try ends well and the set is gone."""
    ses.backend.create_set(SET, Suppression.NONE)
    fault(ses, "DeleteConfigurationSet")
    with pytest.raises(Unavailable):
        ses.backend.delete_set(SET)

    ses.backend.delete_set(SET)

    assert ses.sets == {}


def test_half_a_set_can_be_deleted(ses: Ses) -> None:
    """A set that never got its way to the topic, and one that never was, are deleted like any other."""
    _refused(ses, CREATE[1])
    with pytest.raises(Unavailable):
        ses.backend.create_set(SET, Suppression.NONE)
    ses.backend.delete_set(SET)
    ses.backend.delete_set("cs_never")

    assert ses.sets == {}


ACTS: Final[dict[str, Callable[[SesBackend], None]]] = {
    CREATE[0]: lambda backend: backend.create_set(SET, Suppression.NONE),
    CREATE[1]: lambda backend: backend.create_set(SET, Suppression.NONE),
    "PutConfigurationSetSuppressionOptions": lambda backend: backend.change_set(SET, Suppression.NONE),
    "DeleteConfigurationSet": lambda backend: backend.delete_set(SET),
}
# there is nothing left to do, which the tests above see
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
    """Whatever else SES answers, the caller hears that the work is not done."""
    ses.refuses[operation] = code
    with pytest.raises(Unavailable) as raised:
        ACTS[operation](ses.backend)

    assert raised.value.code == code


# ---- sending


def test_everything_of_a_mail_reaches_ses(ses: Ses) -> None:
    """Addresses, both bodies, headers, tags and the configuration set are where SES looks for them."""
    ses.backend.send(FULL)

    (sent,) = ses.sent
    tags = sent.pop("EmailTags")
    assert sent == {
        "FromEmailAddress": "Ann <ann@shop.example>",
        "Destination": {
            "ToAddresses": ("bob@mail.example", "Bea <bea@mail.example>"),
            "CcAddresses": ("carl@mail.example",),
            "BccAddresses": ("dora@mail.example",),
        },
        "ReplyToAddresses": ("help@shop.example",),
        "Content": {
            "Simple": {
                "Subject": {"Data": "Grüße", "Charset": "UTF-8"},
                "Body": {
                    "Html": {"Data": "<p>Grüße</p>", "Charset": "UTF-8"},
                    "Text": {"Data": "Grüße", "Charset": "UTF-8"},
                },
                "Headers": [
                    {"Name": "List-Unsubscribe", "Value": "<https://shop.example/u>"},
                    {"Name": "X-Order", "Value": "7"},
                ],
            }
        },
        "ConfigurationSetName": NAME,
    }
    assert {tag["Name"]: tag["Value"] for tag in tags} == {
        "campaign": "spring",
        "ab": "B",
        MESSAGE_TAG: MAIL.message_id,
        WORKSPACE_TAG: MAIL.workspace,
        SET_TAG: SET,
    }
    assert len(tags) == 5


def test_what_a_mail_lacks_is_not_sent(ses: Ses) -> None:
    """A text to one address without a set names no set, no empty list and no HTML."""
    ses.backend.send(replace(MAIL, configuration_set=None, html=None, text="Hi"))

    (sent,) = ses.sent
    assert sent.keys() == {"FromEmailAddress", "Destination", "Content", "EmailTags"}
    assert sent["Destination"] == {"ToAddresses": ("bob@mail.example",)}
    assert sent["Content"]["Simple"].keys() == {"Subject", "Body"}
    assert sent["Content"]["Simple"]["Body"].keys() == {"Text"}
    assert SET_TAG not in {tag["Name"] for tag in sent["EmailTags"]}


@cache
def _ses_of_all_examples() -> Ses:
    return Ses()  # making a client takes longer than a hundred sends


@given(
    tags=st.dictionaries(
        st.sampled_from(sorted(OWN_TAGS)) | st.from_regex(r"\A[A-Za-z0-9_-]{1,256}\Z"),
        st.from_regex(r"\A[A-Za-z0-9_-]{1,256}\Z"),
        max_size=10,
    ),
    with_set=st.booleans(),
)
def test_no_tag_of_a_caller_passes_for_ours(tags: dict[str, str], *, with_set: bool) -> None:
    """Every name is sent once, ours say what we say, and all keep SES's rules."""
    ses = _ses_of_all_examples()
    ses.sent.clear()
    own = {MESSAGE_TAG: MAIL.message_id, WORKSPACE_TAG: MAIL.workspace} | ({SET_TAG: SET} if with_set else {})

    ses.backend.send(replace(MAIL, configuration_set=SET if with_set else None, tags=tuple(tags.items())))

    sent = ses.sent[0]["EmailTags"]
    names = [tag["Name"] for tag in sent]
    assert len(names) == len(set(names))
    assert all(TAG.fullmatch(tag["Name"]) and TAG.fullmatch(tag["Value"]) for tag in sent)
    others = {name: value for name, value in tags.items() if name not in OWN_TAGS}
    assert {tag["Name"]: tag["Value"] for tag in sent} == others | own


@pytest.mark.parametrize("name", ["X-SES-CONFIGURATION-SET", "x-ses-message-tags", "X-Ses-Source-Arn"])
def test_headers_that_command_ses_are_refused(ses: Ses, name: str) -> None:
    """Nobody names another customer's set, tags or sender in a header, however it is spelled."""
    with pytest.raises(RejectedMail) as raised:
        ses.backend.send(replace(MAIL, headers=((name, "posthorn-cs_other"),)))

    assert (raised.value.code, raised.value.pointer) == ("reserved_header", "/headers")
    assert ses.sent == []


def test_a_mail_goes_through_moto() -> None:
    """An implementation of SES that is not ours finds sender, addresses, subject and body."""
    with mock_aws():
        client = boto3.client("sesv2", region_name=REGION)
        client.create_email_identity(EmailIdentity="shop.example")
        SesBackend(client, topic_arn=TOPIC).send(FULL)
        (sent,) = ses_backends[ACCOUNT][REGION].sent_messages

    assert (sent.source, sent.subject, sent.body) == (FULL.sender, FULL.subject, FULL.html)
    assert {kind: tuple(found) for kind, found in sent.destinations.items()} == {
        "ToAddresses": FULL.to,
        "CcAddresses": FULL.cc,
        "BccAddresses": FULL.bcc,
    }


def test_a_sender_that_is_not_verified_is_the_customers_affair() -> None:
    """An unverified sender is rejected by moto as by SES, and that becomes a rejection."""
    with mock_aws():
        client = boto3.client("sesv2", region_name=REGION)
        with pytest.raises(RejectedMail) as raised:
            SesBackend(client, topic_arn=TOPIC).send(MAIL)

    assert raised.value.code == "mail_rejected"


# what each error of SendEmail becomes: the code of a rejection, or an outage
SEND_ERRORS: Final = {
    "MessageRejected": "mail_rejected",
    "MailFromDomainNotVerifiedException": "sender_not_verified",
    "BadRequestException": "invalid_mail",
    "AccountSuspendedException": None,
    "SendingPausedException": None,
    "TooManyRequestsException": None,
    "LimitExceededException": None,
    "NotFoundException": None,  # of a set that we know, so it is ours to put right
}


def test_no_error_of_a_send_is_forgotten() -> None:
    """The table of errors holds what the service model lists, so a new one is a decision."""
    assert SEND_ERRORS.keys() == {shape.name for shape in MODEL.operation_model("SendEmail").error_shapes}


@pytest.mark.parametrize(("code", "rejection"), SEND_ERRORS.items())
def test_each_error_of_a_send_is_the_customers_or_ours(ses: Ses, code: str, rejection: str | None) -> None:
    """A mail that will never be taken is a rejection, everything else a reason to try again."""
    ses.refuses["SendEmail"] = code
    with pytest.raises(Unavailable if rejection is None else RejectedMail) as raised:
        ses.backend.send(MAIL)

    assert getattr(raised.value, "code", None) == (rejection or code)
    assert getattr(raised.value, "refused", True)  # SES answered, so nothing was sent


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalFailure", "AccessDeniedException", "new"])
def test_an_error_that_no_model_lists_is_ours(ses: Ses, code: str) -> None:
    """Throttling, permissions and whatever SES thinks of next are nothing a customer can change."""
    ses.refuses["SendEmail"] = code
    with pytest.raises(Unavailable) as raised:
        ses.backend.send(MAIL)

    assert raised.value.code == code


@pytest.mark.parametrize("code", [code for code, rejection in SEND_ERRORS.items() if rejection])
def test_a_rejection_repeats_nothing(ses: Ses, code: str) -> None:
    """SES's own words, which name addresses, the region and the account, are not passed on."""
    ses.words = f"Email address is not verified: ann@shop.example in {REGION.upper()} of {ACCOUNT}"
    ses.refuses["SendEmail"] = code
    with pytest.raises(RejectedMail) as raised:
        ses.backend.send(MAIL)

    told = f"{raised.value} {raised.value.detail}".lower()
    for secret in ("ann@", "shop.example", "bob@", "grüße", REGION, ACCOUNT, "posthorn", SET.lower()):
        assert secret not in told


def test_what_botocore_refuses_is_a_rejection(ses: Ses) -> None:
    """A request that does not even leave the client is the customer's to change, not an outage."""
    with pytest.raises(RejectedMail) as raised:
        ses.backend.send(replace(MAIL, headers=(("X-Empty", ""),)))

    assert raised.value.code == "invalid_mail"
    assert ses.sent == []


def test_a_send_without_an_answer_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """SES may have taken a mail that it never answered, so neither botocore nor we send it again."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    aws._client.cache_clear()
    client = aws.client("sesv2")
    tries = []

    def no_answer(request: Any, **_: Any) -> None:
        tries.append(request.url)
        raise ReadTimeoutError(endpoint_url=request.url)

    client.meta.events.register("before-send.sesv2.SendEmail", no_answer)
    try:
        with pytest.raises(Unavailable) as raised:
            SesBackend(client, topic_arn=TOPIC).send(MAIL)
    finally:
        aws._client.cache_clear()

    assert len(tries) == 1
    assert not raised.value.refused
