"""The cost model, checked by hand: DynamoDB's arithmetic, prices, and the bill of a workload."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthorn_cli.app import main
from posthorn_cli.cost import capacity, model, prices
from posthorn_cli.cost.counts import Counts, committed
from posthorn_cli.cost.model import Workload, bill
from posthorn_cli.cost.samples import payload
from tests.commands import run as posthorn

# One vCPU's worth of round numbers.
MEASURED = {
    "publish_1_cpu_ms": 4.0,
    "publish_10_cpu_ms": 13.0,
    "dispatch_1_cpu_ms": 10.0,
    "dispatch_100_cpu_ms": 109.0,
    "deliver_10_cpu_ms": 30.0,
    "handshake_cpu_ms": 2.0,
    "init_api_cpu_ms": 800.0,
    "init_dispatch_cpu_ms": 600.0,
    "init_deliver_cpu_ms": 500.0,
}


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({}, 0),
        ({"pk": {"S": "abc"}}, 5),
        ({"ä": {"S": "ä"}}, 4),
        ({"n": {"N": "0"}}, 2),
        ({"n": {"N": "7"}}, 3),
        ({"n": {"N": "123456"}}, 5),
        ({"n": {"N": "-12"}}, 4),
        ({"n": {"N": "1700000"}}, 3),
        ({"b": {"B": b"12345"}}, 6),
        ({"f": {"BOOL": True}}, 2),
        ({"l": {"L": []}}, 4),
        ({"l": {"L": [{"S": "ab"}, {"S": "c"}]}}, 9),
        ({"m": {"M": {"k": {"S": "v"}}}}, 7),
    ],
)
def test_item_sizes_follow_dynamodbs_rules(item: Any, size: int) -> None:
    """UTF-8 for names and values; a byte per two digits; 3 bytes per list or map and 1 per element."""
    assert capacity.item_size(item) == size


def _sized(size: int) -> Any:
    return {"k": {"S": "x" * (size - 1)}}


@pytest.mark.parametrize(
    ("before", "after", "units"),
    [(0, 1, 1), (0, 1024, 1), (0, 1025, 2), (3000, 100, 3), (100, 3000, 3), (0, 0, 1)],
)
def test_a_write_costs_the_larger_of_both_rows(before: int, after: int, units: int) -> None:
    """A started kilobyte counts as a whole one, and an update is charged for the whole row."""
    assert capacity.write_units(_sized(before) if before else None, _sized(after) if after else None) == units


def test_a_sparse_index_costs_only_changes() -> None:
    """Entering or leaving costs 1; a changed key costs 2 (delete and insert); no change costs nothing."""
    out = {"pk": {"S": "p"}, "other": {"S": "x"}}
    inside = {**out, "due": {"N": "1"}}
    index = capacity.Index(keys=("due", "pk"))

    def units(before: Any, after: Any) -> int:
        return capacity.index_units(before, after, index)

    assert units(None, out) == 0
    assert units(out, inside) == units(inside, out) == units(None, inside) == 1
    assert units(inside, {**inside, "due": {"N": "2"}}) == 2
    assert units(inside, {**inside, "other": {"S": "y"}}) == 0


@pytest.mark.parametrize("projected", [("status", "note"), None])
def test_a_copied_attribute_that_changes_is_one_write_of_the_entry(projected: tuple[str, ...] | None) -> None:
    """The larger version of the entry is charged; an item without the attribute has an entry, too."""
    index = capacity.Index(keys=("due", "pk"), projected=projected)
    row = {"pk": {"S": "p"}, "due": {"N": "1"}, "status": {"S": "retrying"}}
    long = {**row, "note": {"S": "x" * 1024}}

    def units(before: Any, after: Any) -> int:
        return capacity.index_units(before, after, index)

    assert units(row, {**row, "status": {"S": "failed"}}) == 1
    assert units(row, long) == units(long, row) == units(None, long) == 2
    assert units(long, {**long, "due": {"N": "2"}}) == 4
    assert units(row, {**row, "other": {"S": "x"}}) == (0 if projected else 1)
    assert units(row, row) == 0


def test_reads_are_rounded_one_by_one_and_queries_together() -> None:
    """A missing row costs as much as a small one; eventually consistent reads cost half."""
    assert capacity.read_units([0, 1, 4096, 4097], consistent=True) == 5
    assert capacity.read_units([0], consistent=False) == 0.5
    assert capacity.query_units([2000, 2000, 2000], consistent=True) == 2
    assert capacity.query_units([], consistent=True) == 1


@given(st.integers(min_value=120, max_value=30_000), st.integers(0, 50))
def test_a_sample_is_as_long_as_it_should_be(size: int, seed: int) -> None:
    """A payload of a given size has that size to within one of its fields."""
    assert abs(len(json.dumps(payload(size, seed=seed), separators=(",", ":"))) - size) <= 120


def test_counts_add_up_and_multiply() -> None:
    """Counts are vectors, added and multiplied term by term."""
    one = Counts(wru=1, log_bytes=10)
    assert one + one == one * 2 == Counts(wru=2, log_bytes=20)
    assert one - one == Counts()


def test_dispatching_is_linear_in_events_and_endpoints() -> None:
    """The model's figures for 5 events to 4 endpoints match a counted run."""
    for run in committed():
        predicted, counted = run.dispatch(5, 4), run.pieces["dispatch 5 x 4"]
        assert predicted.wru == pytest.approx(counted.wru)
        assert predicted.rru == pytest.approx(counted.rru)
        # a difference of one digit in a row or a log line does not matter
        for name in ("log_bytes", "stored_bytes", "egress_bytes"):
            assert getattr(predicted, name) == pytest.approx(getattr(counted, name), rel=0.01), name


