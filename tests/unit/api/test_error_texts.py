"""Error details say what must be true: "Must be a string.", never "This is a string."."""

from __future__ import annotations

import ast

import pytest

from posthorn.api import bodies
from posthorn.api.problems import FieldError, Problem, invalid
from tests.error_texts import banned_details, banned_texts
from tests.modules import Module, modules


@pytest.mark.parametrize("module", modules().values(), ids=lambda module: module.name)
def test_no_text_that_could_be_a_detail_states_what_was_refused(module: Module) -> None:
    """No text in the source of any function begins like the description of what it refuses."""
    assert banned_texts(module.tree) == []


@pytest.mark.parametrize(
    "source",
    [
        'raise invalid([FieldError("/a", "This is a string.")])',
        'def f(n):\n    raise Problem(400, "code", f"This has at most {n} entries.")',
        'TABLE = {"string_type": "This holds text."}',
        'def f():\n    detail = "This may have 5 MB."\n    raise too_large(detail)',
    ],
)
def test_a_detail_is_found_wherever_it_is_written(source: str) -> None:
    """A literal is found in a call, in an f-string, in a table and in a variable."""
    assert len(banned_texts(ast.parse(source))) == 1


def test_a_docstring_may_begin_as_it_likes() -> None:
    """Only texts that a caller can read are looked at."""
    assert banned_texts(ast.parse('def f():\n    """This is a docstring."""')) == []


@pytest.mark.parametrize(
    "problem",
    [
        Problem(400, "invalid_json", "This is not JSON."),
        invalid([FieldError("/a", "Must be a string."), FieldError("/b", "This has at most 5 entries.")]),
    ],
)
def test_a_detail_is_found_in_an_answer(problem: Problem) -> None:
    """The details of a problem and of each of its errors are looked at."""
    assert len(banned_details(problem.document())) == 1


@pytest.mark.parametrize("complaint", bodies._COMPLAINTS.values())
def test_a_complaint_about_a_field_is_a_sentence(complaint: str) -> None:
    """Each begins with a capital and ends with a period."""
    assert complaint[0].isupper()
    assert complaint[-1] == "."
