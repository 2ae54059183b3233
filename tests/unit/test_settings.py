"""Settings are checked when the environment is read; errors name the variable, never its value."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthorn.domain.email_choices import EmailBackend, SenderIdentities, SesTenants
from posthorn.domain.errors import SettingsError
from posthorn.domain.workspace_limits import WorkspaceLimits
from posthorn.settings import (
    ApiSettings,
    Brand,
    BuiltInEventTypes,
    DeliverySettings,
    FeedbackSettings,
    PurgeSettings,
    ReplaySettings,
    Store,
    SweepSettings,
    api_settings,
    delivery_settings,
    feedback_settings,
    purge_settings,
    replay_settings,
    sweep_settings,
)

STORE: Final = {
    "CONFIG_TABLE": "config",
    "EVENTS_TABLE": "events",
    "DELIVERIES_TABLE": "deliveries",
    "RETENTION_DAYS": "30",
    "ALLOW_PRIVATE_TARGETS": "false",
    "STAGE": "prod",
}
TOPIC: Final = "arn:aws:sns:us-east-1:123456789012:feedback"
BRAND: Final = {
    "BRAND_HEADER_PREFIX": "X-SMASHSEND",
    "BRAND_ALIAS_HEADER": "X-Zootools-Signature",
    "BRAND_USER_AGENT": "SMASHSEND-Webhook/1.0",
    "EMAIL_BRAND_HEADER_PREFIX": "X-Splashify",
    "EMAIL_BRAND_USER_AGENT": "Splashify-Pro-Webhook/1.0",
}
LIMITS: Final = {
    "ENDPOINT_LIMIT": "1",
    "ENDPOINTS_PER_HOST_LIMIT": "2",
    "CONFIGURATION_SET_LIMIT": "3",
    "EVENTS_PER_SECOND_LIMIT": "4",
    "DELIVERIES_PER_REQUEST_LIMIT": "5",
    "REPLAY_LIMIT": "6",
    "REPLAYS_PER_ENDPOINT_LIMIT": "7",
    "TEST_SENDS_PER_MINUTE_LIMIT": "8",
}
API: Final = {
    **STORE,
    **BRAND,
    **LIMITS,
    "DELIVER_QUEUE_URL": "https://sqs.example/deliver",
    "FIRST_RETRY_QUEUE_URL": "https://sqs.example/first",
    "SECOND_RETRY_QUEUE_URL": "https://sqs.example/second",
    "THIRD_RETRY_QUEUE_URL": "https://sqs.example/third",
    "REPLAY_QUEUE_URL": "https://sqs.example/replay",
    "PURGE_QUEUE_URL": "https://sqs.example/purge",
    "SECRETS_KEY": "arn:aws:kms:us-east-1:123456789012:key/1",
    "BUILT_IN_EVENT_TYPES": "smashsend",
    "EMAIL_BACKEND": "ses",
    "SENDER_IDENTITIES": "enforced",
    "SES_TENANTS": "auto",
    "FEEDBACK_TOPIC_ARN": TOPIC,
    "API_HOST": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
    "API_DOMAIN_NAMES": "",
}
FEEDBACK: Final = {**STORE, "DEAD_LETTER_QUEUE_URL": "https://sqs.example/dead-letters"}
REPLAY: Final = {
    **FEEDBACK,
    "DELIVER_QUEUE_URL": "https://sqs.example/deliver",
    "REPLAY_QUEUE_URL": "https://sqs.example/replay",
}
PURGE: Final = {
    **FEEDBACK,
    "EMAIL_BACKEND": "ses",
    "SES_TENANTS": "auto",
    "FEEDBACK_TOPIC_ARN": TOPIC,
    "PURGE_QUEUE_URL": "https://sqs.example/purge",
}
DELIVERY: Final = {
    **STORE,
    **BRAND,
    "DELIVER_QUEUE_URL": "https://sqs.example/deliver",
    "FIRST_RETRY_QUEUE_URL": "https://sqs.example/first",
    "SECOND_RETRY_QUEUE_URL": "https://sqs.example/second",
    "THIRD_RETRY_QUEUE_URL": "https://sqs.example/third",
    "FIRST_RETRY_DELAY": "60",
    "SECOND_RETRY_DELAY": "300",
    "THIRD_RETRY_DELAY": "900",
    "DEAD_LETTER_QUEUE_URL": "https://sqs.example/dead-letters",
    "ATTEMPT_DEADLINE": "10",
    "NOTICE_TARGET": "",
    "API_HOST": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
    "API_DOMAIN_NAMES": "",
}
SWEEP: Final = {
    **STORE,
    "DELIVER_QUEUE_URL": "https://sqs.example/deliver",
    "FIRST_RETRY_QUEUE_URL": "https://sqs.example/first",
    "SECOND_RETRY_QUEUE_URL": "https://sqs.example/second",
    "THIRD_RETRY_QUEUE_URL": "https://sqs.example/third",
    "SWEEP_GRACE": "600",
}
NUMBERS: Final = frozenset(
    {
        "RETENTION_DAYS",
        "FIRST_RETRY_DELAY",
        "SECOND_RETRY_DELAY",
        "THIRD_RETRY_DELAY",
        "ATTEMPT_DEADLINE",
        "SWEEP_GRACE",
        *LIMITS,
    }
)
OPTIONAL: Final = frozenset({"STAGE", "BRAND_ALIAS_HEADER", "API_DOMAIN_NAMES", "NOTICE_TARGET"})

COMPLAINTS: Final = frozenset(
    {
        "must be set",
        "must be a whole number",
        "must be true or false",
        "can be true only if STAGE is local",
        "must be one of ses, simulator",
        "must be one of smashsend, none",
        "must be one of enforced, open",
        "must be one of auto, on, off",
    }
)

KINDS: Final[list[tuple[Any, dict[str, str]]]] = [
    (ApiSettings, API),
    (DeliverySettings, DELIVERY),
    (FeedbackSettings, FEEDBACK),
    (ReplaySettings, REPLAY),
    (PurgeSettings, PURGE),
    (SweepSettings, SWEEP),
]
REQUIRED: Final = [
    pytest.param(kind, env, name, id=f"{kind.__name__} {name}")
    for kind, env in KINDS
    for name in env
    if name not in OPTIONAL
]
NUMERIC: Final = [
    pytest.param(kind, env, name, id=f"{kind.__name__} {name}")
    for kind, env in KINDS
    for name in env
    if name in NUMBERS
]


def complaint(kind: Any, env: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as refused:
        kind.read(env)
    return str(refused.value)


def test_the_settings_of_the_api() -> None:
    """Every value ends up in its setting."""
    assert ApiSettings.read(API) == ApiSettings(
        store=Store(
            config_table="config",
            events_table="events",
            deliveries_table="deliveries",
            retention_days=30,
            allow_private_targets=False,
        ),
        stage="prod",
        secrets_key="arn:aws:kms:us-east-1:123456789012:key/1",
        built_in_event_types=BuiltInEventTypes.SMASHSEND,
        email_backend=EmailBackend.SES,
        sender_identities=SenderIdentities.ENFORCED,
        ses_tenants=SesTenants.AUTO,
        feedback_topic=TOPIC,
        deliver_queue_url="https://sqs.example/deliver",
        retry_queue_urls=(
            "https://sqs.example/first",
            "https://sqs.example/second",
            "https://sqs.example/third",
        ),
        replay_queue_url="https://sqs.example/replay",
        purge_queue_url="https://sqs.example/purge",
        brand=DeliverySettings.read(DELIVERY).brand,
        api_hosts=frozenset({"a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"}),
        limits=WorkspaceLimits(
            endpoints=1,
            endpoints_per_host=2,
            configuration_sets=3,
            events_per_second=4,
            deliveries_per_request=5,
            replays=6,
            replays_per_endpoint=7,
            test_sends_per_minute=8,
        ),
    )


def test_the_settings_of_the_feedback() -> None:
    """Feedback needs the tables and a dead-letter queue."""
    assert FeedbackSettings.read(FEEDBACK) == FeedbackSettings(
        store=ApiSettings.read(API).store, dead_letter_queue_url="https://sqs.example/dead-letters"
    )


def test_the_settings_of_the_replays() -> None:
    """Replays use three queues: for first attempts, for their own next step, and for dead letters."""
    assert ReplaySettings.read(REPLAY) == ReplaySettings(
        store=ApiSettings.read(API).store,
        deliver_queue_url="https://sqs.example/deliver",
        replay_queue_url="https://sqs.example/replay",
        dead_letter_queue_url="https://sqs.example/dead-letters",
    )


def test_the_settings_of_the_purges() -> None:
    """Purges use two queues and the email backend, whose configuration sets have the stage in their names."""
    assert PurgeSettings.read(PURGE) == PurgeSettings(
        store=ApiSettings.read(API).store,
        stage="prod",
        email_backend=EmailBackend.SES,
        ses_tenants=SesTenants.AUTO,
        feedback_topic=TOPIC,
        purge_queue_url="https://sqs.example/purge",
        dead_letter_queue_url="https://sqs.example/dead-letters",
    )


def test_the_settings_of_the_sweeper() -> None:
    """It sends messages to the queues of all attempts, once an attempt is overdue for the grace period."""
    assert SweepSettings.read(SWEEP) == SweepSettings(
        store=ApiSettings.read(API).store,
        deliver_queue_url="https://sqs.example/deliver",
        retry_queue_urls=(
            "https://sqs.example/first",
            "https://sqs.example/second",
            "https://sqs.example/third",
        ),
        grace=600,
    )


def test_an_unknown_backend_is_refused() -> None:
    """An unknown email backend fails at startup, and the error lists the known ones."""
    assert (
        complaint(ApiSettings, {**API, "EMAIL_BACKEND": "smtp"})
        == "EMAIL_BACKEND must be one of ses, simulator"
    )


def test_an_unknown_choice_about_senders_is_refused() -> None:
    """A misspelled choice must not mean that any sender is allowed."""
    assert (
        complaint(ApiSettings, {**API, "SENDER_IDENTITIES": "by-stage"})
        == "SENDER_IDENTITIES must be one of enforced, open"
    )
    assert (
        complaint(ApiSettings, {**API, "SES_TENANTS": "true"}) == "SES_TENANTS must be one of auto, on, off"
    )


def test_an_unknown_catalog_is_refused() -> None:
    """An unknown choice of built-in event types fails at startup, and the error lists the known ones."""
    assert (
        complaint(ApiSettings, {**API, "BUILT_IN_EVENT_TYPES": "acme"})
        == "BUILT_IN_EVENT_TYPES must be one of smashsend, none"
    )


def test_the_settings_of_the_delivering_functions() -> None:
    """Queues and delays are read in the order of the retries."""
    assert DeliverySettings.read(DELIVERY) == DeliverySettings(
        store=ApiSettings.read(API).store,
        deliver_queue_url="https://sqs.example/deliver",
        retry_queue_urls=(
            "https://sqs.example/first",
            "https://sqs.example/second",
            "https://sqs.example/third",
        ),
        retry_delays=(60, 300, 900),
        dead_letter_queue_url="https://sqs.example/dead-letters",
        notice_target="",
        attempt_deadline=10.0,
        brand=Brand(
            "X-SMASHSEND",
            "X-Zootools-Signature",
            "SMASHSEND-Webhook/1.0",
            "X-Splashify",
            "Splashify-Pro-Webhook/1.0",
        ),
        api_hosts=frozenset({"a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"}),
    )


def test_names_of_the_api_are_compared_as_dns_does() -> None:
    """Case, a trailing dot, blanks and stray commas do not matter when own hosts are compared."""
    names = {"API_DOMAIN_NAMES": "API.acme.com., hooks.acme.com,,"}
    own = {"API_HOST": "A1.Execute-API.us-east-1.amazonaws.com"}
    expected = {"a1.execute-api.us-east-1.amazonaws.com", "api.acme.com", "hooks.acme.com"}
    assert ApiSettings.read(API | names | own).api_hosts == expected
    assert DeliverySettings.read(DELIVERY | names | own).api_hosts == expected


@pytest.mark.parametrize(("kind", "env", "name"), REQUIRED)
def test_a_missing_variable_is_named(kind: Any, env: dict[str, str], name: str) -> None:
    """A missing variable fails at startup, and the error names it."""
    assert complaint(kind, {key: value for key, value in env.items() if key != name}) == f"{name} must be set"


@pytest.mark.parametrize(("kind", "env", "name"), REQUIRED)
def test_an_empty_variable_is_a_missing_one(kind: Any, env: dict[str, str], name: str) -> None:
    """An empty variable counts as missing, since CloudFormation passes empty parameters that way."""
    assert complaint(kind, {**env, name: ""}) == f"{name} must be set"


@pytest.mark.parametrize(
    "value", ["ten", "1.5", "-1", "+1", " 1", "1 ", "1\n", "1_000", "0x10", "1e3", "\u0661", "\u00b2", "None"]
)
@pytest.mark.parametrize(("kind", "env", "name"), NUMERIC)
def test_a_garbled_number_is_named(kind: Any, env: dict[str, str], name: str, value: str) -> None:
    """A number must be plain digits; the error does not repeat the value."""
    assert complaint(kind, {**env, name: value}) == f"{name} must be a whole number"


@pytest.mark.parametrize("value", ["True", "FALSE", "yes", "no", "1", "0", " true", "on", "null"])
@pytest.mark.parametrize(("kind", "env"), KINDS)
def test_a_garbled_switch_is_named(kind: Any, env: dict[str, str], value: str) -> None:
    """The switch for private targets must be `true` or `false`."""
    message = complaint(kind, {**env, "ALLOW_PRIVATE_TARGETS": value, "STAGE": "local"})
    assert message == "ALLOW_PRIVATE_TARGETS must be true or false"


@pytest.mark.parametrize("stage", ["prod", "dev", "Local", "LOCAL", "local ", "localhost", "alocal"])
@pytest.mark.parametrize(("kind", "env"), KINDS)
def test_private_targets_are_refused_outside_the_local_stage(
    kind: Any, env: dict[str, str], stage: str
) -> None:
    """A deployment in an account never allows private targets, even if its template was edited."""
    message = complaint(kind, {**env, "ALLOW_PRIVATE_TARGETS": "true", "STAGE": stage})
    assert message == "ALLOW_PRIVATE_TARGETS can be true only if STAGE is local"


@pytest.mark.parametrize(("kind", "env"), KINDS)
def test_private_targets_are_refused_without_a_stage(kind: Any, env: dict[str, str]) -> None:
    """A missing stage does not count as local."""
    bare = {name: value for name, value in env.items() if name != "STAGE"}
    assert complaint(kind, {**bare, "ALLOW_PRIVATE_TARGETS": "true"}) == "STAGE must be set"


@pytest.mark.parametrize(("kind", "env"), KINDS)
def test_private_targets_are_possible_in_the_local_stage(kind: Any, env: dict[str, str]) -> None:
    """On a developer's machine, receivers listen on loopback."""
    assert kind.read({**env, "ALLOW_PRIVATE_TARGETS": "true", "STAGE": "local"}).store.allow_private_targets