def test_an_event_and_a_delivery_cost_one_write_unit_each() -> None:
    """With 1 or 2 KB of compressible JSON, a first-try success writes two units in all."""
    for run in committed():
        if 1024 <= run.payload <= 2048:
            assert run.pieces["publish 1"].wru == 1
            assert run.pieces["dispatch 1 x 1"].wru == 1


def test_a_bill_by_hand() -> None:
    """One event per batch, an empty cache, no failures: every term follows from the price list."""
    run = next(run for run in committed() if run.payload == 2048)
    wanted = Workload(success=1.0, rate=0.001, customers=1_000_000)

    terms = bill(wanted, MEASURED).terms

    dispatch_ms = (10 + 2) / (256 / 1769) + 3 * 6 + 300
    publish_ms = 4 / (512 / 1769) + 6
    assert terms["API Gateway requests"] == pytest.approx(1.00)
    assert terms["event rows"] == pytest.approx(0.625)
    assert terms["delivery rows"] == pytest.approx(0.625)
    assert terms["DispatchFunction requests"] == pytest.approx(0.20)
    assert terms["DispatchFunction time"] == pytest.approx(dispatch_ms * 1000 * 0.25 * 0.0000133334, rel=1e-4)
    assert terms["ApiFunction"] == pytest.approx(0.20 + publish_ms * 1000 * 0.5 * 0.0000133334, rel=1e-4)
    # a cold publish reads its key and its workspace
    assert terms["reads"] == pytest.approx((run.pieces["dispatch 1 x 1"].rru + 2) * 0.125, rel=1e-4)
    assert terms["secrets (KMS)"] == pytest.approx(3.00, rel=1e-4)
    # each delivery opens a connection; 3 of 53 responses reuse one
    sent = run.pieces["dispatch 1 x 1"].egress_bytes + 1300 + 422 + 5500 / 1.06
    assert terms["data transfer out"] == pytest.approx(sent / 1000 * 0.09, rel=1e-4)
    assert terms["DeliverFunction"] == terms["messages of retries"] == 0
    assert terms["rows of failures and retries"] == 0


def test_retries_by_hand() -> None:
    """With 5,000 failures a second each queue fills batches of ten; at a trickle each batch holds one."""
    wanted = Workload(success=0.5, rate=10_000, retries=3)
    full, alone = bill(wanted, MEASURED), bill(replace(wanted, rate=0.0001, customers=10_000), MEASURED)

    retries = 0.5 * 3  # millions
    full_ms = (30 + 10 * 2) / (256 / 1769) + 4 * 6 + 300
    alone_ms = (30 / 10 + 10 / 2 + 2) / (256 / 1769) + 4 * 6 + 300
    assert (full.retry_batch, alone.retry_batch) == (10, 1)
    assert full.terms["DeliverFunction"] == pytest.approx(
        retries / 10 * (0.20 + full_ms * 1000 * 0.25 * 0.0000133334)
    )
    assert alone.terms["DeliverFunction"] == pytest.approx(
        retries * (0.20 + alone_ms * 1000 * 0.25 * 0.0000133334)
    )
    # each message is sent and received, and deleted with its batch
    assert full.terms["messages of retries"] == pytest.approx(retries * 2.1 * 0.50)
    assert alone.terms["messages of retries"] == pytest.approx(retries * 3 * 0.50)
    # no secret is cached, not even from the first attempt
    assert alone.terms["secrets (KMS)"] == pytest.approx((1 + retries) * 3.00, rel=1e-4)


def test_retries_of_one_window_share_an_invocation() -> None:
    """Of 30 retries a second, each queue gets ten, each of its pollers two, and a two-second window four."""
    assert bill(Workload(success=0.9, retries=3, rate=100), MEASURED).retry_batch == pytest.approx(4)


