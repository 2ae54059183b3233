"""The limits of a workspace: those of the installation, and those that the platform set for this one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

NONE: Final = 0
"""The value that means: no limit."""

MOST: Final = 1_000_000
"""The largest value of a limit."""

NAMES: Final = {
    "endpoints": "endpoints",
    "endpointsPerHost": "endpoints_per_host",
    "configurationSets": "configuration_sets",
    "eventsPerSecond": "events_per_second",
    "deliveriesPerRequest": "deliveries_per_request",
    "replays": "replays",
    "replaysPerEndpoint": "replays_per_endpoint",
    "testSendsPerMinute": "test_sends_per_minute",
}
"""The fields below by their names in rows and in the API."""


@dataclass(frozen=True, slots=True)
class WorkspaceLimits:
    """What a workspace may have and do."""

    endpoints: int = NONE
    endpoints_per_host: int = NONE
    configuration_sets: int = NONE
    events_per_second: int = NONE
    deliveries_per_request: int = NONE
    replays: int = NONE
    replays_per_endpoint: int = NONE
    test_sends_per_minute: int = NONE

    def changed_by(self, own: Mapping[str, int]) -> Self:
        """Return these limits with a workspace's own in their place; names of a later version are ignored."""
        values = {field: own.get(name, getattr(self, field)) for name, field in NAMES.items()}
        return type(self)(**values)
