"""Translates libcurl's error codes into failures, each with one line for the receiver's owner.

The text mentions neither libcurl, nor the URL after the host, nor our network.
"""

import errno
import re
from dataclasses import dataclass
from typing import Final

import pycurl

from posthorn.domain.models import Failure

E_TOO_LARGE: Final = 100
"""CURLE_TOO_LARGE, which pycurl does not define: a header line of 100 KB, or 5,000 lines."""

# Every other code means a broken connection, or a response that is not HTTP.
_KINDS: Final = {
    pycurl.E_OPERATION_TIMEDOUT: Failure.TIMEOUT,
    pycurl.E_COULDNT_RESOLVE_HOST: Failure.DNS,
    pycurl.E_COULDNT_CONNECT: Failure.CONNECT,
    pycurl.E_SSL_CONNECT_ERROR: Failure.TLS,
    pycurl.E_PEER_FAILED_VERIFICATION: Failure.TLS,
    pycurl.E_SSL_CIPHER: Failure.TLS,
    pycurl.E_SSL_CERTPROBLEM: Failure.TLS,
    pycurl.E_SSL_CRL_BADFILE: Failure.TLS,
    pycurl.E_SSL_ISSUER_ERROR: Failure.TLS,
    pycurl.E_SSL_INVALIDCERTSTATUS: Failure.TLS,
    pycurl.E_SSL_PINNEDPUBKEYNOTMATCH: Failure.TLS,
    pycurl.E_SSL_SHUTDOWN_FAILED: Failure.TLS,
    pycurl.E_USE_SSL_FAILED: Failure.TLS,
    # The resolver is disabled, so libcurl parsed the host differently than we did.
    pycurl.E_ABORTED_BY_CALLBACK: Failure.BLOCKED_ADDRESS,
}

_SENTENCES: Final = {
    pycurl.E_COULDNT_RESOLVE_HOST: "the host name has no address",
    pycurl.E_GOT_NOTHING: "the connection was closed without a response",
    pycurl.E_PARTIAL_FILE: "the connection was closed before the end of the response",
    pycurl.E_RECV_ERROR: "the connection broke while the response was read",
    pycurl.E_SEND_ERROR: "the connection broke while the request was sent",
    pycurl.E_UNSUPPORTED_PROTOCOL: "the response is not HTTP/1.1",
    pycurl.E_FTP_WEIRD_SERVER_REPLY: "the response is not HTTP/1.1",  # an old name that is used for HTTP, too
    pycurl.E_BAD_CONTENT_ENCODING: "the response has a transfer encoding that was not requested",
    pycurl.E_ABORTED_BY_CALLBACK: "the host name could not be pinned to its address",
    E_TOO_LARGE: "the response headers are too large",
    # Our own faults: the trust store, memory, options.
    pycurl.E_SSL_CACERT_BADFILE: "the attempt failed because of an internal error",
    pycurl.E_OUT_OF_MEMORY: "the attempt failed because of an internal error",
    pycurl.E_FAILED_INIT: "the attempt failed because of an internal error",
    pycurl.E_BAD_FUNCTION_ARGUMENT: "the attempt failed because of an internal error",
}

_SYSTEM_SENTENCES: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset by the receiver",
    errno.EHOSTUNREACH: "the receiver's network cannot be reached",
    errno.ENETUNREACH: "the receiver's network cannot be reached",
    errno.EADDRNOTAVAIL: "the receiver's network cannot be reached",
}

# OpenSSL's X509_V_ERR_* (x509_vfy.h), which libcurl reports as the verification result. libcurl compares the name
# itself, before it reads that result; on a mismatch the result keeps its initial value 1.
_NAME_MISMATCH: Final = (0, 1)
_CERTIFICATE_SENTENCES: Final = {
    9: "the certificate is not valid yet",
    10: "the certificate has expired",
    18: "the certificate is not trusted: it is self-signed",
    19: "the certificate is not trusted: its root is not a public authority",
    20: "the certificate is not trusted: its issuer is not a public authority, or an intermediate is missing",
    21: "the certificate is not trusted: its issuer is not a public authority, or an intermediate is missing",
    23: "the certificate has been revoked",
}


# OpenSSL's error for an alert of the receiver: library 20 (SSL), reason 1000 and the alert's number (sslerr.h).
# A receiver with TLS 1.2 that asks for a certificate sends handshake_failure, which can mean anything.
_ALERT: Final = re.compile(r"error:0A000([0-9A-F]{3}):")
_ALERT_REASONS: Final = 1000
_ALERT_SENTENCES: Final = {
    116: "the receiver asks for a client certificate",  # certificate_required, TLS 1.3
    120: "the receiver does not speak HTTP/1.1",  # no_application_protocol, RFC 7301
}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The state of a failed transfer."""

    host: str
    deadline: float  # seconds for the whole attempt
    connected: bool = False
    secured: bool = False  # TLS is established, or not needed
    answered: bool = False  # a status line was received
    system_error: int = 0  # errno
    certificate_error: int = 0  # X509_V_ERR_*
    alert: int = 0  # the receiver's TLS alert


def alert_in(text: str) -> int:
    """Return the TLS alert that libcurl's error text names, 0 if there is none."""
    found = _ALERT.search(text)
    return max(0, int(found[1], 16) - _ALERT_REASONS) if found else 0


def failure_of(code: int, alert: int = 0) -> Failure:
    """Map a CURLcode other than OK to a failure.

    With TLS 1.3 the receiver may refuse after our side of the handshake, so its alert comes as a read error.
    """
    if alert in _ALERT_SENTENCES:
        return Failure.TLS
    return _KINDS.get(code, Failure.NETWORK)


def note_for(code: int) -> str:
    """Return a one-line note about a transfer whose body did not end well; its complete head decides all the same."""
    if failure_of(code) is Failure.TIMEOUT:
        return "the response did not end in time after its head; the rest was not read"
    return "the response broke off after its head"


def sentence_for(code: int, at: Circumstances) -> str:
    """Return one line for the receiver's owner about why a transfer ended with this CURLcode."""
    if (told := _ALERT_SENTENCES.get(at.alert)) is not None:
        return told
    match failure_of(code):
        case Failure.TIMEOUT:
            return f"{_missing(at)} within {at.deadline:g} s"
        case Failure.CONNECT:
            return _SYSTEM_SENTENCES.get(at.system_error, "the connection failed")
        case Failure.TLS if code == pycurl.E_PEER_FAILED_VERIFICATION:
            if at.certificate_error in _NAME_MISMATCH:
                return f"the certificate is not valid for {at.host}"
            return _CERTIFICATE_SENTENCES.get(at.certificate_error, "the certificate is not trusted")
        case Failure.TLS:
            return "TLS handshake failed"
        case Failure.NETWORK if code in (pycurl.E_RECV_ERROR, pycurl.E_SEND_ERROR):
            return _SYSTEM_SENTENCES.get(at.system_error, _SENTENCES[code])
        case _:
            return _SENTENCES.get(code, "the connection broke")


def _missing(at: Circumstances) -> str:
    if not at.connected:
        return "no connection"
    if not at.secured:
        return "no TLS handshake"
    return "no complete response" if at.answered else "no response"
