"""What the delivery log and bulk replays answer, as each face writes it."""

from typing import Any, Final

from infra.openapi.schema import BOOL, COUNT, TEXT, TEXTS, TIME, either, object_of, ref
from posthorn.api.routes.endpoint_kinds import DESTINATIONS, WEBHOOKS, EndpointResource
from posthorn.domain.models import Failure, Reason, Status
from posthorn.domain.replay_job import JobState, ReplaySelection

UNREADABLE: Final = {"unreadable": {"const": True}}
_NAMES: Final = {WEBHOOKS: "Webhook", DESTINATIONS: "EventDestination"}


def standing_of(resource: EndpointResource) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is always there and what may be, of where a delivery stands."""
    always = {"status": {"type": "string", "enum": list(Status)}, "attempt_count": COUNT}
    maybe = {"reason": {"type": "string", "enum": list(Reason)}, "next_attempt_at": TIME}
    return resource.write(always), resource.write(maybe)


def attempt_shape(resource: EndpointResource, whole: dict[str, Any] | None = None) -> dict[str, Any]:
    always = {
        "attempt": {"type": "integer", "minimum": 1},
        "generation": {"type": "integer", "minimum": 1},
        "started_at": TIME,
        "latency_ms": COUNT,
    }
    maybe = {
        "status": {"type": "integer"},
        "failure": {"type": "string", "enum": list(Failure)},
        "error": {"type": ["string", "null"]},
    }
    return object_of(resource.write({**always, **(whole or {})}), maybe)


def log_shapes(resource: EndpointResource) -> dict[str, Any]:
    """Describe the delivery log as one face writes it."""
    name = _NAMES[resource]
    standing, maybe = standing_of(resource)
    entry = {
        **resource.write(
            {
                "event_id": TEXT,
                "event": TEXT,
                "generation": {"type": "integer", "minimum": 1},
                "is_test": BOOL,
                "created_at": TIME,
            }
        ),
        **standing,
    }
    maybe |= resource.write({"replay": TEXT, "last_attempt": attempt_shape(resource)})
    timings = dict.fromkeys(("dns", "connect", "tls", "first_byte", "total"), COUNT)
    whole = {
        "timings": object_of(resource.write(timings)),
        "address": {"type": ["string", "null"]},
        "request": either(
            object_of(
                {
                    "method": {"const": "POST"},
                    "url": {"type": ["string", "null"]},
                    "headers": TEXTS,
                    "notes": {"type": "array", "items": TEXT},
                }
            ),
            {"type": "null"},
        ),
        "response": either(
            object_of({"status": {"type": "integer"}, "headers": TEXTS, "body": TEXT}), {"type": "null"}
        ),
    }
    detail = resource.write(
        {
            "attempts": {"type": "array", "items": attempt_shape(resource, whole)},
            "request_body": {"type": ["string", "null"]},
            "curl": {"type": ["string", "null"]},
            "notes": {"type": "array", "items": TEXT},
        }
    )
    unreadable = resource.write({"event_id": TEXT, "created_at": TIME, **UNREADABLE})
    return {
        f"{name}Delivery": object_of(entry, maybe),
        f"{name}DeliveryInList": either(ref(f"{name}Delivery"), object_of(unreadable)),
        f"{name}DeliveryInFull": object_of({**entry, **detail}, maybe),
    }


def log_contents(resource: EndpointResource) -> dict[str, tuple[str, dict[str, Any]]]:
    name, deliveries = _NAMES[resource], f"{resource.path}/deliveries"
    return {
        f"GET {deliveries}": (
            "200",
            object_of(
                {"deliveries": {"type": "array", "items": ref(f"{name}DeliveryInList")}},
                resource.write({"next_cursor": TEXT}),
            ),
        ),
        f"GET {deliveries}/{{eventId}}": ("200", object_of({"delivery": ref(f"{name}DeliveryInFull")})),
        f"POST {deliveries}/{{eventId}}/replay": ("202", object_of({"delivery": ref(f"{name}Delivery")})),
        f"POST {resource.path}/test": ("202", object_of({"event": ref("AcceptedEvent")})),
    }


def replay_shape(resource: EndpointResource) -> dict[str, Any]:
    """Describe a bulk replay in one face's spelling."""
    count = {"type": "integer", "minimum": 0}
    counts = {
        "matched": {**count, "description": "Found so far; in a dry run, what would be replayed."},
        "replayed": {**count, "description": "Begun anew."},
        "skipped": {**count, "description": "Replayed by somebody else or expired since they were found."},
    }
    progress = {"position": TIME, "fraction": {"type": "number", "minimum": 0, "maximum": 1}}
    required: dict[str, Any] = {
        "id": TEXT,
        "state": {"type": "string", "enum": list(JobState)},
        "dry_run": {"type": "boolean"},
        "since": TIME,
        "until": TIME,
        "status": {"type": "string", "enum": list(ReplaySelection)},
        "counts": object_of(counts),
        "progress": object_of(progress),
        "created_at": TIME,
        "updated_at": TIME,
    }
    reasons = [Reason.ENDPOINT_DISABLED, Reason.ENDPOINT_DELETED]
    optional = {"reason": {"type": "string", "enum": reasons}, "finished_at": TIME}
    return object_of(resource.write(required), resource.write(optional))


def replay_contents(resource: EndpointResource, name: str) -> dict[str, tuple[str, dict[str, Any]]]:
    one, path = object_of({"replay": ref(name)}), f"{resource.path}/replays"
    many = {"type": "array", "items": ref(name)}
    return {
        f"GET {path}": ("200", object_of({"replays": many}, resource.write({"next_cursor": TEXT}))),
        f"POST {path}": ("202", one),
        f"GET {path}/{{replayId}}": ("200", one),
        f"POST {path}/{{replayId}}/cancel": ("200", one),
    }
