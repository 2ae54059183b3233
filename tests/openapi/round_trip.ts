// What a customer does with the generated TypeScript client: create a webhook, publish, list deliveries, replay one.
// Prints the event's id. The environment says where the API is, with which key, and where deliveries go.

import { createWebhook, listWebhookDeliveries, publishEvents, replayWebhookDelivery, type Delivery } from "./client";
import { client } from "./client/client.gen";

declare const process: { env: Record<string, string>; stdout: { write(text: string): void }; exitCode: number };
const { API_URL, API_KEY, RECEIVER_URL, WEBHOOK_TOKEN } = process.env;
const PATIENCE = 90_000;

client.setConfig({ baseUrl: API_URL, auth: API_KEY, throwOnError: true });

/** Return the webhook's one delivery as soon as this generation of it is delivered. */
async function delivered(webhookId: string, generation: number): Promise<Delivery> {
  const deadline = Date.now() + PATIENCE;
  while (Date.now() < deadline) {
    const page = await listWebhookDeliveries({ path: { webhookId }, throwOnError: true });
    for (const delivery of page.data.deliveries) {
      if ("unreadable" in delivery) throw new Error("unreadable");
      if (delivery.status === "delivered" && delivery.generation === generation) return delivery;
    }
    await new Promise((resolve) => setTimeout(resolve, 200)); // between two questions
  }
  throw new Error("nothing was delivered");
}

function equal<T>(found: T, expected: T): void {
  if (found !== expected) throw new Error(`${found} is not ${expected}`);
}

async function main(): Promise<void> {
  const created = await createWebhook({
    body: { url: RECEIVER_URL, events: ["CONTACT_CREATED"], token: WEBHOOK_TOKEN },
    throwOnError: true,
  });
  const { webhook } = created.data;
  const published = await publishEvents({
    body: { event: "CONTACT_CREATED", data: { by: "typescript" } },
    headers: { "Idempotency-Key": "typescript-1" },
    throwOnError: true,
  });
  if (!("event" in published.data)) throw new Error("one event was published, not a batch");
  const eventId = published.data.event.id;

  const first = await delivered(webhook.id, 1);
  equal(first.eventId, eventId);
  equal(first.attemptCount, 1);
  const replayed = await replayWebhookDelivery({ path: { webhookId: webhook.id, eventId }, throwOnError: true });
  equal(replayed.data.delivery.generation, 2);
  equal((await delivered(webhook.id, 2)).replay, replayed.data.delivery.replay);
  process.stdout.write(eventId);
}

main().catch((error) => {
  process.stdout.write(`${error instanceof Error ? error.stack : JSON.stringify(error)}\n`);
  process.exitCode = 1;
});
