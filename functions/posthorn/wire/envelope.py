"""Everything about an attempt that its headers may tell."""

from dataclasses import dataclass, field

from posthorn.domain.models import Event


@dataclass(frozen=True, slots=True)
class Envelope:
    """One attempt, before it is addressed."""

    event: Event
    body: bytes = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)  # newest first
    sent_at: int  # Unix milliseconds
    endpoint_id: str
    generation: int
    attempt: int

    @property
    def timestamp(self) -> int:
        """The moment of the attempt in Unix seconds, as headers have it."""
        return self.sent_at // 1000
