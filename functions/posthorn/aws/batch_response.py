"""The response to an event source mapping: which records of a batch to retry.

If an identifier is unknown to the mapping, it retries the whole batch without saying why
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

UNNAMED: Final = ""
"""The identifier of a record that has none."""


def identifier(holder: Mapping[str, Any], name: str) -> str:
    """Return the identifier of a record; `UNNAMED` if it has no usable one."""
    value = holder.get(name)
    return value if isinstance(value, str) else UNNAMED


def response(failed: Collection[str]) -> dict[str, Any]:
    """Build the response; raises if a failed record has no identifier, since all must be retried then."""
    if UNNAMED in failed:
        raise Unavailable("batch", "RecordWithoutIdentifier")
    return {"batchItemFailures": [{"itemIdentifier": one} for one in sorted(failed)]}
