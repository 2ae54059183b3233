"""Lookups in threads: up to the limit at once, each name once, and none left after close."""

import threading

import pytest

from tests.unit.transport.lookups import lookups
from tests.unit.transport.receivers import GIVE_UP


class TestLookups:
    def test_many_names_at_once(self) -> None:
        """Sixty-four lookups run at once: each waits until all have started."""
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
        """Lookups beyond the number of threads wait and are answered later."""
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
            # A started thread is visible from then on, so no wait is needed.
            threads = [thread for thread in threading.enumerate() if thread not in before]
            assert [thread.name for thread in threads] == ["dns", "dns"]
            over.set()
            assert all(done.acquire(timeout=GIVE_UP) for _ in started)
            assert [lookup.answers() for lookup in started] == [(f"h{number}",) for number in range(10)]

    def test_one_lookup_per_name(self) -> None:
        """Concurrent lookups of one name share a result, so one name cannot occupy all threads."""
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
        """Results are not cached here: every attempt gets the current DNS answer."""
        answers = iter([("8.8.8.8",), ("10.0.0.1",)])
        done = threading.Semaphore(0)
        with lookups(lambda _: next(answers)) as running:
            first = running.start("hooks", done.release)
            assert done.acquire(timeout=GIVE_UP)
            # Joins nothing: the callback's lookup has already left the list of open lookups.
            second = running.start("hooks", done.release)
            assert done.acquire(timeout=GIVE_UP)
        assert (first.answers(), second.answers()) == (("8.8.8.8",), ("10.0.0.1",))

    def test_a_thread_is_used_again(self) -> None:
        """Threads are started only when none is idle."""
        threads: set[threading.Thread] = set()  # not their idents, which the system reuses
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
        """Of two lookups at the same time, one gets the idle thread and the other a new one."""
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

    def test_an_abandoned_lookup_is_not_started(self) -> None:
        """A queued lookup that was given up never takes a thread."""
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

    def test_an_abandoned_lookup_can_be_requested_again(self) -> None:
        """A later request for the same name does not join the lookup that was given up."""
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

    def test_a_resolver_error_reaches_the_callers(self) -> None:
        """An exception in the resolver is raised to its callers and ends no thread."""
        done = threading.Semaphore(0)

        def broken(_: str) -> tuple[str, ...]:
            raise ZeroDivisionError

        with lookups(broken) as running:
            lookup = running.start("hooks", done.release)
            assert done.acquire(timeout=GIVE_UP)
            with pytest.raises(ZeroDivisionError):
                lookup.answers()

    def test_close_ends_the_threads(self) -> None:
        """A closed client leaves no thread behind, whether it was idle or busy."""
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
