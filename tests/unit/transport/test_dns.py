"""How host names become addresses that may be dialed."""

import socket
import subprocess
import sys
import threading

import pytest

from posthorn.domain.errors import NameNotResolved, RefusedTarget
from posthorn.transport.dns import resolve, system_resolver, vet
from posthorn.transport.targets import Target, parse_target
from tests.unit.transport.posts import PRIVATE, PUBLIC
from tests.unit.transport.receivers import GIVE_UP

TARGET = parse_target("https://hooks.acme.com/hook", PUBLIC)


class TestSystemResolver:
    def test_asks_for_ipv4_and_the_name_as_a_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A trailing dot disables the search list, and no IPv6 address is requested."""
        asked: list[tuple[object, ...]] = []

        def getaddrinfo(*question: object) -> list[tuple[object, ...]]:
            asked.append(question)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 0))]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        assert system_resolver("hooks.acme.com") == ("93.184.216.34",)
        assert asked == [("hooks.acme.com.", None, socket.AF_INET, socket.SOCK_STREAM)]

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (socket.gaierror(socket.EAI_NONAME, "unknown"), "has no IPv4 address for hooks.acme.com"),
            (socket.gaierror(socket.EAI_AGAIN, "try again"), "did not answer for hooks.acme.com"),
            (OSError("out of descriptors"), "has no IPv4 address"),
            (UnicodeError("label too long"), "has no IPv4 address"),
        ],
    )
    def test_every_failure_is_a_name_not_resolved(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
    ) -> None:
        """Every way in which a lookup can fail is the same error, which contains the name."""

        def getaddrinfo(*_: object) -> None:
            raise error

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        with pytest.raises(NameNotResolved, match=said) as raised:
            system_resolver("hooks.acme.com")
        assert raised.value.__cause__ is error

    def test_knows_localhost(self) -> None:
        """A single label comes from the hosts file, as a local stage needs."""
        assert "127.0.0.1" in system_resolver("localhost")


class TestVet:
    def test_keeps_the_order_and_drops_repetitions(self) -> None:
        """The order of addresses is kept, since the receiver's DNS balances load with it."""
        answers = [f"8.8.{number}.8" for number in (7, 3, 9, 1, 8, 2, 6)]
        assert vet(TARGET, [*answers, *reversed(answers)], PUBLIC) == tuple(answers)

    @pytest.mark.parametrize(
        "bad", ["127.0.0.1", "169.254.169.254", "::1", "fe80::1%eth0", "not an address", ""]
    )
    @pytest.mark.parametrize("place", [0, 1, 4])
    def test_one_bad_answer_refuses_the_name(self, bad: str, place: int) -> None:
        """One non-public address is enough to refuse the name, wherever it stands in the answer."""
        answers = ["8.8.8.1", "8.8.8.2", "8.8.8.3", "8.8.8.4"]
        answers.insert(place, bad)
        with pytest.raises(
            RefusedTarget, match=r"hooks\.acme\.com must not resolve to a non-public address"
        ) as refused:
            vet(TARGET, answers, PUBLIC)
        assert refused.value.code == "blocked_address"

    def test_a_refusal_keeps_the_address_to_itself(self) -> None:
        """In a VPC the answer may come from a private zone, so the error names the rule, not the address."""
        with pytest.raises(RefusedTarget, match="private network") as refused:
            vet(TARGET, ["10.1.2.3"], PUBLIC)
        assert "10.1.2.3" not in str(refused.value)

    def test_an_empty_answer_is_refused(self) -> None:
        """An empty answer is treated like no answer."""
        with pytest.raises(NameNotResolved):
            vet(TARGET, [], PUBLIC)


def unused(host: str) -> tuple[str, ...]:
    raise AssertionError(f"{host} was looked up")


class TestResolve:
    def test_a_public_name_gives_its_addresses(self) -> None:
        """The resolver is asked for the host exactly as the target has it."""
        answers = {"hooks.acme.com": ["93.184.216.34", "8.8.8.8"]}
        assert resolve(TARGET, PUBLIC, timeout=GIVE_UP, resolver=answers.__getitem__) == (
            "93.184.216.34",
            "8.8.8.8",
        )

    def test_an_address_is_not_looked_up(self) -> None:
        """A literal address needs no lookup, if the policy allows it."""
        literal = parse_target("https://8.8.8.8/", PUBLIC)
        assert resolve(literal, PUBLIC, timeout=GIVE_UP, resolver=unused) == ("8.8.8.8",)

    def test_an_address_is_vetted_like_an_answer(self) -> None:
        """A target accepted under another policy is checked again."""
        literal = parse_target("http://127.0.0.1/", PRIVATE)
        assert resolve(literal, PRIVATE, timeout=GIVE_UP, resolver=unused) == ("127.0.0.1",)
        with pytest.raises(RefusedTarget):
            resolve(literal, PUBLIC, timeout=GIVE_UP, resolver=unused)

    def test_private_answers_are_for_a_local_stage(self) -> None:
        """The policy alone decides whether a private answer is accepted."""
        local = Target("http", "localhost", 80, "/")
        assert "127.0.0.1" in resolve(local, PRIVATE, timeout=GIVE_UP)
        with pytest.raises(RefusedTarget):
            resolve(local, PUBLIC, timeout=GIVE_UP)

    def test_does_not_wait_for_ever(self) -> None:
        """When DNS hangs, the caller continues at its deadline."""
        over = threading.Event()

        def hanging(_: str) -> tuple[str, ...]:
            over.wait(GIVE_UP)
            return ("8.8.8.8",)

        with pytest.raises(NameNotResolved, match=r"did not answer for hooks\.acme\.com in time"):
            resolve(TARGET, PUBLIC, timeout=0.01, resolver=hanging)
        over.set()

    def test_leaves_no_thread(self) -> None:
        """A function that lives for hours and registers many endpoints leaks no thread."""
        threads: list[threading.Thread] = []

        def resolver(_: str) -> tuple[str, ...]:
            threads.append(threading.current_thread())
            return ("8.8.8.8",)

        resolve(TARGET, PUBLIC, timeout=GIVE_UP, resolver=resolver)
        threads[0].join(GIVE_UP)
        assert not threads[0].is_alive()


HANGING_AT_EXIT = """
import threading
from posthorn.domain.errors import NameNotResolved
from posthorn.transport.targets import Policy, parse_target
from posthorn.transport.dns import resolve
try:
    resolve(parse_target("https://hooks.acme.com/", Policy()), Policy(), timeout=0.01,
            resolver=lambda host: threading.Event().wait())
except NameNotResolved:
    print("gave up")
"""


def test_a_hanging_lookup_keeps_no_process_alive() -> None:
    """The interpreter can exit while a lookup hangs."""
    done = subprocess.run(
        [sys.executable, "-c", HANGING_AT_EXIT], capture_output=True, text=True, timeout=GIVE_UP, check=False
    )
    assert (done.stdout, done.returncode) == ("gave up\n", 0), done.stderr
