"""The HTTP client's event loop: libcurl names its sockets and timers, and `poll` waits for them.

Unlike `select`, `poll` is not limited to 1,024 descriptors. Measured here, it costs less than `CurlMulti.perform` and
`epoll`.
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
    """Runs transfers in the calling thread. Keeps at most `max_connections` idle connections open."""

    def __init__(self, *, max_connections: int) -> None:
        self._poll = select.poll()
        self._watched: set[int] = set()
        self._due: float | None = None
        # Closed together with the loop, so that a late thread cannot write to a reused descriptor.
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
        """Remove a transfer, finished or not."""
        self._multi.remove_handle(curl)

    def wake(self) -> None:
        """End the current or next wait of `turn`. The only method that other threads may call."""
        if not self._waking:
            self._waking = True
            with suppress(OSError):  # already closed
                self._waker.send(b"\0")

    def turn(self, timeout: float) -> list[tuple[pycurl.Curl, int]]:
        """Wait until something happens, at most `timeout` seconds; return the ended transfers with their CURLcodes."""
        if self._due is not None:
            timeout = min(timeout, max(0.0, self._due - time.monotonic()))
        # Rounded up, or the loop would spin until the timer is due.
        for descriptor, happened in self._poll.poll(math.ceil(timeout * 1000)):
            if descriptor == self._woken.fileno():
                self._woken.recv(64)
                self._waking = False  # before the caller handles the reason for waking it
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
            self._poll.register(descriptor, _WANTED[what])  # a second registration modifies the first
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
