"""One HTTP exchange over libcurl: a request to vetted addresses, and the parts of the response that are kept.

How libcurl 8.23 behaves, as tested, and what follows from it:

- It reuses a connection for the same scheme, host, port and TLS settings, whatever address it is connected to. A
  `RESOLVE` of host:port would therefore not stop a request from reusing an old connection to an address that the name
  no longer has. Connections with different `CONNECT_TO` are not shared, so `CONNECT_TO` maps the host to a label that
  stands for exactly this set of addresses, and `RESOLVE` pins the label. TLS and the Host header still use the host.
- Pins are in one cache per `CurlMulti`, and the last one wins. Two sets of addresses have two labels, so they cannot
  overwrite each other.
- `CONNECT_TO` applies only if libcurl parses the same host and port from the URL as we did. Otherwise it would look up
  the name, which `RESOLVER_START_FUNCTION` prevents: it aborts every lookup that the pins do not answer.
- Every address still passes `OPENSOCKETFUNCTION` before a socket is opened for it.
"""

import hashlib
import socket
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import pycurl

from posthorn.domain.models import Failure, Outcome, Timings
from posthorn.transport.faults import E_TOO_LARGE, Circumstances, alert_in, failure_of, note_for, sentence_for
from posthorn.transport.posts import Post
from posthorn.transport.response import Response
from posthorn.transport.targets import Policy, Target, rule_against

MAX_DIALLED: Final = 3  # addresses per attempt: libcurl tries the next one 200 ms later, in parallel
IDLE_SECONDS: Final = 60  # a thawed function has dead connections, and NATs drop idle ones after 350 s
LIFETIME_SECONDS: Final = 300  # then the certificate and the address are verified again

type OpenSocket = Callable[[pycurl.CurlSockAddr], socket.socket]


def open_socket(peer: pycurl.CurlSockAddr) -> socket.socket:
    """Open the socket for a vetted peer; libcurl connects it."""
    return socket.socket(peer.family, peer.socktype, peer.protocol)


