// A receiver of a Splashify customer. The handler is the published example from the webhook
// documentation, deliberately kept as printed; the secret comes from SPLASHIFY_WEBHOOK_SECRET, as in the example.
//
// Prints one JSON line with its port.

import express from "express";

const app = express();

import crypto from "crypto";

app.post("/webhooks/splashify", express.raw({ type: "application/json" }), (req, res) => {
  const signature = req.header("x-splashify-signature") || "";
  const expected = "sha256=" + crypto
    .createHmac("sha256", process.env.SPLASHIFY_WEBHOOK_SECRET)
    .update(req.body)
    .digest("hex");

  if (!crypto.timingSafeEqual(Buffer.from(signature), Buffer.from(expected))) {
    return res.status(401).end();
  }

  const event = JSON.parse(req.body.toString());
  // process event...
  res.status(200).end();
});

const server = app.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ port: server.address().port }));
});
