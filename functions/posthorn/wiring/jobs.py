"""How the functions that work behind the API and the pipeline are made: feedback, replays, purges, the sweeper."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from posthorn.aws.clients import client
from posthorn.domain.clock import now_ms
from posthorn.wiring import parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthorn.delivery.bulk_replay import Replayer
    from posthorn.delivery.purger import Purger
    from posthorn.delivery.sweeper import Sweeper
    from posthorn.email.feedback import Feedback
    from posthorn.settings import FeedbackSettings, PurgeSettings, ReplaySettings, SweepSettings


def open_feedback(settings: FeedbackSettings, *, clock: Callable[[], int] = now_ms) -> Feedback:
    from posthorn.email.feedback import Feedback

    return Feedback(parts.events(settings.store), parts.dead_letters(settings), clock=clock)


def open_replayer(settings: ReplaySettings, *, clock: Callable[[], int] = now_ms) -> Replayer:
    from posthorn.aws.queues import Queues, ReplayQueue
    from posthorn.delivery.bulk_replay import Replayer
    from posthorn.stores.replay_candidates import ReplayCandidates
    from posthorn.stores.replays import Replays

    store = settings.store
    return Replayer(
        Replays(client("dynamodb"), store.config_table, retention_days=store.retention_days),
        parts.endpoints(store),
        parts.deliveries(store),
        ReplayCandidates(client("dynamodb"), store.deliveries_table),
        parts.events(store),
        queues=Queues(client("sqs"), settings.deliver_queue_url),
        steps=ReplayQueue(client("sqs"), settings.replay_queue_url),
        dead_letters=parts.dead_letters(settings),
        clock=clock,
    )


def open_purger(settings: PurgeSettings, *, clock: Callable[[], int] = now_ms) -> Purger:
    from posthorn.aws.purge_queue import PurgeQueue
    from posthorn.delivery.purger import Purger
    from posthorn.stores.purges import Purges
    from posthorn.stores.workspace_rows import WorkspaceRows
    from posthorn.stores.workspaces import Workspaces

    dynamodb, store = client("dynamodb"), settings.store
    return Purger(
        Purges(dynamodb, store.config_table),
        Workspaces(dynamodb, store.config_table),
        WorkspaceRows(
            dynamodb,
            config_table=store.config_table,
            events_table=store.events_table,
            deliveries_table=store.deliveries_table,
        ),
        steps=PurgeQueue(client("sqs"), settings.purge_queue_url),
        dead_letters=parts.dead_letters(settings),
        email=parts.email_backend(settings, clock, secrets.token_bytes),
        clock=clock,
    )


def open_sweeper(settings: SweepSettings, *, clock: Callable[[], int] = now_ms) -> Sweeper:
    from posthorn.delivery.sweeper import Sweeper
    from posthorn.stores.overdue_deliveries import OverdueDeliveries

    return Sweeper(
        OverdueDeliveries(client("dynamodb"), settings.store.deliveries_table),
        parts.queues(settings),
        clock=clock,
        grace_ms=settings.grace * 1000,
    )
