"""Checks that an event reaches a receiver: registers a webhook for it, sends a test event, and removes the webhook."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.api_key import Scope, key_id_of
from posthorn.domain.errors import PosthornError
from posthorn.stores.api_keys import ApiKeys
from posthorn_cli.access import create_workspace_key
from posthorn_cli.aws_errors import explain
from posthorn_cli.check import api_client
from posthorn_cli.check.deployed import CannotLook
from posthorn_cli.check.findings import fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from posthorn_cli.check.api_client import ApiAnswer
    from posthorn_cli.check.deployed import Deployed
    from posthorn_cli.check.findings import Finding

WAIT_SECONDS: Final = 90  # a cold start of each function, an attempt that times out, and the stream
_PAUSE_SECONDS: Final = 0.5
_KEY_MS: Final = 900_000  # in case that the key cannot be revoked

type Api = Callable[[str, str], ApiAnswer]


def check_delivery(
    deployed: Deployed,
    url: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Finding]:
    """Send a test event to a receiver, wait for the first attempt, and say how it ended.

    The webhook belongs to a workspace of its own, so no customer's webhook gets the event.
    """
    with _temporary_key(deployed) as key:

        def api(method: str, path: str, body: Any = None) -> ApiAnswer:
            return api_client.call(method, deployed.api_url + path, key=key, body=body)

        try:
            yield from _delivered(api, url, clock=clock, sleep=sleep)
        except api_client.Unreachable as error:
            yield fail(f"The API {error}.", "Run the command again.")


def _delivered(
    api: Callable[..., ApiAnswer],
    url: str,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], object],
) -> Iterator[Finding]:
    created = api("POST", "/v1/webhooks", {"url": url, "events": ["CONTACT_CREATED"]})
    if created.status != 201:
        yield fail(
            f"The API does not accept the receiver ({created.status}): {created.detail}",
            "Pass the https URL of a receiver on the internet with --url.",
        )
        return
    path = f"/v1/webhooks/{created.body['webhook']['id']}"
    try:
        sent = api("POST", f"{path}/test")
        if sent.status != 202:
            yield fail(f"The API does not accept an event ({sent.status}): {sent.detail}", "Read its log.")
            return
        event = f"/v1/events/{sent.body['event']['id']}"
        give_up = clock() + WAIT_SECONDS
        while not (attempts := _attempts(api("GET", event))):
            if clock() > give_up:
                yield fail(
                    f"The event was accepted, but there is no attempt after {WAIT_SECONDS} seconds.",
                    "Look at the findings about functions and sources, then at the log of DispatchFunction.",
                )
                return
            sleep(_PAUSE_SECONDS)
        yield _outcome(attempts[0])
    finally:
        removed = api("DELETE", path)
    if removed.status >= 300:
        yield warn(f"The test webhook was not removed ({removed.status}).", "It gets no events; ignore it.")


def _attempts(answer: ApiAnswer) -> list[Any]:
    deliveries = answer.body.get("event", {}).get("deliveries") or [{}]
    attempts: list[Any] = deliveries[0].get("attempts", [])
    return attempts


def _outcome(attempt: Any) -> Finding:
    status, latency = attempt.get("status"), attempt.get("latencyMs")
    if status is None:
        why = attempt.get("error") or attempt.get("failure")
        return fail(f"The receiver did not answer: {why}", "Check the URL, or pass another one with --url.")
    if 200 <= status < 300:
        return ok(f"A test event arrived: the receiver answered {status} after {latency} ms.")
    return fail(
        f"A test event arrived, but the receiver answered {status} after {latency} ms.",
        "Use a receiver that answers 2xx to every POST: the token of the test webhook is a new one.",
    )


@contextmanager
def _temporary_key(deployed: Deployed) -> Iterator[str]:
    """Make an API key for a new workspace; revoke the key and remove the workspace afterwards."""
    place = deployed.place
    table = place.output("ConfigTableName")
    try:
        workspace, key = create_workspace_key(
            place.dynamodb,
            table,
            workspace_name="posthorn check",
            scopes=[Scope.API_USER, Scope.USER],
            valid_until=place.clock() + _KEY_MS,
        )
    except PosthornError as error:
        raise _cannot(error, "dynamodb:PutItem") from error
    try:
        yield key
    finally:
        try:
            ApiKeys(place.dynamodb, table).revoke(key_id_of(key), now_ms=place.clock())
        except PosthornError as error:
            raise _cannot(error, "dynamodb:UpdateItem") from error
        try:
            if (one := place.workspaces.get(workspace)) is not None:
                place.workspaces.remove(one.id, one.uid)
        except PosthornError as error:
            raise _cannot(error, "dynamodb:DeleteItem") from error


def _cannot(error: PosthornError, action: str) -> CannotLook:
    return CannotLook(str(explain(error)), f"Allow {action} on the ConfigTable for your AWS identity.")
