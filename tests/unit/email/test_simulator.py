"""The simulator and its topic: either every event reaches a real queue, or the mail is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import boto3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from moto import mock_aws

from posthorn.domain.errors import RejectedMail, Unavailable
from posthorn.domain.models import Suppression
from posthorn.email.simulator import MAX_BYTES, MAX_MESSAGES, SimulatorBackend, batches
from tests.unit.email.simulation import ACCOUNT, MAIL, NOW, REGION, Topic, whom


def test_without_a_set_no_event_is_sent(simulator: Topic) -> None:
    """A mail without a configuration set is accepted and causes no event."""
    simulator.backend.send(replace(MAIL, configuration_set=None, to=("bounce@simulator.amazonses.com",)))

    assert simulator.told() == []


def test_sets_need_nothing(simulator: Topic) -> None:
    """Creating, changing and deleting sets makes no call, and sending does not require one."""
    simulator.backend.create_set("wksp_1", "cs_1", Suppression.BOUNCE)
    simulator.backend.change_set("cs_1", Suppression.NONE)
    simulator.backend.delete_set("wksp_1", "cs_1")

    assert simulator.calls == []


def test_many_recipients_take_few_calls(simulator: Topic) -> None:
    """Fifty deliveries and the send arrive complete and in order, in batches of ten."""
    everybody = tuple(f"reader-{number}@mail.example" for number in range(50))
    simulator.backend.send(replace(MAIL, to=everybody))

    told = simulator.told()
    assert [whom(one) for one in told] == [[], *([address] for address in everybody)]
    assert simulator.calls == ["PublishBatch"] * 6


@example(lengths=[MAX_BYTES // 2, MAX_BYTES // 2, 1])
@given(lengths=st.lists(st.integers(min_value=1, max_value=MAX_BYTES), max_size=40))
def test_batches_keep_the_limits_of_sns(lengths: list[int]) -> None:
    """No batch is empty or too large, none could hold the next one's first message, and none is lost."""
    messages = ["x" * length for length in lengths]
    made = list(batches(messages))

    assert [message for batch in made for message in batch] == messages
    assert all(0 < len(batch) <= MAX_MESSAGES and sum(map(len, batch)) <= MAX_BYTES for batch in made)
    for batch, following in pairwise(made):
        assert len(batch) == MAX_MESSAGES or sum(map(len, batch)) + len(following[0]) > MAX_BYTES


@pytest.mark.parametrize("subject", ["\ufffe\uffff", "\x80\x9f", "\u2028", "😀", '"\\'], ids=ascii)
def test_no_character_is_too_much_for_a_queue(simulator: Topic, subject: str) -> None:
    """Characters that SQS refuses, such as U+FFFF, are escaped and read back unchanged."""
    simulator.backend.send(replace(MAIL, subject=subject))

    bodies = simulator.bodies()
    assert len(bodies) == 2
    for body in bodies:
        assert body.isascii()
        assert body.isprintable()
        assert json.loads(body)["mail"]["commonHeaders"]["subject"] == subject


def test_addresses_that_fit_no_message_are_rejected(simulator: Topic) -> None:
    """A mail whose events would not fit into a message is rejected, and none of them is sent."""
    everybody = tuple("😀" * 300 + f"{number}@mail.example" for number in range(50))
    with pytest.raises(RejectedMail) as raised:
        simulator.backend.send(replace(MAIL, to=everybody))

    assert raised.value.code == "invalid_mail"
    assert simulator.told() == []


def test_a_message_that_sns_did_not_take_is_not_forgotten(simulator: Topic) -> None:
    """PublishBatch can answer 200 and still fail in part; that is an outage with an unknown outcome."""

    def one_failed(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Successful"].pop()
        parsed["Failed"] = [{"Id": "1", "Code": "InternalError", "SenderFault": False}]

    simulator.backend._sns.meta.events.register("after-call.sns.PublishBatch", one_failed)
    with pytest.raises(Unavailable) as raised:
        simulator.backend.send(MAIL)

    assert (raised.value.operation, raised.value.code) == ("publish_batch", "InternalError")
    assert not raised.value.refused


def test_a_topic_that_is_gone_is_an_outage() -> None:
    """If the topic is gone, the simulator refuses the mail."""
    with mock_aws():
        arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:gone"
        backend = SimulatorBackend(
            boto3.client("sns", region_name=REGION), topic_arn=arn, clock=lambda: NOW, random_bytes=bytes
        )
        with pytest.raises(Unavailable) as raised:
            backend.send(MAIL)

    assert raised.value.code == "NotFound"
