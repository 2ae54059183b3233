"""The facts about an attempt from which its headers are made."""

from dataclasses import dataclass, field

from posthorn.domain.models import Event


@dataclass(frozen=True, slots=True)
class Envelope:
    """One attempt, independent of the target and the payload format."""

    event: Event
    body: bytes = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)  # newest first
    sent_at: int  # Unix milliseconds
    endpoint_id: str
    generation: int
    attempt: int

    @property
    def timestamp(self) -> int:
        """The time of the attempt in Unix seconds, as in headers."""
        return self.sent_at // 1000