@pytest.mark.parametrize(
    "env", [{**DELIVERY, "BRAND_ALIAS_HEADER": ""}, {**DELIVERY}], ids=["empty", "absent"]
)
def test_the_alias_header_may_be_left_out(env: dict[str, str]) -> None:
    """The alias header is optional; a new installation has no older header to keep."""
    if env["BRAND_ALIAS_HEADER"]:
        del env["BRAND_ALIAS_HEADER"]
    assert DeliverySettings.read(env).brand.alias_header == ""


def test_a_process_reads_its_environment_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is read once per process, since it never changes."""
    for read, kind, env in (
        (api_settings, ApiSettings, API),
        (delivery_settings, DeliverySettings, DELIVERY),
        (feedback_settings, FeedbackSettings, FEEDBACK),
        (replay_settings, ReplaySettings, REPLAY),
        (purge_settings, PurgeSettings, PURGE),
        (sweep_settings, SweepSettings, SWEEP),
    ):
        read.cache_clear()
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        assert read() == kind.read(env)
        monkeypatch.setenv("EVENTS_TABLE", "another")
        assert read().store.events_table == "events"
        read.cache_clear()


@given(
    env=st.dictionaries(
        st.sampled_from(sorted(DELIVERY | API)),
        st.text(max_size=8) | st.sampled_from(["true", "60", "local"]),
    )
)
def test_every_environment_is_read_or_refused(env: dict[str, str]) -> None:
    """A broken environment raises only SettingsError, which repeats none of the values."""
    for kind, complete in KINDS:
        try:
            kind.read({**complete, **env})
        except SettingsError as refused:
            name, _, what = str(refused).partition(" ")
            assert name in complete
            assert what in COMPLAINTS
