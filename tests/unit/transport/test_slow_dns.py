"""Names that resolve slowly do not delay others, and are not penalized for long."""

import threading

import pytest

from posthorn.domain.errors import NameNotResolved
from posthorn.transport import dns
from posthorn.transport.dns import SLOW_SECONDS
from tests.unit.transport.lookups import lookups
from tests.unit.transport.receivers import GIVE_UP

HANGS = 2 * GIVE_UP  # a resolver that nothing may wait for


class TestLookups:
    def test_a_hanging_name_does_not_delay_others(self) -> None:
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
        """However many names hang repeatedly, other names are resolved beside them."""
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
            for host in tarpits:  # once, so that they are known to be slow
                running.start(host, done.release)
                assert done.acquire(timeout=GIVE_UP)
            hang.set()
            again = [running.start(host, done.release) for host in tarpits]
            assert all(hanging.acquire(timeout=GIVE_UP) for _ in range(2))  # a quarter of the threads
            for number in range(20):  # one after the other: each frees a thread that a slow name could take
                running.start(f"h{number}", served.release)
                assert served.acquire(timeout=GIVE_UP)
            met = [running.start(f"meeting{number}", served.release) for number in range(6)]
            assert all(served.acquire(timeout=GIVE_UP) for _ in met)
            assert [lookup.answers() for lookup in met] == [(f"meeting{number}",) for number in range(6)]
            assert [lookup.finished_at for lookup in again] == [None] * 20
            over.set()  # and all of them are resolved in the end
            assert all(done.acquire(timeout=GIVE_UP) for _ in again)
            assert [lookup.answers() for lookup in again] == [(host,) for host in tarpits]

    def test_a_name_that_is_quick_again_is_like_any_other(self) -> None:
        """A slow lookup penalizes only the next one of the same name, unless that is slow again."""
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
            running.start("moody", done.release)  # would wait behind "hangs" if it were still slow
            assert done.acquire(timeout=GIVE_UP)
            over.set()

    def test_slow_names_are_not_remembered_without_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The oldest name is forgotten, so that the list cannot grow without limit."""
        monkeypatch.setattr(dns, "_MAX_SLOW_NAMES", 2)
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
            held.set()  # names must not be recorded before the last of them is requested
            assert [running.start(host, lambda: None).is_slow for host in ("a", "b", "c")] == [
                True,
                False,
                True,
            ]
            over.set()
