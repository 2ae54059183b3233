// A receiver of a SMASHSEND customer. `verifyWebhookSignature` and the handler are the published example
// from the webhook documentation, deliberately kept as printed: it signs the reserialized body,
// and it reads the older header. Only the token was filled in, from WEBHOOK_TOKEN.
//
// Prints one JSON line with its port, then the example's output.

const express = require('express');

const app = express();
app.use(express.json({ limit: '1mb' })); // Express accepts 100 KB by default

const crypto = require('crypto');

function verifyWebhookSignature(body, signature, token) {
  const hmac = crypto.createHmac('sha256', token);
  const computedSignature = hmac.update(body).digest('hex');

  return crypto.timingSafeEqual(
    Buffer.from(signature),
    Buffer.from(computedSignature)
  );
}

// In your webhook handler
app.post('/webhooks/zootools', (req, res) => {
  const signature = req.headers['x-zootools-signature'];
  const body = JSON.stringify(req.body);
  const token = process.env.WEBHOOK_TOKEN;

  if (verifyWebhookSignature(body, signature, token)) {
    // Process the webhook event
    console.log('Webhook signature verified!');
    // Handle the event based on req.body.event
    res.status(200).send('Webhook received');
  } else {
    console.log('Webhook signature verification failed!');
    res.status(401).send('Unauthorized');
  }
});

const server = app.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ port: server.address().port }));
});
