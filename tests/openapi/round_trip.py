"""What a customer does with the generated Python client: create a webhook, publish, list deliveries, replay one.

Prints the event's id. The environment says where the API is, with which key, and where deliveries go.
"""

import os
import sys
import time
from typing import Final

from posthorn_client import AuthenticatedClient
from posthorn_client.api.events import publish_events
from posthorn_client.api.webhook_deliveries import list_webhook_deliveries, replay_webhook_delivery
from posthorn_client.api.webhooks import create_webhook
from posthorn_client.models import (
    Delivery,
    DeliveryList,
    DeliveryResult,
    DeliveryStatus,
    NewEvent,
    NewEventData,
    NewWebhook,
    PublishResult,
    WebhookCreationResult,
)

PATIENCE: Final = 90.0

client = AuthenticatedClient(os.environ["API_URL"], os.environ["API_KEY"], raise_on_unexpected_status=True)


def delivered(webhook_id: str, generation: int) -> Delivery:
    """Return the webhook's one delivery as soon as this generation of it is delivered."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        page = list_webhook_deliveries.sync(webhook_id, client=client)
        assert isinstance(page, DeliveryList), page
        for delivery in page.deliveries:
            assert isinstance(delivery, Delivery), delivery
            if delivery.status is DeliveryStatus.DELIVERED and delivery.generation == generation:
                return delivery
        time.sleep(0.2)  # between two questions; what is awaited is the answer
    raise TimeoutError


created = create_webhook.sync(
    client=client,
    body=NewWebhook(
        url=os.environ["RECEIVER_URL"], events=["CONTACT_CREATED"], token=os.environ["WEBHOOK_TOKEN"]
    ),
)
assert isinstance(created, WebhookCreationResult), created
published = publish_events.sync(
    client=client,
    body=NewEvent(event="CONTACT_CREATED", data=NewEventData.from_dict({"by": "python"})),
    idempotency_key="python-1",
)
assert isinstance(published, PublishResult), published
event_id = published.event.id

first = delivered(created.webhook.id, 1)
assert (first.event_id, first.attempt_count) == (event_id, 1)
replayed = replay_webhook_delivery.sync(created.webhook.id, event_id, client=client)
assert isinstance(replayed, DeliveryResult), replayed
assert replayed.delivery.generation == 2
assert delivered(created.webhook.id, 2).replay == replayed.delivery.replay
sys.stdout.write(event_id)
