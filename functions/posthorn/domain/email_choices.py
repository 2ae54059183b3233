"""The choices that an operator has about email."""

from enum import StrEnum


class EmailBackend(StrEnum):
    """The backend that sends emails."""

    SES = "ses"
    SIMULATOR = "simulator"


class SenderIdentities(StrEnum):
    """Whether emails may be from any sender, or only from the identities of their workspace."""

    ENFORCED = "enforced"
    OPEN = "open"


class SesTenants(StrEnum):
    """Whether each workspace has a tenant of SES: where SES and botocore know tenants, always, or never."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"
