"""Our batch requests to DynamoDB equal those that botocore would send; concurrent calls overlap."""

from __future__ import annotations

import json
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from hypothesis import given, settings
from hypothesis import strategies as st

from posthorn.aws import clients
from posthorn.domain.errors import Unavailable
from posthorn.stores import batches

if TYPE_CHECKING:
    from collections.abc import Iterator

values = st.recursive(
    st.one_of(
        st.builds(lambda text: {"S": text}, st.text(max_size=20)),
        st.builds(lambda number: {"N": str(number)}, st.integers()),
        st.builds(lambda raw: {"B": raw}, st.binary(max_size=20)),
        st.builds(lambda flag: {"BOOL": flag}, st.booleans()),
    ),
    lambda inner: st.one_of(
        st.builds(lambda many: {"L": many}, st.lists(inner, max_size=3)),
        st.builds(
            lambda named: {"M": named}, st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3)
        ),
    ),
    max_leaves=5,
)
rows = st.dictionaries(st.text(min_size=1, max_size=10), values, max_size=5)


class Sent:
    """The last request that a client sent, and the answer it gets."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.body: Any = None
        self.headers: dict[str, str] = {}
        self.status = 200
        self.answer: dict[str, Any] = {}
        client.meta.events.register_first("before-send.dynamodb.*", self._answer)

    def _answer(self, request: Any, **_: object) -> AWSResponse:
        self.body = json.loads(request.body)
        self.headers = {name.lower(): value for name, value in request.headers.items()}

        class Raw:
            def stream(self, **_: object) -> Iterator[bytes]:
                yield content

        content = json.dumps(self.answer).encode()
        return AWSResponse(request.url, self.status, HTTPHeaders(), Raw())


@pytest.fixture(scope="module")
def ours() -> Iterator[Sent]:
    clients._client.cache_clear()
    yield Sent(clients.client("dynamodb"))
    clients._client.cache_clear()


@pytest.fixture(scope="module")
def theirs() -> Sent:
    return Sent(boto3.client("dynamodb"))


@settings(max_examples=40)
@given(written=st.lists(rows, min_size=1, max_size=25))
def test_a_batch_of_rows_is_written_as_botocore_would(ours: Sent, theirs: Sent, written: list[Any]) -> None:
    """The body of BatchWriteItem equals botocore's for any rows, binary values included."""
    requests: Any = {"deliveries": [{"PutRequest": {"Item": row}} for row in written]}
    ours.answer = theirs.answer = {"UnprocessedItems": {}}

    ours.client.batch_write_item(RequestItems=requests)
    theirs.client.batch_write_item(RequestItems=requests)

    assert ours.body == theirs.body
    assert ours.headers["x-amz-target"] == theirs.headers["x-amz-target"]
    assert ours.headers["content-length"] != "0"


@settings(max_examples=40)
@given(keys=st.lists(rows, min_size=1, max_size=100))
def test_a_batch_of_keys_is_asked_for_as_botocore_would(ours: Sent, theirs: Sent, keys: list[Any]) -> None:
    """The body of BatchGetItem equals botocore's, and botocore parses the response as usual."""
    requests: Any = {"deliveries": {"Keys": keys, "ConsistentRead": True}}
    ours.answer = theirs.answer = {
        "Responses": {"deliveries": [{"pk": {"B": "AAE="}}]},
        "UnprocessedKeys": {},
    }

    found = ours.client.batch_get_item(RequestItems=requests)
    theirs.client.batch_get_item(RequestItems=requests)

    assert ours.body == theirs.body
    assert found["Responses"] == {"deliveries": [{"pk": {"B": b"\x00\x01"}}]}


def test_unprocessed_items_are_written_again(ours: Sent) -> None:
    """UnprocessedItems, parsed by botocore, are sent again unchanged, and reported if they stay unprocessed."""
    row = {"pk": {"S": "a"}, "data": {"B": b"\x00"}}
    unwritten = {"t": [{"PutRequest": {"Item": {"pk": {"S": "a"}, "data": {"B": "AA=="}}}}]}
    ours.answer = {"UnprocessedItems": unwritten}

    refused = batches.put(ours.client, "t", [row])
    with pytest.raises(Unavailable, match="UnprocessedItems"):
        batches.put_every(ours.client, "t", [row])

    assert ours.body == {"RequestItems": unwritten}
    assert refused == [{"pk": {"S": "a"}, "data": {"B": b"\x00"}}]


def test_a_batch_that_dynamodb_refuses_is_an_error_of_ours(ours: Sent) -> None:
    """A batch that botocore would have refused is refused by DynamoDB: `Unavailable` with its code."""
    ours.status, ours.answer = 400, {"__type": "x#ValidationException", "message": "no"}

    with pytest.raises(Unavailable) as caught:
        batches.put(ours.client, "t", [{"pk": {"S": ""}}])

    ours.status = 200
    assert caught.value.code == "ValidationException"
    assert caught.value.refused


def test_a_single_call_runs_in_the_callers_thread() -> None:
    """A single call runs inline: there is nothing to overlap with, so no thread is started."""
    answers = clients.at_once({"only": threading.current_thread})

    assert answers["only"].result() is threading.current_thread()


@pytest.mark.parametrize("count", [1, 3])
def test_a_failed_call_raises_when_its_result_is_read(count: int) -> None:
    """A failed call raises when its result is read, so that a caller can start all its calls first."""

    def fail() -> None:
        raise Unavailable("query", "Throttled")

    answers = clients.at_once(dict.fromkeys(range(count), fail))

    assert len(answers) == count
    for answer in answers.values():
        with pytest.raises(Unavailable, match="query"):
            answer.result(timeout=20)


def test_calls_overlap() -> None:
    """Calls that wait for each other complete, each with its own result."""
    together = threading.Barrier(3, timeout=20)

    def answer(number: int) -> int:
        together.wait()
        return number

    answers = clients.at_once({number: partial(answer, number) for number in range(3)})

    assert {number: one.result(timeout=20) for number, one in answers.items()} == {0: 0, 1: 1, 2: 2}


def test_no_calls_are_no_answers() -> None:
    """A batch may be empty."""
    assert clients.at_once({}) == {}
