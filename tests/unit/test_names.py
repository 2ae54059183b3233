"""How receivers' names become addresses that may be dialled."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from posthorn.errors import NameNotResolved, RefusedTarget
from posthorn.transport import names
from posthorn.transport.addresses import Policy, Target, parse_target
from posthorn.transport.names import SLOW_SECONDS, Lookups, Resolver, resolve, system_resolver, vet

PUBLIC = Policy()
PRIVATE = Policy(allow_private=True)
GIVE_UP = 20.0  # seconds until a test that waits in vain goes red
HANGS = 2 * GIVE_UP  # of a resolver that nobody may have to wait for

TARGET = parse_target("https://hooks.acme.com/hook", PUBLIC)


@contextmanager
def lookups(
    resolver: Resolver, *, max_threads: int = 8, clock: Callable[[], float] = time.monotonic
) -> Iterator[Lookups]:
    running = Lookups(resolver, max_threads=max_threads, clock=clock)
    try:
        yield running
    finally:
        running.close()


class TestSystemResolver:
    def test_asks_for_ipv4_and_the_name_as_a_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The root dot keeps the search list out, and no IPv6 address is even asked for."""
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
            (socket.gaierror(socket.EAI_NONAME, "unknown"), "knows no IPv4 address of hooks.acme.com"),
            (socket.gaierror(socket.EAI_AGAIN, "try again"), "gave no answer for hooks.acme.com"),
            (OSError("out of descriptors"), "knows no IPv4 address"),
            (UnicodeError("label too long"), "knows no IPv4 address"),
        ],
    )
    def test_what_fails_is_a_name_not_resolved(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
    ) -> None:
        """Every way in which the system finds nothing is one error, with the name in it."""

        def getaddrinfo(*_: object) -> None:
            raise error

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        with pytest.raises(NameNotResolved, match=said) as raised:
            system_resolver("hooks.acme.com")
        assert raised.value.__cause__ is error

    def test_knows_localhost(self) -> None:
        """A single label comes from the hosts file, which a local stage needs."""
        assert "127.0.0.1" in system_resolver("localhost")


class TestVet:
    def test_keeps_the_order_and_drops_repetitions(self) -> None:
        """The order is how the receiver's DNS balances load."""
        answers = [f"8.8.{number}.8" for number in (7, 3, 9, 1, 8, 2, 6)]
        assert vet(TARGET, [*answers, *reversed(answers)], PUBLIC) == tuple(answers)

    @pytest.mark.parametrize(
        "bad", ["127.0.0.1", "169.254.169.254", "::1", "fe80::1%eth0", "not an address", ""]
    )
    @pytest.mark.parametrize("place", [0, 1, 4])
    def test_one_bad_answer_refuses_the_name(self, bad: str, place: int) -> None:
        """A single address that is not public is enough, wherever it stands."""
        answers = ["8.8.8.1", "8.8.8.2", "8.8.8.3", "8.8.8.4"]
        answers.insert(place, bad)
        with pytest.raises(
            RefusedTarget, match=r"hooks\.acme\.com resolves to an address that is not public"
        ) as refused:
            vet(TARGET, answers, PUBLIC)
        assert refused.value.code == "blocked_address"

    def test_a_refusal_keeps_the_address_to_itself(self) -> None:
        """Inside a VPC an answer could come from a private zone, so the rule is named and the address is not."""
        with pytest.raises(RefusedTarget, match="private network") as refused:
            vet(TARGET, ["10.1.2.3"], PUBLIC)
        assert "10.1.2.3" not in str(refused.value)

    def test_no_answer_is_no_address(self) -> None:
        """An empty answer is the same as none."""
        with pytest.raises(NameNotResolved):
            vet(TARGET, [], PUBLIC)


def unused(host: str) -> tuple[str, ...]:
    raise AssertionError(f"{host} was looked up")


