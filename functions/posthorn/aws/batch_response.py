"""The response to an event source mapping: which records of a batch to retry.

If an identifier is unknown to the mapping, it retries the whole batch without saying why
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from concurrent.futures import Future

UNNAMED: Final = ""
"""The identifier of a record that has none."""


def identifier(holder: Mapping[str, Any], name: str) -> str:
    """Return the identifier of a record; `UNNAMED` if it has no usable one."""
    value = holder.get(name)
    return value if isinstance(value, str) else UNNAMED


def failed_records(
    work: Iterable[tuple[Collection[str], Future[None]]], on_error: Callable[[Unavailable], None]
) -> set[str]:
    """Wait for work that was started for records; returns the identifiers of records whose work met an outage."""
    identifiers: set[str] = set()
    for records, done in work:
        try:
            done.result()
        except Unavailable as error:
            on_error(error)
            identifiers.update(records)
    return identifiers


def response(failed: Collection[str]) -> dict[str, Any]:
    """Build the response; raises if a failed record has no identifier, since all must be retried then."""
    if UNNAMED in failed:
        raise Unavailable("batch", "RecordWithoutIdentifier")
    return {"batchItemFailures": [{"itemIdentifier": one} for one in sorted(failed)]}
