"""What the documents say about the repository: every path, link and decision that they name exists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.template import ROOT
from tests.unit.test_imports import LAYERS

if TYPE_CHECKING:
    from pathlib import Path

DECISIONS: Final = sorted(ROOT.glob("infra/decisions/*.md"))
DOCUMENTS: Final = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), *DECISIONS]
EACH_DOCUMENT: Final = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT))
)
QUESTIONS: Final = 27
LINES: Final = 250

# A path begins with a folder of the root, or is a Python module, which has to be written from the root.
_PATH: Final = re.compile(
    r"(?<![\w/.-])(?:(?:functions|infra|tests|docs|\.github|\.ci)/[\w./-]*\w/?|(?!__init__)[\w.-]+(?:/[\w.-]+)*\.py\b)"
)
_LINK: Final = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
_ELSEWHERE: Final = re.compile(r"design\.md|security\.md|house\.md|\bthe design\b|\bissue \d+|shared/")
_ROW: Final = re.compile(r"^\| (.+\?) \| `(.+)` \|$", re.MULTILINE)


def named_paths(text: str) -> set[str]:
    """Return every path of the repository that a document names, in prose or in code."""
    return set(_PATH.findall(re.sub(r"https?://\S+", "", text)))


def anchors(text: str) -> set[str]:
    """Return what GitHub makes of a document's headings, for links to them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _place(path: str) -> str:
    """Return a path below functions/posthorn as the table of layers names it: `api/routes/` -> `api.routes`."""
    return path.removesuffix("/").removesuffix(".py").replace("/", ".")


def section(text: str, heading: str) -> str:
    """Return a second-level section of a document."""
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


@EACH_DOCUMENT
def test_every_path_that_a_document_names_exists(document: Path) -> None:
    """A file that moves takes its mentions with it; Python modules are named from the root."""
    paths = named_paths(document.read_text("utf-8"))

    assert {path for path in paths if not (ROOT / path).exists()} == set()


@EACH_DOCUMENT
def test_every_link_leads_somewhere(document: Path) -> None:
    """The target of a relative link exists, and so does the heading that it names."""
    for target, anchor in _LINK.findall(document.read_text("utf-8")):
        path = document.parent / target if target else document
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path.read_text("utf-8")), (target, anchor)


@EACH_DOCUMENT
def test_no_document_cites_what_is_not_in_the_repository(document: Path) -> None:
    """A reader finds everything that a document refers to."""
    assert _ELSEWHERE.findall(document.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "see `transport/http.py`",
        "see dispatch.py",
        "tests/unit/test_nothing.py says so",
        "in `infra/nowhere/`",
    ],
)
def test_a_path_that_does_not_exist_is_noticed(text: str) -> None:
    """Paths are found in code and in prose, with and without a folder, so the test above can fail."""
    assert [path for path in named_paths(text) if not (ROOT / path).exists()] != []


@pytest.mark.parametrize("text", ["design.md says so", "the design asks for it", "see issue 12"])
def test_a_citation_of_something_elsewhere_is_noticed(text: str) -> None:
    """Each way to cite what is not here is found."""
    assert _ELSEWHERE.search(text)


def test_the_architecture_answers_its_questions() -> None:
    """Each everyday question has a file that exists and is short enough to read."""
    text = ROOT.joinpath("docs/architecture.md").read_text("utf-8")
    answers = _ROW.findall(section(text, "Where each behavior lives"))

    assert len({question for question, _ in answers}) == len(answers) == QUESTIONS
    for question, path in answers:
        assert path.startswith("functions/"), question
        assert len(ROOT.joinpath(path).read_text("utf-8").splitlines()) <= LINES, path


def test_the_architecture_shows_the_layers_that_imports_keep() -> None:
    """The list is the table that test_imports.py enforces, from the top down."""
    layers = section(ROOT.joinpath("docs/architecture.md").read_text("utf-8"), "Layers")
    lines = re.findall(r"^\d+\. (.+)$", layers, re.MULTILINE)
    shown = [{_place(path) for path in re.findall(r"`functions/posthorn/([^`]+)`", line)} for line in lines]

    assert shown == [set(names) for names in LAYERS]


def test_the_architecture_names_every_index_and_row_of_the_tables() -> None:
    """The prefixes of sort keys are those that the stores write."""
    tables = section(ROOT.joinpath("docs/architecture.md").read_text("utf-8"), "Tables")
    stores = "".join(path.read_text("utf-8") for path in ROOT.glob("functions/posthorn/stores/*.py"))

    written = set(re.findall(r'"([a-z_-]+#)', stores)) | set(re.findall(r'f"([a-z_-]+#)\{', stores))
    assert len(written) >= 7
    assert {prefix for prefix in written if f"`{prefix}" not in tables} == set()


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda decision: decision.stem[:4])
def test_a_decision_has_its_form(decision: Path) -> None:
    """Number and title, then the context, the choice, and whether it can be undone."""
    text = decision.read_text("utf-8")

    assert text.startswith(f"# {decision.name[:4]} ")
    assert "**Context.**" in text
    assert "**Undo.**" in text


def test_decisions_are_numbered_without_a_gap() -> None:
    """A number names one decision."""
    numbers = [int(decision.name[:4]) for decision in DECISIONS]
    assert numbers == list(range(1, len(DECISIONS) + 1))


@EACH_DOCUMENT
def test_every_decision_that_is_cited_exists(document: Path) -> None:
    """`(0021)` and `decision 0021` are decisions that can be read."""
    known = {decision.name[:4] for decision in DECISIONS}
    assert set(re.findall(r"\b00\d\d\b", document.read_text("utf-8"))) <= known
