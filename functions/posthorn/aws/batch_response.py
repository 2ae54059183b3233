"""What a function answers to an event source mapping: which of a batch is to come again.

An identifier that the mapping does not know makes it take back the whole batch, without saying why
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

UNNAMED: Final = ""
"""The identifier of a record that came without one."""


def identifier(holder: Mapping[str, Any], name: str) -> str:
    """Return what a record is called, `UNNAMED` when it has no usable name."""
    value = holder.get(name)
    return value if isinstance(value, str) else UNNAMED


def response(failed: Collection[str]) -> dict[str, Any]:
    """Write the answer; raises when one that is to come again has no name, since then all must."""
    if UNNAMED in failed:
        raise Unavailable("batch", "RecordWithoutIdentifier")
    return {"batchItemFailures": [{"itemIdentifier": one} for one in sorted(failed)]}
