"""How the errors of libcurl become failures with a sentence."""

import pycurl
import pytest

from posthorn.models import Failure
from posthorn.transport.faults import Circumstances, failure_of, sentence_for

NAMED = {getattr(pycurl, name) for name in dir(pycurl) if name.startswith("E_")}
CODES = sorted((NAMED | set(range(1, 120))) - {pycurl.E_OK, pycurl.E_CALL_MULTI_PERFORM})


class TestFaults:
    @pytest.mark.parametrize("code", CODES)
    def test_every_code_is_a_failure_with_a_sentence(self, code: int) -> None:
        """Whatever libcurl reports, named by pycurl or not, is a kind of failure and a line without its jargon."""
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
            (pycurl.E_GOT_NOTHING, Failure.NETWORK),
            (pycurl.E_RECV_ERROR, Failure.NETWORK),
            (pycurl.E_ABORTED_BY_CALLBACK, Failure.BLOCKED_ADDRESS),
        ],
    )
    def test_the_kinds(self, code: int, failure: Failure) -> None:
        """Each kind of failure is told apart from the others."""
        assert failure_of(code) is failure
