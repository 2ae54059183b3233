"""The owner of a mail comes from our tags; a notification without them is malformed."""

from __future__ import annotations

from typing import Any

import pytest

from posthorn.domain.errors import Malformed
from posthorn.email.events import event_of
from tests import ses_examples as ses
from tests.ses_examples import OUR_TAGS, replaced, without


@pytest.mark.parametrize("tag", OUR_TAGS)
@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "text",
        [None],
        [""],
        ["x"],
        ["wh_01GY5BMP7FBC0DKZTXDZJ7EQ6S"],
        [ses.SET_ID, ses.SET_ID],
        [ses.WORKSPACE, ses.WORKSPACE],
        [ses.MESSAGE_ID, ses.MESSAGE_ID],
        [ses.MESSAGE_ID.upper()],
        [f"{ses.SET_ID}#1"],
        [f"{ses.WORKSPACE}\n"],
    ],
    ids=repr,
)
def test_a_mail_that_is_not_ours_is_malformed(tag: str, value: Any) -> None:
    """Each tag must have exactly one value of the expected shape; nothing is guessed."""
    with pytest.raises(Malformed, match="tag"):
        event_of(replaced(ses.example("send"), tag, value))
    with pytest.raises(Malformed, match="tag"):
        event_of(without(ses.example("send"), {tag}))


@pytest.mark.parametrize("path", ["mail", "mail/tags"])
@pytest.mark.parametrize("value", [None, [], "text", 5])
def test_without_a_mail_with_tags_it_is_malformed(path: str, value: Any) -> None:
    """Without tags, the owner of the event is unknown."""
    with pytest.raises(Malformed, match="tags"):
        event_of(replaced(ses.example("send"), path, value))
