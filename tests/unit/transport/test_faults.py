"""How libcurl's errors become failures with a readable sentence."""

import errno
from dataclasses import replace

import pycurl
import pytest

from posthorn.domain.models import Failure
from posthorn.transport.faults import Circumstances, failure_of, sentence_for

NAMED = {getattr(pycurl, name) for name in dir(pycurl) if name.startswith("E_")}
CODES = sorted((NAMED | set(range(1, 120))) - {pycurl.E_OK, pycurl.E_CALL_MULTI_PERFORM})


class TestFaults:
    @pytest.mark.parametrize("code", CODES)
    def test_every_code_is_a_failure_with_a_sentence(self, code: int) -> None:
        """Every libcurl error, named by pycurl or not, has a failure kind and a sentence without jargon."""
        for connected in (False, True):
            at = Circumstances(
                host="hooks.acme.com", deadline=10.0, connected=connected, certificate_error=10
            )
            sentence = sentence_for(code, at)
            assert isinstance(failure_of(code), Failure)
            assert sentence
            assert "\n" not in sentence
            assert "curl" not in sentence.lower()

    @pytest.mark.parametrize(
        ("code", "failure"),
        [
            (pycurl.E_OPERATION_TIMEDOUT, Failure.TIMEOUT),
            (pycurl.E_COULDNT_RESOLVE_HOST, Failure.DNS),
            (pycurl.E_COULDNT_CONNECT, Failure.CONNECT),
            (pycurl.E_SSL_CONNECT_ERROR, Failure.TLS),
            (pycurl.E_PEER_FAILED_VERIFICATION, Failure.TLS),
            (pycurl.E_SSL_CIPHER, Failure.TLS),
            (pycurl.E_SSL_CERTPROBLEM, Failure.TLS),
            (pycurl.E_SSL_CRL_BADFILE, Failure.TLS),
            (pycurl.E_SSL_ISSUER_ERROR, Failure.TLS),
            (pycurl.E_SSL_INVALIDCERTSTATUS, Failure.TLS),
            (pycurl.E_SSL_PINNEDPUBKEYNOTMATCH, Failure.TLS),
            (pycurl.E_SSL_SHUTDOWN_FAILED, Failure.TLS),
            (pycurl.E_USE_SSL_FAILED, Failure.TLS),
            (pycurl.E_GOT_NOTHING, Failure.NETWORK),
            (pycurl.E_RECV_ERROR, Failure.NETWORK),
            (pycurl.E_ABORTED_BY_CALLBACK, Failure.BLOCKED_ADDRESS),
        ],
    )
    def test_the_kinds(self, code: int, failure: Failure) -> None:
        """Errors are mapped to distinct kinds of failure."""
        assert failure_of(code) is failure


IN_TIME = Circumstances(host="hooks.acme.com", deadline=2.5, connected=True, secured=True, answered=True)


@pytest.mark.parametrize(
    ("code", "at", "sentence"),
    [
        (pycurl.E_OPERATION_TIMEDOUT, replace(IN_TIME, connected=False), "no connection within 2.5 s"),
        (pycurl.E_OPERATION_TIMEDOUT, replace(IN_TIME, secured=False), "no TLS handshake within 2.5 s"),
        (pycurl.E_OPERATION_TIMEDOUT, replace(IN_TIME, answered=False), "no response within 2.5 s"),
        (pycurl.E_OPERATION_TIMEDOUT, IN_TIME, "no complete response within 2.5 s"),
        (pycurl.E_COULDNT_CONNECT, replace(IN_TIME, system_error=errno.ECONNREFUSED), "connection refused"),
        (pycurl.E_COULDNT_CONNECT, IN_TIME, "the connection failed"),
        (
            pycurl.E_RECV_ERROR,
            replace(IN_TIME, system_error=errno.ECONNRESET),
            "connection reset by the receiver",
        ),
        (pycurl.E_RECV_ERROR, IN_TIME, "the connection broke while the response was read"),
        (pycurl.E_SSL_CONNECT_ERROR, replace(IN_TIME, certificate_error=10), "TLS handshake failed"),
        *(
            (pycurl.E_PEER_FAILED_VERIFICATION, replace(IN_TIME, certificate_error=error), sentence)
            for error, sentence in (
                (0, "the certificate is not valid for hooks.acme.com"),
                (1, "the certificate is not valid for hooks.acme.com"),
                (2, "the certificate is not trusted"),
                (9, "the certificate is not valid yet"),
                (10, "the certificate has expired"),
                (18, "the certificate is not trusted: it is self-signed"),
                (19, "the certificate is not trusted: its root is not a public authority"),
                *(
                    (
                        error,
                        "the certificate is not trusted: its issuer is not a public authority, or an intermediate is missing",
                    )
                    for error in (20, 21)
                ),
                (23, "the certificate has been revoked"),
            )
        ),
        (99, IN_TIME, "the connection broke"),
        (100, IN_TIME, "the response headers are too large"),
    ],
)
def test_the_sentences(code: int, at: Circumstances, sentence: str) -> None:
    """The sentence tells the receiver's owner how far the attempt got and who has to act."""
    assert sentence_for(code, at) == sentence
