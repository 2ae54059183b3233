"""The cost model's figures for API responses, compared with real responses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from posthorn_cli.cost.answers import HEAD, answer_bytes, body_bytes
from tests.gateway import event_of

if TYPE_CHECKING:
    from tests.installation import Installation


def _answer(posthorn: Installation, published: int) -> dict[str, Any]:
    one = {"event": "CONTACT_CREATED", "data": {"n": 1}}
    body = one if published == 1 else {"events": [one] * published}
    headers = {"authorization": f"Bearer {posthorn.key}"}
    return posthorn.resolve(event_of("POST", "/v1/events", "", headers, json.dumps(body).encode()))


@pytest.mark.parametrize("published", [1, 2, 10, 100])
def test_an_answer_to_a_publish_is_as_long_as_the_model_says(posthorn: Installation, published: int) -> None:
    """One event is answered with an object, a batch with a list, and the model knows both lengths."""
    answer = _answer(posthorn, published)

    assert answer["statusCode"] == 202
    assert len(answer["body"].encode()) == body_bytes(published)


def test_our_own_headers_are_among_those_that_the_model_counts(posthorn: Installation) -> None:
    """The function adds three headers; API Gateway adds the others and the status line."""
    answer = _answer(posthorn, 10)

    status, *headers = (line.lower() for line in HEAD)
    assert status.split()[1] == str(answer["statusCode"])
    assert {f"{name}: {value}".lower() for name, value in answer["headers"].items()} == set(headers[1:4])
    assert f"content-length: {len(answer['body'])}" == headers[4]


def test_a_larger_answer_costs_the_extra_bytes(posthorn: Installation) -> None:
    """Ten events cost only the extra body; everything around it is the same."""
    assert len(_answer(posthorn, 10)["body"]) - len(_answer(posthorn, 1)["body"]) == (
        answer_bytes(10) - answer_bytes(1)
    )
    assert 0 < answer_bytes(1) - body_bytes(1) < body_bytes(10)