class TestResolve:
    def test_a_public_name_gives_its_addresses(self) -> None:
        """The resolver is asked for the host as it stands in the target."""
        answers = {"hooks.acme.com": ["93.184.216.34", "8.8.8.8"]}
        assert resolve(TARGET, PUBLIC, timeout=GIVE_UP, resolver=answers.__getitem__) == (
            "93.184.216.34",
            "8.8.8.8",
        )

    def test_an_address_is_not_looked_up(self) -> None:
        """An address is itself, if the policy lets it be."""
        literal = parse_target("https://8.8.8.8/", PUBLIC)
        assert resolve(literal, PUBLIC, timeout=GIVE_UP, resolver=unused) == ("8.8.8.8",)

    def test_an_address_is_vetted_like_an_answer(self) -> None:
        """A target that was read under another policy is refused all the same."""
        literal = parse_target("http://127.0.0.1/", PRIVATE)
        assert resolve(literal, PRIVATE, timeout=GIVE_UP, resolver=unused) == ("127.0.0.1",)
        with pytest.raises(RefusedTarget):
            resolve(literal, PUBLIC, timeout=GIVE_UP, resolver=unused)

    def test_private_answers_are_for_a_local_stage(self) -> None:
        """The same answer is taken or refused by the policy alone."""
        local = Target("http", "localhost", 80, "/")
        assert "127.0.0.1" in resolve(local, PRIVATE, timeout=GIVE_UP)
        with pytest.raises(RefusedTarget):
            resolve(local, PUBLIC, timeout=GIVE_UP)

    def test_does_not_wait_for_ever(self) -> None:
        """When DNS hangs, the caller goes on at its deadline."""
        over = threading.Event()

        def hanging(_: str) -> tuple[str, ...]:
            over.wait(GIVE_UP)
            return ("8.8.8.8",)

        with pytest.raises(NameNotResolved, match=r"no answer for hooks\.acme\.com in time"):
            resolve(TARGET, PUBLIC, timeout=0.01, resolver=hanging)
        over.set()

    def test_leaves_no_thread(self) -> None:
        """A function lives for hours and registers many endpoints; none of them costs it a thread."""
        threads: list[threading.Thread] = []

        def resolver(_: str) -> tuple[str, ...]:
            threads.append(threading.current_thread())
            return ("8.8.8.8",)

        resolve(TARGET, PUBLIC, timeout=GIVE_UP, resolver=resolver)
        threads[0].join(GIVE_UP)
        assert not threads[0].is_alive()


