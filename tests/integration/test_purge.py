"""`DELETE /v1/workspaces/{workspace}`: nothing of the workspace is left, and nothing of a neighbor is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from posthorn.api.access import HEADER
from posthorn.api.routes.workspaces import PATH
from posthorn.aws import clients
from posthorn.delivery import purger
from posthorn.delivery.purge_start import STALLED_MS
from posthorn.email.simulator import SimulatorBackend
from posthorn.stores import workspace_rows
from posthorn.stores.purges import Purges
from tests.configuration_sets import MAIL, deliver_all
from tests.network import answers
from tests.purges import belonging_to, delete, new_tenant, rows, run, shown

if TYPE_CHECKING:
    from posthorn.domain.purge_job import PurgeJob
    from tests.installation import Installation, Reply
    from tests.purges import Tenant

QUEUES = ("DeliverQueue", "Retry1MinQueue", "Retry5MinQueue", "Retry15MinQueue")


@pytest.fixture
def sets_at_ses(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the configuration sets that the email backend has resources of."""
    there: set[str] = set()
    monkeypatch.setattr(SimulatorBackend, "create_set", lambda _, __, set_id, ___: there.add(set_id))
    monkeypatch.setattr(SimulatorBackend, "delete_set", lambda _, __, set_id: there.discard(set_id))
    return there


@pytest.fixture
def neighbor(posthorn: Installation, sets_at_ses: set[str]) -> Tenant:
    assert not sets_at_ses
    tenant = new_tenant(posthorn, "neighbor")
    tenant.furnish()
    return tenant


@pytest.fixture
def tenant(posthorn: Installation, neighbor: Tenant) -> Tenant:
    assert neighbor.workspace
    return new_tenant(posthorn, "leaver")


def work_off(posthorn: Installation) -> None:
    """Let all functions but PurgeFunction finish what is under way."""
    for _ in range(5):
        deliver_all(posthorn)
        posthorn.replay(posthorn.take("ReplayQueue"))
        for queue in QUEUES:
            posthorn.deliver(posthorn.take(queue))
        posthorn.sweep()


def test_nothing_is_left_and_a_neighbor_has_every_row(
    posthorn: Installation, tenant: Tenant, neighbor: Tenant, sets_at_ses: set[str]
) -> None:
    """All tables are as they were before the workspace had anything; so are the resources at the email backend."""
    before = {key: row for key, row in rows(posthorn).items() if tenant.workspace not in row}
    tenant.furnish()
    assert sets_at_ses == {neighbor.ids["set kept"], tenant.ids["set kept"]}
    tables = {table for table, _, _ in belonging_to(tenant)}
    assert tables == set(posthorn.tables)

    delete(posthorn, tenant.uid)
    run(posthorn)

    assert rows(posthorn) == before
    assert sets_at_ses == {neighbor.ids["set kept"]}
    purge = shown(posthorn, tenant.workspace)
    assert purge["state"] == "done"
    assert {kind: purge["removed"][kind] for kind in ("apiKeys", "endpoints", "configurationSets")} == {
        "apiKeys": 2,
        "endpoints": 2,
        "configurationSets": 1,
    }
    assert purge["removed"]["eventTypes"] == purge["removed"]["replays"] == 1
    assert purge["removed"]["deliveries"] > purge["removed"]["events"] > 4
    assert purge["finishedAt"] == purge["updatedAt"]


