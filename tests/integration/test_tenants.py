"""Two workspaces that use everything at once never see, change or receive anything of each other.

Each acts with a key of its own, and through the platform's key, which reaches both.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from posthorn.api.access import HEADER
from posthorn.api.routes.configuration_sets import PATH as SETS
from posthorn.api.routes.table import ROUTES
from posthorn.domain.api_key import Scope
from posthorn.domain.event_types import built_in
from tests.installation import running
from tests.network import answers, in_turn
from tests.sample_requests import body_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import DataObject

    from posthorn.api.route import Route
    from tests.installation import Installation

IDS: Final = re.compile(
    r"\b(?:wh|evt|cs|ed|rpl)_[0-9A-HJKMNP-TV-Z]{26}\b|(?<=\"id\":\")[0-9A-Za-z]{12}(?=\")"
)
KINDS: Final = {
    "webhookId": "wh_",
    "eventId": "evt_",
    "configSetId": "cs_",
    "destinationId": "ed_",
    "replayId": "rpl_",
}
EXAMPLES: Final = set(IDS.findall(json.dumps([one.example for one in built_in().values()])))
PROTECTED: Final = [route for route in ROUTES if isinstance(route.scope, Scope)]
# calls on existing resources need those to be created first
MAKERS: Final = [
    route
    for route in PROTECTED
    if route.method == "POST"
    and (
        route.path in {"/v1/webhooks", "/v1/events", SETS} or route.path.endswith(("-destinations", "/send"))
    )
]
QUEUES: Final = ("DeliverQueue", "Retry1MinQueue", "Retry5MinQueue", "Retry15MinQueue")


@dataclass
class Tenant:
    """One workspace, and every id that its answers contained."""

    workspace: str
    uid: str
    key: str
    mark: str  # in all its answers
    ids: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # by parameter name
    set_names: list[str] = field(default_factory=list)
    is_suspended: bool = False

    @property
    def names(self) -> tuple[str, str]:
        return self.workspace, self.uid

    @property
    def host(self) -> str:
        return f"{self.mark}.example.com"

    @property
    def all_ids(self) -> set[str]:
        return {known for ids in self.ids.values() for known in ids}

    def learn(self, text: str) -> None:
        for found in set(IDS.findall(text)) - EXAMPLES:
            kind = next((name for name, prefix in KINDS.items() if found.startswith(prefix)), "keyId")
            if found not in (*self.ids[kind], self.key[4:16]):  # revoking one's own key locks one out
                self.ids[kind].append(found)


@pytest.fixture(scope="module")
def posthorn() -> Iterator[Installation]:
    """One installation for all runs: each creates two workspaces of its own."""
    with running() as installation:
        yield installation


class Tenants(RuleBasedStateMachine):
    """Two workspaces in one installation; any operations in any order."""

    posthorn: ClassVar[Installation]
    answered: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = self._move_in("left"), self._move_in("right")
        self.platform = self.posthorn.new_platform_key()

    def _move_in(self, name: str) -> Tenant:
        workspace, key = self.posthorn.new_workspace()
        row = self.posthorn.services.workspaces.store.get(workspace)
        assert row is not None
        tenant = Tenant(workspace, row.uid, key, f"{name}-{self.posthorn.new_id()[-8:].lower()}")
        self.posthorn.names[tenant.host] = ("93.184.215.14",)
        self.posthorn.network.receivers[tenant.host] = in_turn(answers(500), answers(200))
        return tenant

    @rule(is_left=st.booleans(), is_platform=st.booleans(), route=st.sampled_from(MAKERS), data=st.data())
    def make(self, is_left: bool, is_platform: bool, route: Route, data: DataObject) -> None:
        """One of the two makes something, or the platform does for it."""
        self._call(is_left, is_platform, route, data)

    @rule(is_left=st.booleans(), is_platform=st.booleans(), route=st.sampled_from(PROTECTED), data=st.data())
    def call(self, is_left: bool, is_platform: bool, route: Route, data: DataObject) -> None:
        """One of the two calls any route, or the platform for it, with its own or the other's ids."""
        self._call(is_left, is_platform, route, data)

    def _call(self, is_left: bool, is_platform: bool, route: Route, data: DataObject) -> None:
        me, other = (self.left, self.right) if is_left else (self.right, self.left)
        ids = {}
        for name in re.findall(r"{(\w+)}", route.path):
            if not (known := me.ids[name] + other.ids[name]):
                return
            ids[name] = data.draw(st.sampled_from(known))
        unique = f"{me.mark}-{self.posthorn.new_id()[-8:]}"
        body = body_for(route, unique=unique, host=me.host)
        if route.operation == "POST /api/v1/partner/email/send" and me.set_names:
            body["configuration_set_name"] = data.draw(st.sampled_from(me.set_names))

        names = me.names if is_platform else (None, None, *me.names, data.draw(st.sampled_from(other.names)))
        name = data.draw(st.sampled_from(names))
        reply = self.posthorn.call(
            route.method,
            route.path.format_map(ids),
            body,
            key=self.platform if is_platform else me.key,
            headers={} if name is None else {HEADER: name},
        )

        said = json.dumps(reply.body)
        assert reply.status < 500, reply
        assert other.mark not in said
        assert [known for known in other.all_ids if known in said] == []
        if name in other.names:
            assert (reply.status, reply.body["code"]) == (404, "not_found")
            self.answered["foreign workspace"] += 1
        elif me.is_suspended and route.needs_active_workspace:
            assert (reply.status, reply.body["code"]) == (403, "workspace_suspended")
            self.answered["suspended"] += 1
        elif other.all_ids & set(ids.values()):
            assert (reply.status, reply.body["code"]) == (404, "not_found")
            self.answered["foreign"] += 1
        elif reply.status < 300:
            me.learn(said)
            me.set_names += [unique] if route.operation == f"POST {SETS}" else []
            me.ids["name"] += [body["name"]] if route.operation == "POST /v1/event-types" else []
            self.answered["platform" if is_platform else "own"] += 1

    @rule(data=st.data())
    def publish_to_both(self, data: DataObject) -> None:
        """Publish a batch for both with the platform's key: each gets its own events, or neither gets any."""
        wanted = data.draw(st.lists(st.sampled_from([self.left, self.right]), min_size=1, max_size=6))
        events = [
            {
                "event": "CONTACT_CREATED",
                "data": {"of": one.mark},
                "workspace": data.draw(st.sampled_from(one.names)),
            }
            for one in wanted
        ]

        reply = self.posthorn.call("POST", "/v1/events", {"events": events}, key=self.platform)

        if any(one.is_suspended for one in wanted):
            assert (reply.status, reply.body["code"]) == (403, "workspace_suspended")
            self.answered["suspended"] += 1
            return
        assert reply.status == 202
        for one, made in zip(wanted, reply.body["events"], strict=True):
            one.learn(json.dumps(made))
        self.answered["batches"] += 1

    @rule(is_left=st.booleans(), is_suspended=st.sampled_from([False, False, True]))
    def suspend_or_resume(self, is_left: bool, is_suspended: bool) -> None:
        """Change the status of one, which the other does not notice."""
        one = self.left if is_left else self.right
        one.is_suspended = is_suspended
        body = {"status": "suspended" if one.is_suspended else "active"}
        path = f"/v1/workspaces/{one.uid}"
        assert self.posthorn.call("PATCH", path, body, key=self.platform).status == 200

    @rule()
    def deliver(self) -> None:
        """Process all waiting work of both."""
        self.posthorn.notify(self.posthorn.take("FeedbackQueue"))
        self.posthorn.dispatch()
        self.posthorn.replay(self.posthorn.take("ReplayQueue"))
        for queue in QUEUES:
            self.posthorn.deliver(self.posthorn.take(queue))
        self.posthorn.sweep()

    @rule(seconds=st.sampled_from([1, 31, 901]))
    def wait(self, seconds: int) -> None:
        self.posthorn.clock.pass_seconds(seconds)

    def teardown(self) -> None:
        """Neither was sent anything of the other."""
        self.deliver()
        for me, other in ((self.left, self.right), (self.right, self.left)):
            for received in self.posthorn.network.at(me.host):
                assert other.mark not in received.body.decode()
                assert received.id not in other.all_ids
                self.answered["received"] += 1


def test_two_workspaces_stay_apart(posthorn: Installation) -> None:
    """In any order of operations, with their own ids and each other's, the two stay apart."""
    Tenants.posthorn = posthorn
    run_state_machine_as_test(
        Tenants,
        settings=settings(
            max_examples=15, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    kinds = ("foreign", "foreign workspace", "own", "platform", "batches", "suspended", "received")
    assert {kind for kind in kinds if Tenants.answered[kind] == 0} == set()