class TestLookups:
    def test_many_names_at_once(self) -> None:
        """Sixty-four lookups are under way together: each waits here until all are."""
        together = threading.Barrier(64, timeout=GIVE_UP)
        done = threading.Semaphore(0)

        def meeting(host: str) -> tuple[str, ...]:
            together.wait()
            return (host,)

        with lookups(meeting, max_threads=64) as running:
            started = [running.start(f"h{number}", done.release) for number in range(64)]
            assert all(done.acquire(timeout=GIVE_UP) for _ in started)
            assert [lookup.answers() for lookup in started] == [(f"h{number}",) for number in range(64)]

    def test_never_more_threads_than_allowed(self) -> None:
        """What exceeds the threads waits its turn and is answered later."""
        before = set(threading.enumerate())
        over = threading.Event()
        done, held = threading.Semaphore(0), threading.Semaphore(0)

        def holding(host: str) -> tuple[str, ...]:
            held.release()
            over.wait(GIVE_UP)
            return (host,)

        with lookups(holding, max_threads=2) as running:
            started = [running.start(f"h{number}", done.release) for number in range(10)]
            assert all(held.acquire(timeout=GIVE_UP) for _ in range(2))
            # A thread that was begun can be seen from then on, so there is nothing to wait for.
            threads = [thread for thread in threading.enumerate() if thread not in before]
            assert [thread.name for thread in threads] == ["dns", "dns"]
            over.set()
            assert all(done.acquire(timeout=GIVE_UP) for _ in started)
            assert [lookup.answers() for lookup in started] == [(f"h{number}",) for number in range(10)]

    def test_a_hanging_name_holds_up_no_other(self) -> None:
        """While one lookup hangs, others are answered."""
        over = threading.Event()
        done = threading.Semaphore(0)

        def resolver(host: str) -> tuple[str, ...]:
            if host == "tarpit":
                over.wait(HANGS)
            return (host,)

        with lookups(resolver, max_threads=2) as running:
            hanging = running.start("tarpit", lambda: None)
            for number in range(20):
                running.start(f"h{number}", done.release)
            assert all(done.acquire(timeout=GIVE_UP) for _ in range(20))
            with pytest.raises(NameNotResolved):
                hanging.answers()
            over.set()

    def test_names_that_were_slow_leave_threads_to_the_others(self) -> None:
        """However many names hang again and again, other names are looked up beside them."""
        now = 0.0
        hang, over = threading.Event(), threading.Event()
        done, hanging, served = (threading.Semaphore(0) for _ in range(3))
        together = threading.Barrier(6, timeout=GIVE_UP)

        def resolver(host: str) -> tuple[str, ...]:
            nonlocal now
            if host.startswith("tarpit"):
                now += SLOW_SECONDS
                if hang.is_set():
                    hanging.release()
                    over.wait(HANGS)
            if host.startswith("meeting"):
                together.wait()
            return (host,)

        tarpits = [f"tarpit{number}" for number in range(20)]
        with lookups(resolver, max_threads=8, clock=lambda: now) as running:
            for host in tarpits:  # once, so that they are known
                running.start(host, done.release)
                assert done.acquire(timeout=GIVE_UP)
            hang.set()
            again = [running.start(host, done.release) for host in tarpits]
            assert all(hanging.acquire(timeout=GIVE_UP) for _ in range(2))  # a quarter of the threads
            for number in range(
                20
            ):  # one after the other: each leaves a thread that could take a tarpit next
                running.start(f"h{number}", served.release)
                assert served.acquire(timeout=GIVE_UP)
            met = [running.start(f"meeting{number}", served.release) for number in range(6)]
            assert all(served.acquire(timeout=GIVE_UP) for _ in met)
            assert [lookup.answers() for lookup in met] == [(f"meeting{number}",) for number in range(6)]
            assert [lookup.finished_at for lookup in again] == [None] * 20
            over.set()  # and they get their turn, all of them
            assert all(done.acquire(timeout=GIVE_UP) for _ in again)
            assert [lookup.answers() for lookup in again] == [(host,) for host in tarpits]

    def test_a_name_that_is_quick_again_is_like_any_other(self) -> None:
        """Having been slow counts for the next lookup only, if that one is not slow too."""
        now, took = 0.0, SLOW_SECONDS
        over = threading.Event()
        done, hanging = threading.Semaphore(0), threading.Semaphore(0)

        def resolver(host: str) -> tuple[str, ...]:
            nonlocal now
            now += took
            if host == "hangs":
                hanging.release()
                over.wait(HANGS)
            return (host,)

        with lookups(resolver, max_threads=4, clock=lambda: now) as running:  # one of them for slow names
            for host in ("hangs", "moody"):
                if host == "hangs":
                    over.set()
                running.start(host, done.release)
                assert done.acquire(timeout=GIVE_UP)
            took = SLOW_SECONDS / 2
            running.start("moody", done.release)
            assert done.acquire(timeout=GIVE_UP)
            over.clear()
            hanging.acquire(timeout=GIVE_UP)
            running.start("hangs", lambda: None)
            assert hanging.acquire(timeout=GIVE_UP)
            running.start("moody", done.release)  # behind "hangs" if it were still slow
            assert done.acquire(timeout=GIVE_UP)
            over.set()

    def test_slow_names_are_not_remembered_without_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The oldest is forgotten, so names cannot fill the memory."""
        monkeypatch.setattr(names, "_MAX_SLOW_NAMES", 2)
        now = 0.0
        done = threading.Semaphore(0)
        held, over = threading.Event(), threading.Event()

        def resolver(_: str) -> tuple[str, ...]:
            nonlocal now
            now += SLOW_SECONDS
            if held.is_set():
                over.wait(GIVE_UP)
            return ()

        with lookups(resolver, clock=lambda: now) as running:
            for host in ("a", "b", "a", "c"):
                running.start(host, done.release)
                assert done.acquire(timeout=GIVE_UP)
            held.set()  # what is asked now is not to be remembered before the last of them is asked
            assert [running.start(host, lambda: None).is_slow for host in ("a", "b", "c")] == [
                True,
                False,
                True,
            ]
            over.set()

    def test_one_lookup_per_name(self) -> None:
        """Whoever asks for a name that is being looked up gets that answer, so one name cannot fill the threads."""
        asked: list[str] = []
        over = threading.Event()
        done = threading.Semaphore(0)

        def resolver(host: str) -> tuple[str, ...]:
            asked.append(host)
            over.wait(GIVE_UP)
            return (host,)

        with lookups(resolver) as running:
            started = [running.start("hooks", done.release) for _ in range(5)]
            over.set()
            assert all(done.acquire(timeout=GIVE_UP) for _ in started)
            assert asked == ["hooks"]
            assert {lookup.answers() for lookup in started} == {("hooks",)}

    def test_a_name_is_looked_up_anew(self) -> None:
        """An answer is not kept: every attempt sees what DNS says then."""
        answers = iter([("8.8.8.8",), ("10.0.0.1",)])
        done = threading.Semaphore(0)
        with lookups(lambda _: next(answers)) as running:
            first = running.start("hooks", done.release)
            assert done.acquire(timeout=GIVE_UP)
            # Joins nothing: what called us back has left the list of open lookups before.
            second = running.start("hooks", done.release)
            assert done.acquire(timeout=GIVE_UP)
        assert (first.answers(), second.answers()) == (("8.8.8.8",), ("10.0.0.1",))

    def test_a_thread_is_used_again(self) -> None:
        """Threads are started on demand, and an idle one is demand met."""
        threads: set[threading.Thread] = set()  # not their idents, which the system uses again
        done = threading.Semaphore(0)

        def resolver(_: str) -> tuple[str, ...]:
            threads.add(threading.current_thread())
            return ()

        with lookups(resolver, max_threads=1) as running:
            for number in range(20):
                running.start(f"h{number}", done.release)
                assert done.acquire(timeout=GIVE_UP)
        assert len(threads) == 1

    def test_an_idle_thread_takes_one_lookup(self) -> None:
        """Of two lookups that come at the same time, the idle thread gets one and a new thread the other."""
        done = threading.Semaphore(0)
        together = threading.Barrier(2, timeout=GIVE_UP)

        def resolver(host: str) -> tuple[str, ...]:
            if host != "first":
                together.wait()
            return (host,)

        with lookups(resolver) as running:
            running.start("first", done.release)
            assert done.acquire(timeout=GIVE_UP)
            with running._changed:  # the idle thread cannot wake up in between
                started = [running.start(host, done.release) for host in ("one", "two")]
            assert all(done.acquire(timeout=GIVE_UP) for _ in started)
        assert [lookup.answers() for lookup in started] == [("one",), ("two",)]

    def test_what_nobody_waits_for_is_not_begun(self) -> None:
        """A lookup that was given up in the queue takes no thread any more."""
        asked: list[str] = []
        over = threading.Event()
        done = threading.Semaphore(0)

        def resolver(host: str) -> tuple[str, ...]:
            asked.append(host)
            over.wait(GIVE_UP)
            return ()

        with lookups(resolver, max_threads=1) as running:
            running.start("first", done.release)
            given_up = running.start("given up", done.release)
            running.start("last", done.release)
            running.cancel(given_up, done.release)
            over.set()
            assert all(done.acquire(timeout=GIVE_UP) for _ in range(2))
        assert asked == ["first", "last"]

    def test_what_was_given_up_can_be_asked_again(self) -> None:
        """Whoever asks for a name later does not join the lookup that was never begun."""
        over = threading.Event()
        done = threading.Semaphore(0)

        def resolver(host: str) -> tuple[str, ...]:
            over.wait(GIVE_UP)
            return (host,)

        with lookups(resolver, max_threads=1) as running:
            running.start("first", done.release)
            running.cancel(running.start("hooks", done.release), done.release)
            running.start("last", done.release)
            over.set()
            assert all(done.acquire(timeout=GIVE_UP) for _ in range(2))
            again = running.start("hooks", done.release)
            assert done.acquire(timeout=GIVE_UP)
            assert again.answers() == ("hooks",)

    def test_a_mistake_of_the_resolver_reaches_who_asks(self) -> None:
        """An exception ends no thread silently: it is raised to those who want the answer."""
        done = threading.Semaphore(0)

        def broken(_: str) -> tuple[str, ...]:
            raise ZeroDivisionError

        with lookups(broken) as running:
            lookup = running.start("hooks", done.release)
            assert done.acquire(timeout=GIVE_UP)
            with pytest.raises(ZeroDivisionError):
                lookup.answers()

    def test_close_ends_the_threads(self) -> None:
        """Nothing is left of a client that was closed: neither the threads that were idle nor one that was busy."""
        threads: dict[str, threading.Thread] = {}
        together = threading.Barrier(3, timeout=GIVE_UP)
        over = threading.Event()
        done, last = threading.Semaphore(0), threading.Semaphore(0)

        def resolver(host: str) -> tuple[str, ...]:
            threads[host] = threading.current_thread()
            together.wait()
            if host == "busy":
                over.wait(GIVE_UP)
            return (host,)

        with lookups(resolver) as running:
            for host in ("one", "two"):
                running.start(host, done.release)
            busy = running.start("busy", last.release)
            assert all(done.acquire(timeout=GIVE_UP) for _ in range(2))
        for host in ("one", "two"):
            threads[host].join(GIVE_UP)
            assert not threads[host].is_alive()
        assert threads["busy"].is_alive()
        over.set()
        assert last.acquire(timeout=GIVE_UP)
        assert busy.answers() == ("busy",)
        threads["busy"].join(GIVE_UP)
        assert not threads["busy"].is_alive()


HANGING_AT_EXIT = """
import threading
from posthorn.errors import NameNotResolved
from posthorn.transport.addresses import Policy, parse_target
from posthorn.transport.names import resolve
try:
    resolve(parse_target("https://hooks.acme.com/", Policy()), Policy(), timeout=0.01,
            resolver=lambda host: threading.Event().wait())
except NameNotResolved:
    print("gave up")
"""


def test_a_hanging_lookup_keeps_no_process_alive() -> None:
    """The interpreter exits while DNS still hangs."""
    done = subprocess.run(
        [sys.executable, "-c", HANGING_AT_EXIT], capture_output=True, text=True, timeout=GIVE_UP, check=False
    )
    assert (done.stdout, done.returncode) == ("gave up\n", 0), done.stderr
