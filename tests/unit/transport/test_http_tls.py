"""TLS is verified for the name, at the vetted address, before anything is sent."""

import base64
import datetime as dt
import ssl
from pathlib import Path

import certifi
import pytest
import trustme

from posthorn.domain.models import Failure
from posthorn.transport.http import Client
from tests.unit.transport.posts import PRIVATE, post_to, send
from tests.unit.transport.receivers import OK, Connection, Receiver, answering, tls_server


def dh_parameters() -> str:
    """Return a modulus of our own (PKCS #3), which nothing checks to be prime."""
    modulus = b"\x02\x82\x01\x01\x00" + b"\xff" * 256
    body = modulus + b"\x02\x01\x02"
    der = b"\x30\x82" + len(body).to_bytes(2) + body
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN DH PARAMETERS-----\n{text}-----END DH PARAMETERS-----\n"


class TestTls:
    def test_the_name_is_asked_for_and_verified(self, client: Client, authority: trustme.CA) -> None:
        """The certificate must match the name in the URL, although the address is dialed."""
        asked: list[str | None] = []
        context = tls_server(authority, "hooks.acme.com")
        context.sni_callback = lambda _socket, name, _context: asked.append(name)
        with Receiver(answering(OK), tls=context) as receiver:
            outcome = send(client, post_to(receiver.url("hooks.acme.com")))
            assert receiver.requests[0].all("Host") == [f"hooks.acme.com:{receiver.port}"]
        assert (outcome.status, outcome.failure) == (200, None)
        assert asked == ["hooks.acme.com"]

    def test_an_address_can_have_a_certificate(self, client: Client, authority: trustme.CA) -> None:
        """For a URL with an IP address, the certificate must list that address."""
        with Receiver(answering(OK), tls=tls_server(authority, "127.0.0.1")) as receiver:
            assert send(client, post_to(receiver.url())).status == 200
        with Receiver(answering(OK), tls=tls_server(authority, "127.0.0.9")) as receiver:
            assert send(client, post_to(receiver.url())).failure is Failure.TLS

    @pytest.mark.parametrize(
        ("names", "validity", "error"),
        [
            (["other.acme.com"], (2020, 2999), "the certificate is not valid for hooks.acme.com"),
            (["hooks.acme.com"], (2019, 2020), "the certificate has expired"),
            (["hooks.acme.com"], (2998, 2999), "the certificate is not valid yet"),
        ],
    )
    def test_a_bad_certificate_gets_nothing(
        self, client: Client, authority: trustme.CA, names: list[str], validity: tuple[int, int], error: str
    ) -> None:
        """A wrong name or date ends the attempt before the request, and the sentence says which it was."""
        start, end = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in validity)
        context = tls_server(authority, *names, start=start, end=end)
        with Receiver(answering(OK), tls=context) as receiver:
            outcome = send(client, post_to(receiver.url("hooks.acme.com")))
            assert receiver.requests == []
        assert (outcome.failure, outcome.error, outcome.status) == (Failure.TLS, error, None)

    def test_an_unknown_authority_gets_nothing(self, client: Client) -> None:
        """A certificate without a trusted root is refused."""
        with Receiver(answering(OK), tls=tls_server(trustme.CA(), "hooks.acme.com")) as receiver:
            outcome = send(client, post_to(receiver.url("hooks.acme.com")))
            assert receiver.requests == []
        assert outcome.failure is Failure.TLS
        assert outcome.error is not None
        assert outcome.error.startswith("the certificate is not trusted")

    def test_the_default_roots_are_certifis(
        self, authority: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By default the client trusts the authorities of certifi and no others."""
        for roots, failure in ((certifi.where(), Failure.TLS), (ca_file, None)):
            monkeypatch.setattr(certifi, "where", lambda roots=roots: roots)
            client = Client(policy=PRIVATE, resolver=lambda _: ["127.0.0.1"])
            with Receiver(answering(OK), tls=tls_server(authority, "hooks.acme.com")) as receiver:
                outcome = send(client, post_to(receiver.url("hooks.acme.com")))
            client.close()
            assert outcome.failure is failure

    def test_old_tls_is_refused(self, client: Client, authority: trustme.CA) -> None:
        """The minimum is TLS 1.2."""
        context = tls_server(authority, "hooks.acme.com")
        with pytest.deprecated_call():
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")  # or the receiver itself would refuse
        with Receiver(answering(OK), tls=context) as receiver:
            outcome = send(client, post_to(receiver.url("hooks.acme.com")))
        assert (outcome.failure, outcome.error) == (Failure.TLS, "TLS handshake failed")

    def test_a_receiver_that_asks_for_a_certificate(self, client: Client, authority: trustme.CA) -> None:
        """Its alert comes after our side of the handshake; the sentence names it, and its kind is TLS."""
        context = tls_server(authority, "hooks.acme.com")
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        with Receiver(answering(OK), tls=context) as receiver:
            outcome = send(client, post_to(receiver.url("hooks.acme.com")))
            assert receiver.requests == []
        assert (outcome.failure, outcome.error) == (Failure.TLS, "the receiver asks for a client certificate")

    @pytest.mark.parametrize(
        ("alert", "error"),
        [(120, "the receiver does not speak HTTP/1.1"), (40, "TLS handshake failed")],
    )
    def test_an_alert_during_the_handshake(self, client: Client, alert: int, error: str) -> None:
        """A receiver with HTTP/2 only refuses our protocol; `handshake_failure` does not say why."""

        def refuse(connection: Connection) -> None:
            connection.send(bytes((21, 3, 3, 0, 2, 2, alert)))  # a record of the type alert, fatal
            connection.await_close()

        with Receiver(refuse) as receiver:
            outcome = send(client, post_to(f"https://127.0.0.1:{receiver.port}/"))
        assert (outcome.failure, outcome.error) == (Failure.TLS, error)

    def test_finite_field_dh_is_refused(self, client: Client, authority: trustme.CA, tmp_path: Path) -> None:
        """A receiver cannot make the client compute with DH parameters of the receiver's choice."""
        parameters = tmp_path / "dh.pem"
        parameters.write_text(dh_parameters())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("hooks.acme.com", key_type=trustme.KeyType.RSA).configure_cert(context)
        context.load_dh_params(str(parameters))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        for ciphers, status in (("ECDHE", 200), ("DHE", None)):
            context.set_ciphers(ciphers)
            with Receiver(answering(OK), tls=context) as receiver:
                outcome = send(client, post_to(receiver.url("hooks.acme.com")))
            assert outcome.status == status
        assert (outcome.failure, outcome.error) == (Failure.TLS, "TLS handshake failed")

    def test_plain_http_on_a_tls_port(self, client: Client) -> None:
        """If the receiver does not speak TLS, the attempt is not repeated in plain text."""
        with Receiver(lambda connection: connection.send(b"HTTP/1.1 400 Bad\r\n\r\n")) as receiver:
            outcome = send(client, post_to(f"https://127.0.0.1:{receiver.port}/"))
        assert (outcome.failure, outcome.error) == (Failure.TLS, "TLS handshake failed")

    def test_a_missing_trust_store_is_our_fault(self, tmp_path: Path, authority: trustme.CA) -> None:
        """Without a trust store nothing is sent, and the customer is not blamed."""
        client = Client(policy=PRIVATE, resolver=lambda _: ["127.0.0.1"], ca_file=str(tmp_path / "none.pem"))
        with Receiver(answering(OK), tls=tls_server(authority, "hooks.acme.com")) as receiver:
            outcome = send(client, post_to(receiver.url("hooks.acme.com")))
            assert receiver.requests == []
        client.close()
        assert outcome.error == "the attempt failed because of an internal error"
