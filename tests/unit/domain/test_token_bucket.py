"""Token buckets: tokens accrue evenly, and waiting as long as one says helps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from posthorn.domain.token_bucket import MICROSECONDS, TokenBucket

BUCKETS = st.builds(
    TokenBucket,
    limit=st.integers(1, 1_000_000),
    period=st.sampled_from([MICROSECONDS, 60 * MICROSECONDS]),
    burst=st.integers(1, 10_000_000),
)
NOW = 1_700_000_000 * MICROSECONDS


def test_a_bucket_that_was_never_used_has_its_burst() -> None:
    """A second later it has no more than that, and what was taken comes back evenly."""
    bucket = TokenBucket(limit=10, period=MICROSECONDS, burst=100)
    assert bucket.available(0, NOW) == bucket.available(0, NOW + MICROSECONDS) == 100
    after = bucket.start(0, NOW) + bucket.cost(95)
    assert [bucket.available(after, NOW + tenths * 100_000) for tenths in (0, 1, 5, 10, 1000)] == [
        5,
        6,
        10,
        15,
        100,
    ]


@given(bucket=BUCKETS, ago=st.integers(0, 10**9), share=st.floats(0, 1))
def test_waiting_makes_tokens_available(bucket: TokenBucket, ago: int, share: float) -> None:
    """After the wait there are as many tokens as asked for, and a moment earlier there are not."""
    tokens = max(1, int(bucket.burst * share))
    wait = bucket.wait(tokens, NOW - ago, NOW)
    assert bucket.available(NOW - ago, NOW + wait) >= tokens
    assert (wait == 0) == (bucket.available(NOW - ago, NOW) >= tokens)
    if wait:
        assert bucket.available(NOW - ago, NOW + wait - 1) < tokens


@given(
    bucket=BUCKETS,
    takes=st.lists(st.tuples(st.integers(0, 10 * MICROSECONDS), st.integers(1, 10_000)), max_size=30),
)
def test_no_more_is_taken_than_accrues(bucket: TokenBucket, takes: list[tuple[int, int]]) -> None:
    """Whenever tokens are taken, all that were taken are at most the burst and what accrued since the first."""
    taken_until, now, taken = 0, NOW, 0
    for pause, tokens in takes:
        now += pause
        if bucket.available(taken_until, now) >= tokens:
            taken_until = bucket.start(taken_until, now) + bucket.cost(tokens)
            taken += tokens
        assert taken_until <= now
        assert taken <= bucket.burst + (now - NOW) * bucket.limit / bucket.period
