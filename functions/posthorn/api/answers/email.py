"""Answers about emails."""

from typing import Annotated, TypedDict

from pydantic import Field


class SendResult(TypedDict):
    """The email was handed over for sending."""

    message_id: Annotated[str, Field(json_schema_extra={"format": "uuid"})]
    """Identifies the email; its events have it as `mail.messageId`."""
