// A receiver that reads structured CloudEvents with the published library.
//
// Answers 200 when the library finds a valid event, 400 when it does not. Prints one JSON line with its port, then one
// for every request, with the event as the library read it.

const http = require('http');
const { HTTP } = require('cloudevents');

function read(headers, body) {
  try {
    const event = HTTP.toEvent({ headers, body });
    event.validate();
    return { status: 200, event: event.toJSON() };
  } catch (error) {
    return { status: 400, error: String(error) };
  }
}

const server = http.createServer((req, res) => {
  const parts = [];
  req.on('data', (part) => parts.push(part));
  req.on('end', () => {
    const report = read(req.headers, Buffer.concat(parts).toString());
    console.log(JSON.stringify(report));
    res.writeHead(report.status).end();
  });
});

server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ port: server.address().port }));
});
