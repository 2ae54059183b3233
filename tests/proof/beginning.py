"""The world that every run begins with."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from unittest import mock

from tests.installation import running
from tests.notice_queue import NOTICE_TOPIC, create_notice_queue
from tests.proof import customers
from tests.proof.faults import Faults, Threads
from tests.proof.receivers import Receivers
from tests.proof.throttling import Throttling
from tests.proof.world import HOSTS, MAIL_SET, WORKSPACES, World, host

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def existing() -> Iterator[World]:
    """Create a world of two workspaces with some endpoints; many runs share it, one after another."""
    with running(NoticeTarget=NOTICE_TOPIC) as installation, ExitStack() as installed:
        throttling = Throttling(installation.tables["DeliveriesTable"], installation.clock)
        faults, threads = Faults(throttling), Threads()
        installed.enter_context(threads.installed())
        installed.enter_context(faults.installed())
        installed.enter_context(mock.patch("posthorn.stores.batches.time.sleep"))
        installed.enter_context(mock.patch("posthorn.aws.queues.time.sleep"))
        create_notice_queue()
        keys = [(installation.workspace, installation.key)]
        keys += [installation.new_workspace() for _ in range(WORKSPACES - 1)]
        installation.names.update(
            {
                host(workspace, number): ("93.184.216.34",)
                for workspace in range(WORKSPACES)
                for number in range(HOSTS)
            }
        )
        result = installation.call("POST", "/api/v1/partner/email/configuration-sets", {"name": MAIL_SET})
        mail_set = result.body["config_set_id"]
        world = World(
            installation, faults, threads, Receivers(installation.clock, faults), keys, mail_set=mail_set
        )
        with world.happening():
            for workspace, number, patterns in ((0, 0, ["*"]), (0, 1, ["contact.*"]), (1, 0, ["*"])):
                customers.register(world, workspace, number, patterns)
            customers.register_destination(world, 2)
        world.settle_down()
        yield world