def test_the_tenant_of_the_email_backend_goes_too(
    posthorn: Installation, tenant: Tenant, neighbor: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever identities there are: a registration may have broken off after it made the tenant."""
    there = {tenant.workspace, neighbor.workspace}
    monkeypatch.setattr(SimulatorBackend, "delete_tenant", lambda _, workspace: there.discard(workspace))
    delete(posthorn, tenant.uid)
    run(posthorn)

    assert there == {neighbor.workspace}


def test_messages_of_a_purged_workspace_send_nothing(posthorn: Installation, tenant: Tenant) -> None:
    """What waits in queues ends without a request, a row or a dead letter."""
    tenant.furnish()
    waiting = {queue: posthorn.take(queue) for queue in (*QUEUES, "ReplayQueue")}
    assert waiting["Retry1MinQueue"]
    assert waiting["ReplayQueue"]
    delete(posthorn, tenant.uid)
    run(posthorn)
    sent = len(posthorn.network.at(tenant.host))

    posthorn.clock.pass_seconds(60)
    for queue in QUEUES:
        assert posthorn.deliver(waiting[queue]) == set()
    assert posthorn.replay(waiting["ReplayQueue"]) == set()

    assert len(posthorn.network.at(tenant.host)) == sent
    assert list(belonging_to(tenant)) == []
    letters = [posthorn.waiting(queue) for queue in posthorn.queues if "DeadLetter" in queue]
    assert not any(letters)


def test_a_message_that_has_lost_its_row_is_still_a_dead_letter(posthorn: Installation) -> None:
    """If the endpoint exists, a missing delivery is nothing that Posthorn does, and an operator should see it."""
    tenant = new_tenant(posthorn, "leaver")
    tenant.furnish()
    for key in [key for key in rows(posthorn) if key[0] == "DeliveriesTable"]:
        table = posthorn.tables["DeliveriesTable"]
        clients.client("dynamodb").delete_item(
            TableName=table, Key={"pk": {"S": key[1]}, "sk": {"S": key[2]}}
        )
    posthorn.deliver(posthorn.take("Retry1MinQueue"))
    assert any(posthorn.waiting(queue) for queue in posthorn.queues if "DeadLetter" in queue)


def test_a_deleted_workspace_accepts_nothing(posthorn: Installation, tenant: Tenant) -> None:
    """From the answer on in this process, within 30 seconds in every other: it is unknown by id and by uid."""
    tenant.furnish()
    platform = posthorn.new_platform_key()
    delete(posthorn, tenant.uid)

    for name in (tenant.workspace, tenant.uid):
        header = {HEADER: name}
        for method, path, body in (
            ("POST", "/v1/events", {"event": "CONTACT_CREATED", "data": {}}),
            ("POST", "/api/v1/partner/email/send", MAIL),
            ("POST", "/v1/webhooks", {"url": "https://a.example.com/", "events": ["*"]}),
            ("GET", "/v1/webhooks", None),
        ):
            reply = posthorn.call(method, path, body, key=platform, headers=header)
            assert (reply.status, reply.body["code"]) == (404, "not_found"), path
        batch = {"events": [{"event": "CONTACT_CREATED", "data": {}, "workspace": name}]}
        reply = posthorn.call("POST", "/v1/events", batch, key=platform)
        assert (reply.status, reply.body["code"]) == (422, "unknown_workspace")
    own = posthorn.call("POST", "/v1/events", {"event": "CONTACT_CREATED", "data": {}}, key=tenant.key)
    assert (own.status, own.body["code"]) == (404, "not_found")


def test_a_deleted_workspace_cannot_be_changed(posthorn: Installation, tenant: Tenant) -> None:
    """Its status is `deleting`, in lists, too, and neither PUT nor PATCH brings it back."""
    platform = posthorn.new_platform_key()
    delete(posthorn, tenant.uid)

    for method in ("PUT", "PATCH"):
        reply = posthorn.call(method, f"{PATH}/{tenant.uid}", {"status": "active"}, key=platform)
        assert (reply.status, reply.body["code"]) == (409, "workspace_deleting")
    one = posthorn.call("GET", f"{PATH}/{tenant.uid}", key=platform).body["workspace"]
    assert one["status"] == "deleting"
    listed = posthorn.call("GET", f"{PATH}?status=deleting", key=platform).body["workspaces"]
    assert listed == [one]


def test_nobody_sets_the_status_deleting(posthorn: Installation, tenant: Tenant) -> None:
    """Only DELETE does, since a purge belongs to it."""
    platform = posthorn.new_platform_key()
    reply = posthorn.call("PATCH", f"{PATH}/{tenant.uid}", {"status": "deleting"}, key=platform)
    assert (reply.status, reply.body["errors"][0]["pointer"]) == (422, "/status")


def test_everything_of_a_purged_workspace_is_unknown(posthorn: Installation, tenant: Tenant) -> None:
    """Key, header, cursor and ids answer as if they had never existed."""
    tenant.furnish()
    platform = posthorn.new_platform_key()
    cursor = tenant.call("GET", "/v1/events?limit=1")["nextCursor"]
    delete(posthorn, tenant.uid)
    run(posthorn)
    posthorn.clock.pass_seconds(31)

    def ask(path: str, key: str, headers: dict[str, str] | None = None) -> Reply:
        return posthorn.call("GET", path, key=key, headers=headers)

    assert ask("/v1/webhooks", tenant.key).status == 401
    for name in (tenant.workspace, tenant.uid):
        assert ask(f"/v1/events?cursor={cursor}", platform, {HEADER: name}).status == 404
        assert ask(f"{PATH}/{name}", platform).status == 404
    assert ask(f"{PATH}/{tenant.uid}/purge", platform).status == 404
    assert ask(f"{PATH}/{tenant.workspace}/purge", platform).status == 200
    assert posthorn.call("DELETE", f"{PATH}/{tenant.uid}", key=platform).status == 404


def test_the_uid_is_free_for_another_workspace(posthorn: Installation, tenant: Tenant) -> None:
    """A workspace with the same uid has another id and nothing of the old one; the old idempotency keys are unused."""
    tenant.furnish()
    key = {"idempotency-key": "same"}
    body = {"event": "CONTACT_CREATED", "data": {}}
    old = tenant.call("POST", "/v1/events", body, headers=key)["event"]["id"]
    delete(posthorn, tenant.uid)
    run(posthorn)
    posthorn.clock.pass_seconds(31)

    again = new_tenant(posthorn, tenant.uid)

    assert again.workspace != tenant.workspace
    assert again.call("GET", "/v1/webhooks")["webhooks"] == []
    assert again.call("GET", "/v1/events")["events"] == []
    assert [one["name"] for one in again.call("GET", "/v1/event-types")["eventTypes"]].count(
        "SHIP_SAILED"
    ) == 0
    assert again.call("POST", "/v1/events", body, headers=key)["event"]["id"] != old
    # a repetition of the old DELETE names the old workspace by its id, and touches nothing
    assert delete(posthorn, tenant.workspace)["state"] == "done"
    assert again.call("GET", "/v1/events")["events"]


def test_a_repeated_delete_is_the_same_purge(posthorn: Installation, tenant: Tenant) -> None:
    """By either name and at any time; each shows the progress of the one job."""
    tenant.furnish()
    first = delete(posthorn, tenant.uid)
    assert (first["state"], first["workspace"], first["uid"]) == ("queued", tenant.workspace, tenant.uid)
    assert delete(posthorn, tenant.workspace) == first
    run(posthorn, steps=1)
    assert delete(posthorn, tenant.uid)["state"] == "running"
    run(posthorn)
    assert delete(posthorn, tenant.workspace) == shown(posthorn, tenant.workspace)


def test_an_unknown_workspace_has_no_purge(posthorn: Installation) -> None:
    """Unknown names get 404, and no job is made."""
    platform = posthorn.new_platform_key()
    for name in ("nobody", "wksp_01GY5BVC309NNKZNNKZNNKZNNK", "a b"):
        for method, path in (("DELETE", name), ("GET", f"{name}/purge")):
            reply = posthorn.call(method, f"{PATH}/{path}", key=platform)
            assert (reply.status, reply.body["code"]) == (404, "not_found")
    assert posthorn.waiting("PurgeQueue") == []


def test_what_is_written_late_is_removed_too(
    posthorn: Installation, tenant: Tenant, neighbor: Tenant, sets_at_ses: set[str]
) -> None:
    """A process that had cached the key and the workspace goes on for 30 seconds; later rounds find all of it."""
    before = {key: row for key, row in rows(posthorn).items() if tenant.workspace not in row}
    tenant.furnish()
    platform = posthorn.new_platform_key()
    tenant.call("GET", "/v1/webhooks")
    delete_elsewhere(posthorn, tenant, platform)
    run(posthorn, steps=1)

    tenant.publish()
    webhook = tenant.call("POST", "/v1/webhooks", {"url": f"https://{tenant.host}/", "events": ["*"]})
    tenant.publish()
    name = {"name": "late"}
    tenant.call("POST", "/api/v1/partner/email/configuration-sets", name)
    tenant.call("POST", "/api/v1/partner/email/send", {**MAIL, "configuration_set_name": "late"})
    tenant.call("POST", "/v1/api-keys", {"name": "late", "scopes": ["user"]})
    work_off(posthorn)
    assert list(belonging_to(tenant))
    assert webhook["webhook"]["id"]
    run(posthorn)
    work_off(posthorn)

    left = {key for key in rows(posthorn).keys() - before.keys() if neighbor.workspace not in str(key)}
    assert {key for key in left if not any(one in str(key) for one in neighbor.ids.values())} == set()
    assert list(belonging_to(tenant)) == []
    assert sets_at_ses == {neighbor.ids["set kept"]}
    assert shown(posthorn, tenant.workspace)["round"] == 3


def delete_elsewhere(posthorn: Installation, tenant: Tenant, platform: str) -> None:
    """Delete a workspace in another process, so that this one keeps what it has cached."""
    forget = posthorn.services.workspaces.forget
    posthorn.services.workspaces.forget = lambda *_: None  # type: ignore[method-assign]
    reply = posthorn.call("DELETE", f"{PATH}/{tenant.uid}", key=platform)
    posthorn.services.workspaces.forget = forget  # type: ignore[method-assign]
    assert reply.status == 202


def test_a_purge_while_a_replay_runs(posthorn: Installation, tenant: Tenant) -> None:
    """The replay ends without restarting anything; its row goes with its endpoint."""
    tenant.furnish()
    posthorn.network.receivers[tenant.host] = answers(200)
    work_off(posthorn)
    posthorn.clock.pass_seconds(1)
    path = f"/v1/webhooks/{tenant.ids['kept']}/replays"
    tenant.call("POST", path, {"since": "2020-01-01T00:00:00Z", "status": "all"})
    posthorn.replay(posthorn.take("ReplayQueue"))
    (step,) = posthorn.waiting("ReplayQueue")
    delete(posthorn, tenant.uid)
    run(posthorn, steps=1)

    assert posthorn.replay([step]) == set()
    work_off(posthorn)
    run(posthorn)

    assert list(belonging_to(tenant)) == []


def test_a_set_that_is_created_meanwhile_leaves_no_resources(
    posthorn: Installation,
    tenant: Tenant,
    neighbor: Tenant,
    sets_at_ses: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A request between its row and SES is overtaken by the purge: a later round removes what it made at SES."""
    create = SimulatorBackend.create_set

    def late(self: SimulatorBackend, workspace: str, set_id: str, suppression: Any) -> None:
        monkeypatch.setattr(SimulatorBackend, "create_set", create)
        delete(posthorn, tenant.uid)
        run(posthorn, steps=1)
        create(self, workspace, set_id, suppression)

    monkeypatch.setattr(SimulatorBackend, "create_set", late)
    path = "/api/v1/partner/email/configuration-sets"
    reply = posthorn.call("POST", path, {"name": "late"}, key=tenant.key)
    assert reply.status == 404
    assert len(sets_at_ses) == 2

    run(posthorn)

    assert sets_at_ses == {neighbor.ids["set kept"]}
    assert list(belonging_to(tenant)) == []


def test_a_step_ends_when_its_time_is_up(
    posthorn: Installation, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page may be the last of its invocation: the next step goes on behind it."""
    monkeypatch.setattr(workspace_rows, "PAGE", 2)
    before = {key: row for key, row in rows(posthorn).items() if tenant.workspace not in row}
    tenant.furnish()
    delete(posthorn, tenant.uid)

    assert run(posthorn, remaining_ms=purger.MARGIN_MS - 1) > 30

    assert rows(posthorn) == before
    assert shown(posthorn, tenant.workspace)["state"] == "done"


def test_the_purge_of_a_workspace_with_much_of_everything(posthorn: Installation, tenant: Tenant) -> None:
    """More than a page, and more than a batch, of events, deliveries and endpoints."""
    before = {key: row for key, row in rows(posthorn).items() if tenant.workspace not in row}
    posthorn.names[tenant.host] = ("93.184.215.14",)
    posthorn.network.receivers[tenant.host] = answers(200)
    for _ in range(3):
        tenant.call("POST", "/v1/webhooks", {"url": f"https://{tenant.host}/", "events": ["*"]})
    for _ in range(3):
        tenant.publish(100)
        posthorn.dispatch()
    delete(posthorn, tenant.uid)

    run(posthorn)

    assert rows(posthorn) == before
    removed = shown(posthorn, tenant.workspace)["removed"]
    assert (removed["events"], removed["deliveries"], removed["endpoints"]) == (300, 900, 3)


def test_two_workers_at_one_step(
    posthorn: Installation, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was overtaken records nothing and sends no message."""
    tenant.furnish()
    delete(posthorn, tenant.uid)
    (message,) = posthorn.take("PurgeQueue")
    plain = Purges.replace
    overtaken: list[bool] = []

    def late(self: Purges, old: PurgeJob, new: PurgeJob) -> bool:
        if not overtaken:
            overtaken.append(True)
            assert posthorn.purge([message]) == set()
        return plain(self, old, new)

    monkeypatch.setattr(Purges, "replace", late)
    assert posthorn.purge([message]) == set()

    assert len(posthorn.waiting("PurgeQueue")) == 1
    assert shown(posthorn, tenant.workspace)["removed"]["apiKeys"] == 2


def test_a_lost_message_is_sent_again_by_whoever_looks(posthorn: Installation, tenant: Tenant) -> None:
    """A purge whose message was lost goes on when it is looked at after two minutes, and not before."""
    delete(posthorn, tenant.uid)
    run(posthorn, steps=1)
    assert posthorn.take("PurgeQueue")
    posthorn.clock.pass_seconds(purger.SETTLE_SECONDS + STALLED_MS / 1000 - 1)
    shown(posthorn, tenant.uid)
    assert posthorn.waiting("PurgeQueue") == []
    posthorn.clock.pass_seconds(1)
    shown(posthorn, tenant.uid)
    shown(posthorn, tenant.uid)
    assert len(posthorn.waiting("PurgeQueue")) == 1
    run(posthorn)
    assert shown(posthorn, tenant.workspace)["state"] == "done"


def test_a_message_that_makes_no_sense_is_a_dead_letter(posthorn: Installation) -> None:
    """It is kept with the reason, and the queue goes on."""
    sqs = posthorn.services.purge_queue._sqs
    for body in ("nothing", '{"v":1,"workspace":"neighbor","step":1}', '{"v":1,"workspace":"wksp_1"}'):
        sqs.send_message(QueueUrl=posthorn.queues["PurgeQueue"], MessageBody=body)
    assert posthorn.purge(posthorn.take("PurgeQueue")) == set()
    assert len(posthorn.waiting("PurgeDeadLetterQueue")) == 3
