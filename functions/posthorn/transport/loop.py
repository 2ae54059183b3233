"""The event loop under the HTTP client: libcurl says which sockets and timers matter, `poll` waits for them.

`poll` knows no limit of 1,024 descriptors as `select` does, and is measured to cost less here than `CurlMulti.perform`
and than `epoll`.
"""

import math
import select
import socket
import time
from contextlib import suppress
from typing import Any, Final

import pycurl

_READ: Final = select.POLLIN | select.POLLPRI
_WANTED: Final = {
    pycurl.POLL_NONE: 0,
    pycurl.POLL_IN: _READ,
    pycurl.POLL_OUT: select.POLLOUT,
    pycurl.POLL_INOUT: _READ | select.POLLOUT,
}


class Loop:
    """Drives transfers in the calling thread. Keeps at most `max_connections` connections open between them."""

    def __init__(self, *, max_connections: int) -> None:
        self._poll = select.poll()
        self._watched: set[int] = set()
        self._due: float | None = None
        # Closed with the loop, so that a thread that is late writes to nothing, and not to a descriptor used anew.
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._waking = False
        self._poll.register(self._woken, select.POLLIN)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, max_connections)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)

    def add(self, curl: pycurl.Curl) -> None:
        self._multi.add_handle(curl)

    def remove(self, curl: pycurl.Curl) -> None:
        """Take a transfer back, finished or not."""
        self._multi.remove_handle(curl)

    def wake(self) -> None:
        """End the wait of `turn`, or the next one. The one thing here that other threads may do."""
        if not self._waking:
            self._waking = True
            with suppress(OSError):  # closed by now
                self._waker.send(b"\0")

    def turn(self, timeout: float) -> list[tuple[pycurl.Curl, int]]:
        """Wait until something happens, for `timeout` seconds at most; return the transfers that ended, with CURLcode."""
        if self._due is not None:
            timeout = min(timeout, max(0.0, self._due - time.monotonic()))
        # Rounded up: a timer that is not due yet would be asked for again and again.
        for descriptor, happened in self._poll.poll(math.ceil(timeout * 1000)):
            if descriptor == self._woken.fileno():
                self._woken.recv(64)
                self._waking = False  # before the caller looks at what it was woken for
            else:
                self._multi.socket_action(descriptor, _mask(happened))
        if self._due is not None and self._due <= time.monotonic():
            self._due = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        ended: list[tuple[pycurl.Curl, int]] = []
        more = 1
        while more:
            more, succeeded, failed = self._multi.info_read()
            ended += [(curl, pycurl.E_OK) for curl in succeeded]
            ended += [(curl, code) for curl, code, _ in failed]
        return ended

    def close(self) -> None:
        self._multi.close()
        self._waker.close()
        self._woken.close()

    def _watch(self, what: int, descriptor: int, _multi: pycurl.CurlMulti, _data: Any) -> None:
        if what != pycurl.POLL_REMOVE:
            self._watched.add(descriptor)
            self._poll.register(descriptor, _WANTED[what])  # registering again modifies
        elif descriptor in self._watched:
            self._watched.remove(descriptor)
            self._poll.unregister(descriptor)

    def _set_timer(self, milliseconds: int) -> None:
        self._due = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000


def _mask(happened: int) -> int:
    mask = 0
    if happened & (_READ | select.POLLHUP):
        mask |= pycurl.CSELECT_IN
    if happened & select.POLLOUT:
        mask |= pycurl.CSELECT_OUT
    if happened & (select.POLLERR | select.POLLNVAL):
        mask |= pycurl.CSELECT_ERR
    return mask
