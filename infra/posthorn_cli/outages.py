"""Why work that goes on in spite of failures was done in part only: the stores and queues do not pass the reason on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.errors import Unavailable
from posthorn.telemetry import log
from posthorn_cli.aws_errors import explain
from posthorn_cli.errors import CommandError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator

    from posthorn_cli.installed import Installed

_LOST_CONDITIONS: Final = {"ConditionalCheckFailedException", "TransactionCanceledException"}  # no failures


@contextmanager
def noticed(place: Installed) -> Iterator[set[str]]:
    """Collect a sentence for every way in which calls to AWS fail.

    Log lines are not written meanwhile: their stream is standard output, which belongs to the result.
    """
    from botocore.exceptions import ClientError

    sentences: set[str] = set()

    def answered(*, http_response: Any, parsed: Any, model: Any, **_: Any) -> None:
        code = parsed.get("Error", {}).get("Code")
        if http_response.status_code >= 300 and code not in _LOST_CONDITIONS:
            sentences.add(str(explain(ClientError(parsed, model.name))))

    def never_answered(*, exception: Exception, **_: Any) -> None:
        sentences.add(str(explain(exception)))

    handlers: dict[str, Callable[..., None]] = {"after-call": answered, "after-call-error": never_answered}
    emitters = [client.meta.events for client in (place.dynamodb, place.sqs)]
    writer = log().registered_handler
    writer.addFilter(_none)
    for events in emitters:
        for name, handler in handlers.items():
            events.register(name, handler)
    try:
        yield sentences
    except Unavailable as error:
        if (
            error.__cause__ is None and sentences
        ):  # raised for work that was done in part: AWS's answer says more
            raise CommandError(" ".join(sorted(sentences))) from error
        raise
    finally:
        writer.removeFilter(_none)
        for events in emitters:
            for name, handler in handlers.items():
                events.unregister(name, handler)


def _none(_: logging.LogRecord) -> bool:
    return False
