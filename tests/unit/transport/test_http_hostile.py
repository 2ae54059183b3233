"""A hostile receiver costs other receivers neither time nor memory."""

import gzip
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from posthorn.transport.http import Client
from tests.unit.transport.posts import LONG, post_to
from tests.unit.transport.receivers import GIVE_UP, OK, Connection, Receiver, Script, answering, endless

NEIGHBOURS = 50
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def silent(served: threading.Event) -> Script:
    """Accept the connection and send nothing, not even TLS."""

    def script(_: Connection) -> None:
        served.wait(GIVE_UP)

    return script


def keeping_on(first: bytes, then: bytes, pause: float) -> Callable[[threading.Event], Script]:
    """Send the first part, then the second again and again until the other receivers are served."""

    def until(served: threading.Event) -> Script:
        def script(connection: Connection) -> None:
            connection.request()
            connection.send(first)
            while not served.wait(pause):
                connection.send(then)

        return script

    return until


class TestNeighbours:
    @pytest.mark.parametrize(
        ("scheme", "holding"),
        [
            pytest.param("https", silent, id="TLS never begins"),
            pytest.param("http", silent, id="no answer"),
            pytest.param("http", keeping_on(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.02), id="dripping 100"),
            pytest.param(
                "http", keeping_on(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.02), id="dripping headers"
            ),
            pytest.param("http", keeping_on(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.02), id="dripping body"),
            pytest.param("http", keeping_on(CHUNKED + b"1;", b"x" * 65536, 0), id="flooding chunk extension"),
        ],
    )
    def test_all_are_served_while_a_hostile_receiver_holds_on(
        self, client: Client, scheme: str, holding: Callable[[threading.Event], Script]
    ) -> None:
        """Fifty healthy receivers are served while hostile ones still hold their connections."""
        served = threading.Event()
        with Receiver(holding(served)) as hostile, Receiver(answering(OK)) as healthy:
            url = f"{scheme}://127.0.0.1:{hostile.port}/"
            order = order_of(client, [url] * 5, healthy.url(), served.set)
        assert order == ["healthy"] * NEIGHBOURS + ["hostile"] * 5

    def test_all_are_served_while_a_port_accepts_no_connections(self, client: Client) -> None:
        """The same holds for a receiver that does not accept connections."""
        with ExitStack() as stack, Receiver(answering(OK)) as healthy:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            for _ in range(3):  # the kernel then drops new connections
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(listener.getsockname())
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            order = order_of(client, [url] * 5, healthy.url(), listener.close)
        assert order == ["healthy"] * NEIGHBOURS + ["hostile"] * 5


def order_of(client: Client, hostile: list[str], healthy: str, when_served: Callable[[], None]) -> list[str]:
    """Send to hostile receivers first, then to a healthy one; return the order in which attempts end."""
    posts = [("hostile", post_to(url)) for url in hostile]
    posts += [("healthy", post_to(healthy))] * NEIGHBOURS
    order: list[str] = []
    for key, outcome in client.send(posts, deadline=LONG):
        order.append(key)
        assert outcome.status == 200 or key == "hostile"
        if order.count("healthy") == NEIGHBOURS:
            when_served()
    return order


SENDING = r"""
import re, resource, sys
from pathlib import Path
from posthorn.transport.targets import Policy, parse_target
from posthorn.transport.http import Client, Post
# what is not bounded any more is to take down this process, and not the machine
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
policy = Policy(allow_private=True)
client = Client(policy=policy)
def peak_after(url):
    post = Post(parse_target(url, policy), (), b"{}")
    outcomes = list(client.send([(None, post)] * 50, deadline=20))
    assert len(outcomes) == 50
    # not getrusage: its peak is inherited from whoever started this process
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
healthy, *hostile = sys.argv[1:]
before = peak_after(healthy)
print(*(peak_after(url) - before for url in hostile))
"""


def test_memory_stays_flat() -> None:
    """Fifty concurrent attempts at receivers that send gigabytes take a few megabytes, once."""
    bomb = gzip.compress(b"\0" * 100_000_000, compresslevel=1)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    scripts = [  # the most expensive last, since a peak hides later ones
        endless(b"HTTP/1.1 200 OK\r\nContent-Length: 300000000\r\n\r\n", b"x" * 100_000),
        answering(head + bomb),
        endless(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        endless(CHUNKED, b"1\r\nx\r\n" * 10_000),
        endless(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65536),
        endless(b"HTTP/1.1 200 OK\r\n", b"X: %b\r\n" % (b"y" * 55) * 1000),
        endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 10_000),
    ]
    with ExitStack() as stack:
        receivers = [stack.enter_context(Receiver(script)) for script in (answering(OK), *scripts)]
        healthy, *hostile = [receiver.url() for receiver in receivers]
        done = subprocess.run(
            [sys.executable, "-c", SENDING, healthy, *hostile, *hostile],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    assert done.returncode == 0, done.stderr
    growth = [int(kilobytes) for kilobytes in done.stdout.split()]
    assert len(growth) == 2 * len(scripts)
    assert growth[4] < 5_000, growth
    # libcurl keeps a record of every header line, up to 5,000 of them.
    assert growth[5] < 25_000, growth
    assert growth[6] < 60_000, growth
    assert growth[-1] - growth[6] < 2_000, growth  # memory taken once is reused