def test_load_lowers_the_cost_and_failures_raise_it() -> None:
    """More events share invocations; more failures cause more attempts; larger payloads cost more units."""
    usual = bill(Workload(), MEASURED).per_million

    assert bill(Workload(rate=1), MEASURED).per_million > usual
    assert bill(Workload(success=0.5), MEASURED).per_million > usual
    assert bill(Workload(payload=8192), MEASURED).per_million > usual
    assert bill(Workload(receiver_ms=3000), MEASURED).per_million > usual
    assert bill(Workload(memory=1024), MEASURED).per_million > usual
    assert bill(Workload(idempotent=True), MEASURED).per_million > usual
    assert bill(Workload(published=10), MEASURED).per_million < usual
    assert bill(Workload(endpoints=10), MEASURED).per_million < usual  # one event row for ten deliveries


@given(
    st.builds(
        Workload,
        payload=st.sampled_from([256, 1024, 2048, 8192, 65_536]),
        endpoints=st.floats(1, 100),
        success=st.floats(0, 1),
        retries=st.floats(0, 3),
        published=st.integers(1, 100),
        rate=st.floats(0.001, 100_000),
        customers=st.integers(1, 100_000),
    )
)
def test_a_bill_is_in_proportion_to_the_events(wanted: Workload) -> None:
    """No term is negative, batches stay within bounds, and twice the events cost twice as much."""
    one, two = bill(wanted, MEASURED), bill(replace(wanted, events=2 * wanted.events), MEASURED)

    assert all(dollars >= -1e-9 for dollars in one.terms.values())
    assert 1 <= one.batch <= model.BATCH
    assert 1 <= one.retry_batch <= model.RETRY_BATCH
    assert sum(two.terms.values()) == pytest.approx(2 * sum(one.terms.values()))


def test_snapstart_by_hand() -> None:
    """Half a gigabyte for thirty days, and one restore of it."""
    month, restore = model.snapstart()

    assert month == pytest.approx(0.5 * 2_592_000 * 0.0000015046)
    assert restore == pytest.approx(0.00006989990)


def test_every_price_is_dated_and_has_a_source() -> None:
    """Every price has a source, and nothing that AWS charges for is free by mistake."""
    assert prices.DATE.startswith("20")
    for name, price in prices.PRICES.items():
        assert price.dollars > 0, name
        assert price.per > 0, name
        assert price.what, name
        assert price.source, name
    for peer in prices.PEERS:
        assert peer.dollars > 0
        assert peer.source


def test_the_command_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """`posthorn cost` prints every term, the total and what others charge, without a call to AWS."""
    status = main(
        ["cost", "--events", "1000000", "--payload", "2048", "--endpoints", "1", "--success", "0.98"]
    )

    printed = capsys.readouterr().out
    assert status == 0
    for term in bill(Workload(), MEASURED).terms:
        assert term in printed
    for peer in prices.PEERS:
        assert peer.name in printed
    assert "total" in printed
    assert prices.DATE in printed


@pytest.mark.parametrize("options", [(), ("--rate", "0.1", "--payload", "100", "--published", "10")])
def test_text_and_json_say_the_same(capsys: pytest.CaptureFixture[str], options: tuple[str, ...]) -> None:
    """Every term at both rates, the totals and the prices of others."""
    text = posthorn(capsys, "cost", *options)
    document = posthorn(capsys, "cost", *options, "--json").document

    assert text.status == 0
    rows = {cells[0]: cells[1:] for line in text.out.splitlines() if (cells := re.split(r" {2,}", line))[1:]}
    estimates = document["estimates"]
    assert rows["$ per million deliveries"] == [f"at {one['eventsPerSecond']:g}/s" for one in estimates]
    for term in document["estimates"][0]["perMillionDeliveries"]:
        assert rows[term] == [f"{one['perMillionDeliveries'][term]:.3f}" for one in estimates]
    assert rows["total"] == [f"{one['totalPerMillionDeliveries']:.2f}" for one in estimates]
    for peer in document["others"]:
        assert rows[peer["name"]] == [f"{peer['dollars']:.2f}", peer["basis"], peer["source"]]
    for number in ("allEvents", "eventsPerInvocation", "retriesPerInvocation"):
        assert all(f"{one[number]:,.{2 if number == 'allEvents' else 1}f}" in text.out for one in estimates)
    assert f"${sum(document['monthly'].values()):.2f} a month at any load" in text.out
    assert f"${document['snapStart']['month']:.2f} a month" in text.out
    assert f"{document['workload']['events']:,.0f} events of" in text.out
    assert {document["prices"]["date"], document["measuredOn"]} <= set(
        re.findall(r"\d{4}-\d\d-\d\d", text.out)
    )


@pytest.mark.parametrize(
    "wrong", [["--success", "1.1"], ["--payload", "70000"], ["--events", "0"], ["--rate", "fast"]]
)
def test_an_invalid_workload_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The error says which values are valid."""
    status = main(["cost", *wrong])

    printed = capsys.readouterr()
    assert (status, printed.out) == (2, "")
    assert "Usage: posthorn cost" in printed.err
    assert f"Invalid value for '{wrong[0]}'" in printed.err
