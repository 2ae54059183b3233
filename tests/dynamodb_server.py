"""moto's DynamoDB, as strict as AWS's, in a process and behind a port of its own: `python -m tests.dynamodb_server`.

It stands in for the DynamoDB Local that `POSTHORN_TEST_DYNAMODB` can name. It prints its URL.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from moto.core.botocore_stubber import BotocoreStubber

from tests.strict_dynamodb import strict
from tests.template import REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

_ONE_AT_A_TIME: Final = threading.Lock()  # moto's conditional writes are not atomic


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        headers = HTTPHeaders()
        for name, value in self.headers.items():
            headers[name] = value
        body = self.rfile.read(int(self.headers["Content-Length"]))
        url = f"https://dynamodb.{REGION}.amazonaws.com/"
        with _ONE_AT_A_TIME:
            answer = BotocoreStubber().process_request(AWSPreparedRequest("POST", url, headers, body, False))
        assert answer is not None
        status, names, content = answer
        sent = content if isinstance(content, bytes) else str(content).encode()
        self.send_response(int(status))
        for name, value in names.items():
            if name.lower() not in {"content-length", "server", "date"}:
                self.send_header(name, str(value))
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def running_server() -> Iterator[str]:
    """Run the server in another process; yields its URL."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.dynamodb_server"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _serve() -> None:
    with strict(), ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201 - the caller reads it
        server.serve_forever()


if __name__ == "__main__":
    _serve()
