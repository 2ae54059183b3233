"""What `posthorn redispatch` reads: the channels that have endpoints, and a channel's events of a window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from posthorn.aws import clients
from posthorn.stores.channels import channels_with_endpoints
from posthorn.stores.event_log import EventLog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn.domain.models import Event
    from tests.installation import Installation


@pytest.fixture
def _short_pages(posthorn: Installation) -> Iterator[None]:  # noqa: ARG001 - its clients are changed
    """End every page of a query or scan after two rows, as DynamoDB does after a megabyte."""

    def shorten(params: dict[str, Any], **_: Any) -> None:
        params["Limit"] = 2

    events = clients.client("dynamodb").meta.events
    names = [f"provide-client-params.dynamodb.{operation}" for operation in ("Query", "Scan")]
    for name in names:
        events.register(name, shorten)
    yield
    for name in names:
        events.unregister(name, shorten)


def _window(posthorn: Installation, since: int, until: int) -> tuple[list[list[Event]], list[str]]:
    unreadable: list[str] = []
    log = EventLog(
        clients.client("dynamodb"),
        posthorn.tables["EventsTable"],
        on_unreadable=lambda row, _: unreadable.append(row),
    )
    pages = log.window(posthorn.workspace, since_ms=since, until_ms=until)
    return list(pages), unreadable


@pytest.mark.usefixtures("_short_pages")
def test_a_window_has_its_events_once_and_without_their_data(posthorn: Installation) -> None:
    """Both ends included, page after page of every shard, each of bounded size."""
    start, published = posthorn.clock(), []
    for _ in range(60):
        published.append(posthorn.publish(data={"secret": "x" * 100}))
        posthorn.clock.pass_seconds(0.001)

    pages, unreadable = _window(posthorn, start + 5, start + 54)

    found = [event for page in pages for event in page]
    assert sorted(event.id for event in found) == published[5:55]
    assert max(len(page) for page in pages) <= 2
    assert {(event.channel, event.workspace, event.type, event.data) for event in found} == {
        (posthorn.workspace, posthorn.workspace, "CONTACT_CREATED", "")
    }
    assert unreadable == []


@pytest.mark.parametrize("change", [{"v": {"N": "99"}}, {"type": {"N": "1"}}, {"workspace": None}])
def test_a_row_that_makes_no_sense_hides_no_other(posthorn: Installation, change: dict[str, Any]) -> None:
    """It is reported by its id."""
    start = posthorn.clock()
    event_ids = [posthorn.publish() for _ in range(3)]
    dynamodb, table = clients.client("dynamodb"), posthorn.tables["EventsTable"]
    row = next(one for one in dynamodb.scan(TableName=table)["Items"] if one["sk"]["S"] == event_ids[1])
    changed = {name: value for name, value in {**row, **change}.items() if value is not None}
    dynamodb.put_item(TableName=table, Item=changed)

    pages, unreadable = _window(posthorn, start, start)

    assert sorted(event.id for page in pages for event in page) == sorted({*event_ids} - {event_ids[1]})
    assert unreadable == [event_ids[1]]


@pytest.mark.usefixtures("_short_pages")
def test_channels_are_found_by_their_endpoints(posthorn: Installation) -> None:
    """A workspace that only has keys is none; one with several endpoints is there once, disabled ones included."""
    posthorn.new_workspace()
    other, key = posthorn.new_workspace()
    for _ in range(5):
        posthorn.register()
    webhook = posthorn.call(
        "POST", "/v1/webhooks", {"url": "https://x.example.com/", "events": ["*"]}, key=key
    )
    disabled = posthorn.call(
        "PUT", f"/v1/webhooks/{webhook.body['webhook']['id']}", {"enabled": False}, key=key
    )

    found = channels_with_endpoints(clients.client("dynamodb"), posthorn.tables["ConfigTable"])

    assert disabled.status == 200
    assert found == sorted([posthorn.workspace, other])
