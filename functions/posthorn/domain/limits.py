"""The sizes and numbers that a request must not exceed; a larger payload is 413, anything else 422."""

from typing import Final

MAX_BODY: Final = 5 * 1024 * 1024
"""Bytes of a request's body; API Gateway takes 10 MB, Lambda 6 MB."""

MAX_DATA: Final = 256 * 1024
"""Bytes of an event's data; its row may have 400 KB."""

MAX_BATCH: Final = 100
"""Events that one request publishes."""

MAX_EVENTS: Final = 100
"""Event types that an endpoint lists; one pattern can stand for many."""

MAX_OWN: Final = 500
"""Event types that a workspace creates, and that the platform creates for all workspaces."""

MAX_JSON: Final = 32 * 1024
"""Bytes of an event type's example, and of its schema: both are in one row, and an answer has a page of such rows."""
