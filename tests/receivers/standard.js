// A receiver that checks the raw body with the two published Standard Webhooks libraries, independently.
//
// WEBHOOK_SECRET is a `whsec_` token, or `whsec_` and the base64 of another token's bytes. Answers 200 when both
// libraries accept, 401 when neither does, 500 when they disagree. Prints one JSON line with its port, then one for
// every request.

const http = require('http');
const { Webhook: StandardWebhook } = require('standardwebhooks');
const { Webhook: SvixWebhook } = require('svix');

const libraries = { standardwebhooks: StandardWebhook, svix: SvixWebhook };
const statuses = { 0: 401, 1: 500, 2: 200 };

function accepts(Library, body, headers) {
  try {
    new Library(process.env.WEBHOOK_SECRET).verify(body, headers);
    return true;
  } catch (error) {
    if (error.constructor.name !== 'WebhookVerificationError') throw error;
    return false;
  }
}

const server = http.createServer((req, res) => {
  const parts = [];
  req.on('data', (part) => parts.push(part));
  req.on('end', () => {
    const body = Buffer.concat(parts);
    const accepted = Object.keys(libraries).filter((name) => accepts(libraries[name], body, req.headers));
    const status = statuses[accepted.length];
    console.log(
      JSON.stringify({ status, accepted, path: req.url, headers: req.headers, body: body.toString('base64') })
    );
    res.writeHead(status).end();
  });
});

server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ port: server.address().port }));
});
