"""The size of API Gateway's responses to a publisher, field by field: it is data transfer out."""

from __future__ import annotations

from typing import Final

HEAD: Final = (
    "HTTP/1.1 202 Accepted",  # HTTP/2 compresses headers
    "Date: Sun, 22 Nov 2026 12:00:00 GMT",
    "Content-Type: application/json",
    "Strict-Transport-Security: max-age=63072000",
    "X-Content-Type-Options: nosniff",
    "Content-Length: 1032",
    "Connection: keep-alive",
    "Apigw-Requestid: BpXZkhBBliAEJ4Q=",
)
RECORD_BYTES: Final = 29
"""Bytes per TLS record: a header of 5, a nonce of 8 and a tag of 16 in TLS 1.2 with GCM; TLS 1.3 takes 22."""
HANDSHAKE_BYTES: Final = 5500  # hello, four certificates up to a root that old clients know, finished

_EVENT: Final = (
    '{"id":"evt_01M802M7T35BXAGDSFTQ5143Q4","event":"CONTACT_CREATED","created_at":"2026-11-22T12:00:00Z"}'
)


def body_bytes(published: int) -> int:
    """Return the size of the answer's JSON: one event, or a list of that many."""
    if published == 1:
        return len('{"event":}') + len(_EVENT)
    return len('{"events":[]}') + published * (len(_EVENT) + 1) - 1


def answer_bytes(published: int) -> int:
    """Return the bytes on the wire of one answer to POST /v1/events, over an open connection."""
    head = sum(len(line) + 2 for line in HEAD) + 2
    return head + body_bytes(published) + 2 * RECORD_BYTES  # head and body may be written separately
