"""What libcurl's error codes mean for a delivery, and the one line that its receiver's owner reads about it.

Nothing of libcurl shows in the text, nothing of the URL behind the host, and nothing of the network that sends.
"""

import errno
from dataclasses import dataclass
from typing import Final

import pycurl

from posthorn.domain.models import Failure

E_TOO_LARGE: Final = 100
"""CURLE_TOO_LARGE, which pycurl does not name: a header line of 100 KB, or 5,000 lines."""

# Every code not listed is a broken connection or something that is not HTTP.
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
    # The resolver is switched off, so this is a host that libcurl reads differently than we did.
    pycurl.E_ABORTED_BY_CALLBACK: Failure.BLOCKED_ADDRESS,
}

_SENTENCES: Final = {
    pycurl.E_COULDNT_RESOLVE_HOST: "the host name has no address",
    pycurl.E_GOT_NOTHING: "the connection was closed without an answer",
    pycurl.E_PARTIAL_FILE: "the connection was closed before the end of the answer",
    pycurl.E_RECV_ERROR: "the connection broke while the answer was read",
    pycurl.E_SEND_ERROR: "the connection broke while the request was sent",
    pycurl.E_UNSUPPORTED_PROTOCOL: "the answer is not HTTP/1.1",
    pycurl.E_FTP_WEIRD_SERVER_REPLY: "the answer is not HTTP/1.1",  # an old name: it is for HTTP as well
    pycurl.E_BAD_CONTENT_ENCODING: "the answer has a transfer encoding that was not asked for",
    pycurl.E_ABORTED_BY_CALLBACK: "the host name could not be pinned to its address",
    E_TOO_LARGE: "the headers of the answer are too large",
    # Ours to fix: the trust store, memory, options.
    pycurl.E_SSL_CACERT_BADFILE: "the attempt could not be made, and the fault is on our side",
    pycurl.E_OUT_OF_MEMORY: "the attempt could not be made, and the fault is on our side",
    pycurl.E_FAILED_INIT: "the attempt could not be made, and the fault is on our side",
    pycurl.E_BAD_FUNCTION_ARGUMENT: "the attempt could not be made, and the fault is on our side",
}

_SYSTEM_SENTENCES: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset by the receiver",
    errno.EHOSTUNREACH: "the receiver's network cannot be reached",
    errno.ENETUNREACH: "the receiver's network cannot be reached",
    errno.EADDRNOTAVAIL: "the receiver's network cannot be reached",
}

# OpenSSL's X509_V_ERR_* (x509_vfy.h), which libcurl reports as the result of the verification. It compares the name
# itself, before it looks at that result, and then leaves the 1 it started with.
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


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known about a transfer that failed."""

    host: str
    deadline: float  # seconds the attempt had in all
    connected: bool = False
    secured: bool = False  # TLS is up, or not needed
    answered: bool = False  # a status line came
    system_error: int = 0  # errno
    certificate_error: int = 0  # X509_V_ERR_*


def failure_of(code: int) -> Failure:
    """Map a CURLcode other than OK to the kind of failure it is."""
    return _KINDS.get(code, Failure.NETWORK)


def note_for(code: int) -> str:
    """Say in one line how a transfer ended whose answer counts, since its head was whole."""
    if failure_of(code) is Failure.TIMEOUT:
        return "the answer did not end in time after its head; the rest was not read"
    return "the answer broke off after its head"


def sentence_for(code: int, at: Circumstances) -> str:
    """Say in one line, for the receiver's owner, why a transfer ended with this CURLcode."""
    match failure_of(code):
        case Failure.TIMEOUT:
            return f"{_missing(at)} within {at.deadline:g} s"
        case Failure.CONNECT:
            return _SYSTEM_SENTENCES.get(at.system_error, "no connection could be made")
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
    return "no end of the answer" if at.answered else "no answer"
