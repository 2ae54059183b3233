"""The tags of an email, which SES includes in every event about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthorn.domain.email_types import MESSAGE_TAG, OWN_TAGS, SET_TAG, WORKSPACE_TAG

if TYPE_CHECKING:
    from posthorn.email.mail import Mail


def tags_of(mail: Mail) -> dict[str, str]:
    """Return the caller's tags and our own; the caller cannot override ours."""
    own = {MESSAGE_TAG: mail.message_id, WORKSPACE_TAG: mail.workspace}
    if mail.configuration_set is not None:
        own[SET_TAG] = mail.configuration_set
    return {name: value for name, value in mail.tags if name not in OWN_TAGS} | own
