"""The baselines: the minimum cost of the same POSTs, and the code that most people would write."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import boto3
import pycurl
import requests

from posthorn.transport.loop import Loop

if TYPE_CHECKING:
    from collections.abc import Iterable

THREADS: Final = 50


@dataclass(frozen=True, slots=True)
class Plain:
    """A POST that is signed and whose name is resolved."""

    host: str
    port: int
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Floor:
    """The bare client loop: libcurl with reused handles and connections, without reading responses.

    It runs on our own event loop, the fastest we found, so that the comparison is fair.
    """

    def __init__(self, *, ca_file: str, in_flight: int = 200) -> None:
        self._ca_file = ca_file
        self._in_flight = in_flight
        self._loop = Loop(max_connections=in_flight)
        self._spare: list[pycurl.Curl] = []

    def send(self, posts: Iterable[Plain]) -> int:
        """Send all POSTs; return how many were answered."""
        waiting, flying, answered = iter(posts), 0, 0
        more = True
        while more or flying:
            while more and flying < self._in_flight:
                post = next(waiting, None)
                if post is None:
                    more = False
                    break
                self._loop.add(self._begin(post))
                flying += 1
            for curl, code in self._loop.turn(60.0):
                self._loop.remove(curl)
                self._spare.append(curl)
                flying -= 1
                answered += code == pycurl.E_OK
        return answered

    def close(self) -> None:
        self._loop.close()

    def _begin(self, post: Plain) -> pycurl.Curl:
        curl = self._spare.pop() if self._spare else self._make()
        curl.setopt(pycurl.URL, post.url)
        curl.setopt(pycurl.RESOLVE, [f"+{post.host}:{post.port}:127.0.0.1"])
        curl.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in post.headers])
        curl.setopt(pycurl.POSTFIELDS, post.body)
        return curl

    def _make(self) -> pycurl.Curl:
        curl = pycurl.Curl()
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.CAINFO, self._ca_file)
        curl.setopt(pycurl.TIMEOUT_MS, 10_000)
        curl.setopt(pycurl.WRITEFUNCTION, lambda _: None)
        return curl


class Naive:
    """One `requests.post` and one `Table.put_item` per delivery, as many first versions are written."""

    def __init__(self, *, ca_file: str) -> None:
        self._ca_file = ca_file
        self._table: Any = boto3.resource("dynamodb").Table("naive")
        self._threads = ThreadPoolExecutor(THREADS)

    def one_by_one(self, posts: Iterable[Plain]) -> int:
        return sum(map(self._deliver, posts))

    def in_threads(self, posts: Iterable[Plain]) -> int:
        return sum(self._threads.map(self._deliver, posts))

    def _deliver(self, post: Plain) -> int:
        answer = requests.post(
            post.url, data=post.body, headers=dict(post.headers), timeout=10, verify=self._ca_file
        )
        self._table.put_item(
            Item={
                "pk": post.host,
                "sk": dict(post.headers)["webhook-id"],
                "status": answer.status_code,
                "answer": answer.text[:1024],
            }
        )
        return int(answer.ok)