class Exchange:
    """A libcurl handle that makes one POST after another; this class sets all its options.

    HTTP/1.1 only. Each request has its connection to itself, so a receiver that stalls or fails affects no other
    request, and neither HPACK nor a flood of frames can be abused.
    """

    def __init__(self, policy: Policy, *, ca_file: str, open_socket: OpenSocket) -> None:
        self.curl = pycurl.Curl()
        self._policy = policy
        self._open_socket = open_socket
        self._response = Response()
        self._aim: tuple[Target, str] | None = None  # the target and label in URL and CONNECT_TO
        self._configure(ca_file)

    def begin(
        self,
        post: Post,
        addresses: tuple[str, ...],
        *,
        started_at: float,
        resolved_at: float,
        deadline: float,
        on_head: Callable[[], None] | None = None,
    ) -> None:
        """Prepare the handle for a POST to one of these vetted addresses.

        The times are on the monotonic clock; `deadline` is in seconds from `started_at`. `on_head` is called when the
        head of the final answer is in.
        """
        now = time.monotonic()
        target = self._target = post.target
        self._allowed, label, dialled = _pin(addresses)
        self._deadline = deadline
        self._dns = resolved_at - started_at
        self._started_at = started_at
        self._before = now - started_at
        self._response.clear(on_head)
        self._blocked = False
        self._dialled: str | None = None
        curl, port = self.curl, target.port
        if self._aim != (target, label):  # most deliveries go to the same place as the previous one
            curl.setopt(pycurl.URL, target.url)
            curl.setopt(pycurl.CONNECT_TO, [f"{_bracketed(target.host)}:{port}:{label}:{port}"])
            self._aim = target, label
        # "+" lets the pin expire after a minute; otherwise the cache would grow with every set of addresses.
        curl.setopt(pycurl.RESOLVE, [f"+{label}:{port}:{dialled}"])
        curl.setopt(pycurl.HTTPHEADER, post.header_lines())
        curl.setopt(pycurl.POSTFIELDS, post.body)
        left = round((started_at + deadline - now) * 1000)
        curl.setopt(pycurl.TIMEOUT_MS, max(1, left))  # 0 would mean no timeout

    def end(self, code: int) -> Outcome:
        """Return the outcome of a transfer that libcurl ended with this CURLcode."""
        self.curl.setopt(pycurl.POSTFIELDS, b"")  # releases the body, as does the next line
        self._response.on_head = None
        status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        peer = self.curl.getinfo(pycurl.PRIMARY_IP)
        reused = self._dialled is None and bool(peer)
        failure, error = self._verdict(code, answered=status >= 200, reused=reused)
        broke_off = error is not None and failure is None
        return Outcome(
            timings=self._timings(reused=reused, until_head=broke_off),
            status=status if status >= 200 else None,  # an interim response does not count
            failure=failure,
            error=error,
            address=peer or self._dialled,
            headers=self._response.kept_headers(),
            snippet=self._response.snippet(),
        )

    def _verdict(self, code: int, *, answered: bool, reused: bool) -> tuple[Failure | None, str | None]:
        if code == pycurl.E_WRITE_ERROR and self._response.has_overlong_headers:
            code = E_TOO_LARGE
        elif code == pycurl.E_WRITE_ERROR and self._response.is_malformed:
            code = pycurl.E_FTP_WEIRD_SERVER_REPLY
        elif code == pycurl.E_WRITE_ERROR and self._response.has_enough_body:
            code = pycurl.E_OK
        elif code == pycurl.E_OK and not answered:
            code = pycurl.E_FTP_WEIRD_SERVER_REPLY  # 101, which libcurl treats as final
        elif code == pycurl.E_OK and not self._response.has_whole_head:
            code = pycurl.E_PARTIAL_FILE
        if code == pycurl.E_OK:
            return None, None
        if self._response.has_whole_head:  # its status stands, however the body ended
            return None, note_for(code)
        if code == pycurl.E_COULDNT_CONNECT and self._blocked:
            return Failure.BLOCKED_ADDRESS, f"{self._target.host} resolves to an address that is not public"
        getinfo = self.curl.getinfo
        at = Circumstances(
            host=self._target.host,
            deadline=self._deadline,
            connected=reused or getinfo(pycurl.CONNECT_TIME_T) > 0,
            secured=reused or self._target.scheme == "http" or getinfo(pycurl.APPCONNECT_TIME_T) > 0,
            answered=answered,
            system_error=getinfo(pycurl.OS_ERRNO),
            certificate_error=getinfo(pycurl.SSL_VERIFYRESULT),
            alert=0 if answered else alert_in(self.curl.errstr()),
        )
        return failure_of(code, at.alert), sentence_for(code, at)

    def _timings(self, *, reused: bool, until_head: bool) -> Timings:
        """Return times since the attempt's start. A skipped phase ends with the previous one; one not reached is 0.

        With `until_head` the total ends with the head: a body that never ends says nothing about the receiver's speed.
        """
        dns = round(self._dns * 1000)
        connect = dns if reused else self._ended(pycurl.CONNECT_TIME_T)
        plain = self._target.scheme == "http"
        tls = connect if reused or plain else self._ended(pycurl.APPCONNECT_TIME_T)
        # libcurl reports a first byte for transfers that failed without one, too.
        first_byte = self._ended(pycurl.STARTTRANSFER_TIME_T) if self._response.header_bytes else 0
        head_at = self._response.head_at
        if until_head and head_at is not None:
            total = max(first_byte, round((head_at - self._started_at) * 1000))
        else:
            total = self._ended(pycurl.TOTAL_TIME_T)
        return Timings(dns, connect, tls, first_byte, total=total)

    def _ended(self, phase: int) -> int:
        took = self.curl.getinfo(phase)
        return round(self._before * 1000 + took / 1000) if took else 0

    def _configure(self, ca_file: str) -> None:
        schemes = pycurl.PROTO_HTTPS | (pycurl.PROTO_HTTP if self._policy.allow_private else 0)
        for option, value in (
            (pycurl.PROTOCOLS, schemes),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.POST, 1),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.PATH_AS_IS, 1),  # or libcurl would resolve ".." in a customer's path
            (pycurl.PROXY, ""),  # ignores the environment
            (pycurl.NOPROXY, "*"),
            (pycurl.NETRC, pycurl.NETRC_IGNORED),
            (pycurl.NOSIGNAL, 1),
            (pycurl.TCP_NODELAY, 1),
            (pycurl.CAINFO, ca_file),  # parsed once per CurlMulti and cached for a day
            (pycurl.SSL_VERIFYPEER, 1),
            (pycurl.SSL_VERIFYHOST, 2),
            (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),  # the minimum
            # With finite-field DH, the receiver chooses the numbers. Measured: with 10,000 bits, one handshake blocks
            # the thread, and with it all other attempts, for a second.
            (pycurl.SSL_CIPHER_LIST, "DEFAULT:!kDHE"),
            (pycurl.MAXAGE_CONN, IDLE_SECONDS),
            (pycurl.MAXLIFETIME_CONN, LIFETIME_SECONDS),
            (pycurl.RESOLVER_START_FUNCTION, lambda *_: 1),
            (pycurl.OPENSOCKETFUNCTION, self._open),
            (pycurl.HEADERFUNCTION, self._response.read_header),
            (pycurl.WRITEFUNCTION, self._response.read_body),
        ):
            self.curl.setopt(option, value)

    def _open(self, _purpose: int, peer: pycurl.CurlSockAddr) -> "_Lent | int":
        address = peer.addr[0]
        if address not in self._allowed or rule_against(address, self._policy) is not None:
            self._blocked = True
            return pycurl.SOCKET_BAD
        self._dialled = address
        try:
            return _Lent(self._open_socket(peer))
        except OSError:
            return pycurl.SOCKET_BAD


@lru_cache(1024)  # most receivers keep their addresses
def _pin(addresses: tuple[str, ...]) -> tuple[frozenset[str], str, str]:
    """Return the addresses as a set, the label that stands for it, and what the label resolves to."""
    allowed = frozenset(addresses)
    label = hashlib.sha256(",".join(sorted(allowed)).encode()).hexdigest()[:32] + ".invalid"
    return allowed, label, ",".join(map(_bracketed, addresses[:MAX_DIALLED]))


class _Lent:
    """A socket for libcurl, which duplicates the descriptor: ours is closed as soon as pycurl releases this object."""

    def __init__(self, lent: socket.socket) -> None:
        self._socket = lent

    def fileno(self) -> int:
        return self._socket.fileno()

    def __del__(self) -> None:
        self._socket.close()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
