"""Events whose payload was removed: a type without data, so that nothing can send an empty payload."""

from dataclasses import dataclass

from posthorn.domain.models import EventSummary


@dataclass(frozen=True, slots=True)
class ExpungedEvent:
    """An event without its payload. Its deliveries stay on record, and no attempt can be made anymore."""

    id: str
    channel: str
    type: str
    created_at: str
    expunged_at: int  # Unix milliseconds
    target: str | None = None

    @property
    def summary(self) -> EventSummary:
        return EventSummary(self.id, self.type, self.created_at, self.target)
