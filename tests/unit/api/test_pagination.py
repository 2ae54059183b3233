"""Cursors are valid only unchanged, for the list that issued them, in the same workspace and query."""

from __future__ import annotations

import base64
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from moto import mock_aws

from posthorn.api.http import Request
from posthorn.api.pagination import MAX_LIMIT, Cursors, read_limit
from posthorn.api.problems import Problem
from posthorn.aws.secrets import Sealer, Unsealer
from posthorn.domain.errors import Unavailable
from posthorn.stores.installation import InstallationSecrets
from tests.aws import create_key, create_tables
from tests.strict_dynamodb import strict

if TYPE_CHECKING:
    from collections.abc import Iterator

POSITION: Final = "wh_01GY5BMP7FBC0DKZTXDZJ7EQ6S"
REQUEST: Final = Request(
    workspace="wksp_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    operation="GET /v1/webhooks/{webhookId}/deliveries",
    path={"webhookId": "wh_01GY5BMP7FBC0DKZTXDZJ7EQ6S"},
    query={"status": "failed", "limit": "10"},
    headers={},
    body=b"",
)


class Aws:
    """The table and the KMS key that all processes of an installation share."""

    def __init__(self) -> None:
        self.kms = boto3.client("kms")
        self.key = create_key(self.kms)
        self.dynamodb = boto3.client("dynamodb")
        self.table = create_tables(self.dynamodb)["ConfigTable"]

    def process(self, seed: int = 1) -> Cursors:
        """Return the cursors of a new process with its own source of randomness."""
        return Cursors(
            InstallationSecrets(self.dynamodb, self.table),
            Sealer(self.kms, self.key),
            Unsealer(self.kms),
            random_bytes=random.Random(seed).randbytes,  # noqa: S311 - seeded, so that every run is the same
        )


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with mock_aws(), strict():
        yield Aws()


@pytest.fixture(scope="module")
def cursors(aws: Aws) -> Cursors:
    return aws.process()


def asking(cursor: str, request: Request = REQUEST) -> Request:
    return replace(request, query={**request.query, "cursor": cursor})


def refused(cursors: Cursors, request: Request) -> Problem:
    with pytest.raises(Problem) as problem:
        cursors.read(request)
    return problem.value


@given(
    position=st.text(max_size=80),
    workspace=st.text(max_size=10),
    query=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)
def test_a_cursor_leads_back_to_its_position(
    cursors: Cursors, position: str, workspace: str, query: dict[str, str]
) -> None:
    """For any position and any query, the next page starts where the last one ended."""
    assume("cursor" not in query)
    request = replace(REQUEST, workspace=workspace, query=query)
    assert cursors.read(asking(cursors.write(request, position), request)) == position


def test_without_a_cursor_a_list_starts_at_its_beginning(cursors: Cursors) -> None:
    """The first page needs no cursor."""
    assert cursors.read(REQUEST) is None


@given(position=st.text(min_size=1, max_size=80))
def test_a_cursor_can_be_put_into_a_url(cursors: Cursors, position: str) -> None:
    """A cursor consists of letters, digits, hyphens and underscores only."""
    cursor = cursors.write(REQUEST, position)
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert cursor.isascii()


def test_no_character_of_a_cursor_can_be_changed(cursors: Cursors) -> None:
    """Replacing any character of a cursor with any other makes it invalid, with the same error."""
    cursor = cursors.write(REQUEST, POSITION)
    for at in range(len(cursor)):
        for other in "ABab01-_+/=. \n%\u00e9":
            if other != cursor[at]:
                problem = refused(cursors, asking(cursor[:at] + other + cursor[at + 1 :]))
                assert (problem.status, problem.code) == (400, "invalid_cursor")


def test_no_bit_of_a_cursor_can_be_flipped(cursors: Cursors) -> None:
    """Flipping any bit of the tag or the position makes the cursor invalid."""
    raw = base64.urlsafe_b64decode(cursors.write(REQUEST, POSITION) + "==")
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        cursor = base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
        assert refused(cursors, asking(cursor)).code == "invalid_cursor"


@given(data=st.data())
def test_a_cursor_can_be_neither_cut_nor_extended(cursors: Cursors, data: st.DataObject) -> None:
    """A truncated cursor is invalid, and so is one with extra characters at either end."""
    cursor = cursors.write(REQUEST, POSITION)
    cut = cursor[: data.draw(st.integers(0, len(cursor) - 1))]
    longer = cursor + data.draw(st.text("Aa0-_=", min_size=1, max_size=4))
    for one in (cut, longer, f"A{cursor}", f"{cursor}=", f"{cursor}=="):
        assert refused(cursors, asking(one)).status == 400


@given(
    cursor=st.text(max_size=60)
    | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode())
)
def test_any_other_text_is_refused(cursors: Cursors, cursor: str) -> None:
    """Any made-up cursor is a 400, never another error."""
    problem = refused(cursors, asking(cursor))
    assert (problem.status, problem.code) == (400, "invalid_cursor")
    assert [error.pointer for error in problem.errors] == ["/cursor"]


@pytest.mark.parametrize(
    "changes",
    [
        {"workspace": "wksp_01GY5BMP7FBC0DKZTXDZJ7EQ6T"},
        {"workspace": ""},
        {"operation": "GET /v1/webhooks"},
        {"path": {"webhookId": "wh_01GY5BMP7FBC0DKZTXDZJ7EQ6T"}},
        {"path": {}},
        {"query": {"status": "delivered", "limit": "10"}},
        {"query": {"limit": "10"}},
        {"query": {"status": "failed", "event": "CONTACT_CREATED", "limit": "10"}},
        {"query": {"statu": "sfailed", "limit": "10"}},
    ],
    ids=[
        "another workspace",
        "no workspace",
        "another list",
        "another endpoint",
        "no endpoint",
        "another filter",
        "no filter",
        "one filter more",
        "the same letters",
    ],
)
def test_a_cursor_is_refused_anywhere_else(cursors: Cursors, changes: dict[str, Any]) -> None:
    """A cursor used by another tenant, list or filter gets the same 400 as a made-up cursor."""
    problem = refused(cursors, asking(cursors.write(REQUEST, POSITION), replace(REQUEST, **changes)))
    assert (problem.status, problem.code) == (400, "invalid_cursor")


