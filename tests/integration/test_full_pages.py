"""Lists whose last page is exactly full: it has no cursor, since nothing follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from posthorn.api.routes.sender_identities import PATH as SENDER_IDENTITIES
from posthorn.api.routes.table import ROUTES
from posthorn.api.routes.workspaces import PATH as WORKSPACES
from posthorn.domain.clock import rfc3339_ms
from tests.configuration_sets import MAIL, SETS, deliver_all, new_destination, new_set
from tests.installation import START_MS
from tests.network import answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.installation import Installation

COUNT: Final = 4


def _webhooks(posthorn: Installation) -> str:
    for number in range(COUNT):
        posthorn.register(f"hooks{number}.example.com")
    return "/v1/webhooks"


def _failing_webhooks(posthorn: Installation) -> str:
    for number in range(COUNT):
        posthorn.register(f"well{number}.example.com", enabled=False)
        posthorn.register(f"gone{number}.example.com")
        posthorn.network.receivers[f"gone{number}.example.com"] = answers(410)
    posthorn.publish()
    posthorn.dispatch()
    return "/v1/webhooks?health=failing"


def _disabled_webhooks(posthorn: Installation) -> str:
    _failing_webhooks(posthorn)
    return "/v1/webhooks?health=disabled"


def _failing_endpoints(posthorn: Installation) -> str:
    path = _failing_webhooks(posthorn)
    posthorn.key = posthorn.new_platform_key()  # it names no workspace
    return path


def _disabled_endpoints(posthorn: Installation) -> str:
    return _failing_endpoints(posthorn).replace("failing", "disabled")


def _events(posthorn: Installation) -> str:
    for _ in range(COUNT):
        posthorn.publish()
    return "/v1/events"


def _event_types(posthorn: Installation, key: str | None = None) -> str:
    number = 0
    while number < COUNT or len(_page(posthorn, "/v1/event-types?limit=100")[0]) % 2:
        wanted = {"name": f"ORDER_{number}", "description": "An order."}
        assert posthorn.call("POST", "/v1/event-types", wanted, key=key).status == 201
        number += 1
    return "/v1/event-types"


def _platform_event_types(posthorn: Installation) -> str:
    return _event_types(posthorn, posthorn.new_platform_key())


def _api_keys(posthorn: Installation) -> str:
    for _ in range(COUNT - 1):  # the test has one itself
        posthorn.new_key("admin")
    return "/v1/api-keys"


def _sets(posthorn: Installation) -> str:
    for number in range(COUNT):
        new_set(posthorn, f"set-{number}")
    return SETS


def _workspaces(posthorn: Installation) -> str:
    for _ in range(COUNT - 1):  # the test has one itself
        posthorn.new_workspace()
    return WORKSPACES


def _active_workspaces(posthorn: Installation) -> str:
    return _workspaces(posthorn) + "?status=active"


def _sender_identities(posthorn: Installation) -> str:
    path = SENDER_IDENTITIES.format(workspace=posthorn.workspace)
    for number in range(COUNT):
        wanted = {"identity": f"mail{number}.example.com"}
        assert posthorn.call("POST", path, wanted, key=posthorn.new_platform_key()).status == 201
    return path


def _destinations(posthorn: Installation) -> str:
    set_id = new_set(posthorn)
    for number in range(COUNT):
        new_destination(posthorn, set_id, name=f"destination-{number}")
    return f"{SETS}/{set_id}/event-destinations"


def _deliveries(posthorn: Installation, status: int = 200) -> str:
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(status)
    for _ in range(COUNT):
        posthorn.publish()
    assert posthorn.dispatch() == set()
    return f"/v1/webhooks/{webhook['id']}/deliveries"


def _failed_deliveries(posthorn: Installation) -> str:
    return _deliveries(posthorn, 400) + "?status=failed"


def _deliveries_of_a_type(posthorn: Installation) -> str:
    return _deliveries(posthorn) + "?event=CONTACT_CREATED"


def _deliveries_of_a_destination(posthorn: Installation) -> str:
    set_id = new_set(posthorn)
    destination = new_destination(posthorn, set_id)
    posthorn.network.receivers["yourapp.com"] = answers(200)
    for _ in range(COUNT // 2):  # a mail is sent, and delivered
        assert posthorn.call("POST", "/api/v1/partner/email/send", MAIL).status == 202
    deliver_all(posthorn)
    return f"{SETS}/{set_id}/event-destinations/{destination['destination_id']}/deliveries"


def _replays(posthorn: Installation) -> str:
    return _replayed(posthorn, f"/v1/webhooks/{posthorn.register()['id']}/replays", "dryRun")


def _replays_of_a_destination(posthorn: Installation) -> str:
    set_id = new_set(posthorn)
    destination_id = new_destination(posthorn, set_id)["destination_id"]
    return _replayed(posthorn, f"{SETS}/{set_id}/event-destinations/{destination_id}/replays", "dry_run")


def _replayed(posthorn: Installation, path: str, dry_run: str) -> str:
    for _ in range(COUNT):
        posthorn.clock.pass_seconds(1)
        wanted = {"since": rfc3339_ms(START_MS - 3_600_000), dry_run: True}
        assert posthorn.call("POST", path, wanted).status == 202
        while messages := posthorn.take("ReplayQueue"):
            posthorn.replay(messages)
    return path


LISTS: Final[dict[str, tuple[Callable[[Installation], str], ...]]] = {
    WORKSPACES: (_workspaces, _active_workspaces),
    SENDER_IDENTITIES: (_sender_identities,),
    "/v1/webhooks": (
        _webhooks,
        _failing_webhooks,
        _disabled_webhooks,
        _failing_endpoints,
        _disabled_endpoints,
    ),
    "/v1/events": (_events,),
    "/v1/event-types": (_event_types, _platform_event_types),
    "/v1/api-keys": (_api_keys,),
    SETS: (_sets,),
    f"{SETS}/{{configSetId}}/event-destinations": (_destinations,),
    "/v1/webhooks/{webhookId}/deliveries": (_deliveries, _failed_deliveries, _deliveries_of_a_type),
    f"{SETS}/{{configSetId}}/event-destinations/{{destinationId}}/deliveries": (
        _deliveries_of_a_destination,
    ),
    "/v1/webhooks/{webhookId}/replays": (_replays,),
    f"{SETS}/{{configSetId}}/event-destinations/{{destinationId}}/replays": (_replays_of_a_destination,),
}


@pytest.mark.parametrize("make", [make for many in LISTS.values() for make in many])
def test_the_last_page_has_no_cursor(posthorn: Installation, make: Callable[[Installation], str]) -> None:
    """With a page that divides a list, all pages are full, and the last one leads nowhere."""
    path = make(posthorn)
    path += "&" if "?" in path else "?"
    everything, cursor = _page(posthorn, f"{path}limit=100")
    total = len(everything)
    assert total % 2 == 0
    assert total >= COUNT
    assert cursor is None

    for size in (1, total // 2, total):
        found: list[Any] = []
        for number in range(1, total // size + 1):
            page, cursor = _page(posthorn, f"{path}limit={size}" + (f"&cursor={cursor}" if cursor else ""))
            assert len(page) == size
            assert (cursor is None) == (number == total // size)
            found += page
        assert found == everything


def test_the_built_in_types_alone_are_a_full_page(posthorn: Installation) -> None:
    """The cursor behind the last built-in type exists only if the workspace has types of its own."""
    count = len(_page(posthorn, "/v1/event-types?limit=100")[0])
    assert _page(posthorn, f"/v1/event-types?limit={count}")[1] is None
    posthorn.call("POST", "/v1/event-types", {"name": "ORDER_PAID", "description": "An order."})
    assert _page(posthorn, f"/v1/event-types?limit={count}")[1] is not None


def test_every_list_is_tested() -> None:
    """A new list must come with a test of its full pages."""
    assert {route.path for route in ROUTES if "cursor" in route.query} == LISTS.keys()


def _page(posthorn: Installation, path: str) -> tuple[list[Any], str | None]:
    """Return the things on a page, and the cursor of the next one."""
    key = posthorn.new_platform_key() if path.startswith(WORKSPACES) else None
    reply = posthorn.call("GET", path, key=key)
    assert reply.status == 200, reply
    lists = {name: value for name, value in reply.body.items() if isinstance(value, list)}
    if "endpoints" in lists:  # of all workspaces
        assert lists.pop("webhooks") == []
    (found,) = lists.values()
    return found, reply.body.get("nextCursor", reply.body.get("next_cursor"))
