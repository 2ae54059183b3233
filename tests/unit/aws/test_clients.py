"""Our batch requests to DynamoDB equal those that botocore would send; concurrent calls overlap."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from functools import partial
from io import BufferedReader, BytesIO
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import boto3
import pytest
from botocore import parsers
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.loaders import Loader
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
        self.raw = b""
        self.body: Any = None
        self.headers: dict[str, str] = {}
        self.status = 200
        self.answer: dict[str, Any] | bytes = {}
        client.meta.events.register_first("before-send.dynamodb.*", self._answer)

    def _answer(self, request: Any, **_: object) -> AWSResponse:
        self.raw = request.body
        self.body = json.loads(self.raw) if isinstance(self.answer, dict) else None
        self.headers = {
            name.lower(): value.decode() if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        }

        class Raw:
            def stream(self, **_: object) -> Iterator[bytes]:
                yield content

        content = json.dumps(self.answer).encode() if isinstance(self.answer, dict) else self.answer
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


# ---- protocols


@contextmanager
def speaking(**metadata: Any) -> Iterator[Sent]:
    """Make our client from a model of DynamoDB with other metadata, as a later botocore may bring it."""
    load = Loader.load_service_model

    def changed(self: Loader, service_name: str, type_name: str, *args: Any, **options: Any) -> Any:
        model = load(self, service_name, type_name, *args, **options)
        if (service_name, type_name) != ("dynamodb", "service-2"):
            return model
        return {**model, "metadata": {**model["metadata"], **metadata}}

    clients._client.cache_clear()
    with mock.patch.object(Loader, "load_service_model", changed):
        sent = Sent(clients.client("dynamodb"))
    yield sent
    clients._client.cache_clear()


ROWS: Final[list[Any]] = [{"pk": {"S": "a"}, "data": {"B": b"\x00\x01"}}, {"pk": {"S": "ü"}, "n": {"N": "1"}}]
PUTS: Final[Any] = {"deliveries": [{"PutRequest": {"Item": row}} for row in ROWS]}
KEYS: Final[Any] = {"deliveries": {"Keys": ROWS, "ConsistentRead": True}}


def test_the_bodies_of_json_are_ours(ours: Sent, theirs: Sent) -> None:
    """With the protocol that we know, we write the bodies: they hold the same, without botocore's white space."""
    for operation, requests in (("batch_write_item", PUTS), ("batch_get_item", KEYS)):
        for sent in (ours, theirs):
            sent.answer = {}
            getattr(sent.client, operation)(RequestItems=requests)

        assert ours.body == theirs.body
        assert b": " in theirs.raw
        assert b": " not in ours.raw


def test_another_version_of_json_is_left_to_botocore(theirs: Sent) -> None:
    """We know JSON 1.0. Of any other version, botocore writes the bodies, and rows arrive the same."""
    with speaking(jsonVersion="1.1") as sent:
        for operation, requests in (("batch_write_item", PUTS), ("batch_get_item", KEYS)):
            sent.answer = theirs.answer = {}
            getattr(sent.client, operation)(RequestItems=requests)
            getattr(theirs.client, operation)(RequestItems=requests)

            assert sent.headers["content-type"] == "application/x-amz-json-1.1"
            assert sent.raw == theirs.raw


@pytest.mark.skipif(
    not hasattr(parsers, "RpcV2CBORParser"), reason="this botocore has no CBOR, so it cannot choose it"
)
def test_cbor_is_left_to_botocore() -> None:
    """When botocore chooses CBOR, it writes the bodies, and rows arrive the same."""
    with speaking(protocol="smithy-rpc-v2-cbor", protocols=["smithy-rpc-v2-cbor"]) as sent:
        sent.answer = b"\xa1\x70UnprocessedItems\xa0"
        batches.put(sent.client, "deliveries", ROWS)

        assert sent.headers["smithy-protocol"] == "rpc-v2-cbor"
        parser: Any = parsers.RpcV2CBORParser()
        assert parser.parse_data_item(BufferedReader(BytesIO(sent.raw))) == {"RequestItems": PUTS}


def test_a_botocore_that_knows_one_protocol_is_understood() -> None:
    """Before botocore 1.37, a model has no `resolved_protocol`, and the one in its metadata is used."""
    metadata = {"protocol": "json", "jsonVersion": "1.0"}

    assert clients._speaks_json(SimpleNamespace(metadata=metadata))
    assert not clients._speaks_json(SimpleNamespace(metadata={**metadata, "protocol": "query"}))
    assert not clients._speaks_json(
        SimpleNamespace(metadata=metadata, resolved_protocol="smithy-rpc-v2-cbor")
    )
    assert not clients._speaks_json(SimpleNamespace(metadata={}))


# ---- failures


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