@pytest.mark.parametrize("query", [{"status": "failed"}, {"status": "failed", "limit": "1"}])
def test_the_page_size_may_change_on_the_way(cursors: Cursors, query: dict[str, str]) -> None:
    """`limit` is not part of the query, so a client may change the page size between pages."""
    cursor = cursors.write(REQUEST, POSITION)
    assert cursors.read(asking(cursor, replace(REQUEST, query=query))) == POSITION


def test_the_order_of_a_query_does_not_matter(cursors: Cursors) -> None:
    """A client may send its query parameters in any order."""
    one = replace(REQUEST, query={"status": "failed", "event": "X"})
    other = replace(REQUEST, query={"event": "X", "status": "failed"})
    assert cursors.read(asking(cursors.write(one, POSITION), other)) == POSITION


def test_every_process_reads_the_cursors_of_every_other(aws: Aws) -> None:
    """An installation creates one key, whichever process comes first, and every process uses it."""
    one, other = aws.process(seed=2), aws.process(seed=3)
    assert other.read(asking(one.write(REQUEST, POSITION))) == POSITION
    assert one.read(asking(other.write(REQUEST, POSITION))) == POSITION


@pytest.mark.parametrize("last", [POSITION, None])
def test_a_page_is_read_from_where_the_cursor_points(aws: Aws, last: str | None) -> None:
    """The list gets the position and the limit of the request; the next cursor stands for the position it returns."""
    cursors = aws.process()
    asked: list[tuple[str | None, int]] = []

    def read(*, after: str | None, limit: int) -> tuple[list[str], str | None]:
        asked.append((after, limit))
        return ["one", "two"], last

    page, cursor = cursors.page(asking(cursors.write(REQUEST, "before")), read)

    assert (page, asked) == (["one", "two"], [("before", 10)])
    assert (None if cursor is None else cursors.read(asking(cursor))) == last


def test_no_page_is_read_for_a_bad_request(aws: Aws) -> None:
    """A wrong limit or cursor costs no query."""

    def read(*, after: str | None, limit: int) -> tuple[list[str], str | None]:
        raise AssertionError((after, limit))

    for query in ({"limit": "0"}, {"cursor": "x"}):
        with pytest.raises(Problem):
            aws.process().page(replace(REQUEST, query=query), read)


def test_another_installation_has_another_key(aws: Aws) -> None:
    """The key is random and belongs to one installation; knowing the code is not enough."""
    cursor = aws.process().write(REQUEST, POSITION)
    aws.dynamodb.delete_item(TableName=aws.table, Key={"pk": {"S": "system"}, "sk": {"S": "cursor-key"}})
    assert refused(aws.process(seed=99), asking(cursor)).status == 400


def test_a_key_that_was_tampered_with_is_an_outage(aws: Aws) -> None:
    """Write access to the table is not enough to choose the key: KMS must have sealed it for this purpose."""
    aws.process().write(REQUEST, POSITION)
    chosen = Sealer(aws.kms, aws.key).seal(
        "a key of one's own", workspace="wksp_1", endpoint_id="wh_1", version=1
    )
    aws.dynamodb.put_item(
        TableName=aws.table,
        Item={
            "pk": {"S": "system"},
            "sk": {"S": "cursor-key"},
            "v": {"N": "1"},
            "sealed": {"B": chosen.ciphertext},
        },
    )
    with pytest.raises(Unavailable):
        aws.process().write(REQUEST, POSITION)


def limited(text: str) -> Request:
    return replace(REQUEST, query={"limit": text})


def test_the_default_limit_is_a_hundred() -> None:
    """Without `limit`, a page has the maximum size of 100 entries."""
    assert read_limit(replace(REQUEST, query={})) == MAX_LIMIT == 100


@pytest.mark.parametrize("limit", [1, 2, 99, 100])
def test_a_limit_is_taken_as_it_is(limit: int) -> None:
    """Limits from 1 to 100, inclusive, are accepted."""
    assert read_limit(limited(str(limit))) == limit


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "101",
        "1000",
        "-1",
        "+1",
        "1.0",
        "1e1",
        " 1",
        "1 ",
        "1\n",
        "ten",
        "\u0661",
        "\u00b2",
        "0000",
        "01000",
        "0100000000",
        "0001" + "0" * 10,
        "0001" + "9" * 5000,
        "9" * 5000,
    ],
    ids=lambda text: repr(text[:16]),
)
def test_any_other_limit_is_a_bad_request(text: str) -> None:
    """Limits outside 1 to 100 are refused, in every notation."""
    with pytest.raises(Problem) as problem:
        read_limit(limited(text))
    assert (problem.value.status, problem.value.code) == (400, "invalid_limit")


@given(text=st.text("019", max_size=8) | st.text(max_size=5))
def test_every_limit_is_within_bounds_or_refused(text: str) -> None:
    """A limit is refused or lies within bounds: no page has more than 100 entries."""
    try:
        limit = read_limit(limited(text))
    except Problem as problem:
        assert problem.status == 400  # noqa: PT017 - one of two valid outcomes
        return
    assert 1 <= limit <= MAX_LIMIT
