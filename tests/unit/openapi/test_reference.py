"""The page at `/docs`: what is committed is what the description says, and nothing on it leads astray."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

import pytest

from infra import openapi, reference

API: Final = openapi.document()
OPERATIONS: Final = [
    operation["operationId"]
    for item in (*API["paths"].values(), *API["webhooks"].values())
    for operation in item.values()
]
VOID: Final = {"meta"}


class Page(HTMLParser):
    """What a browser would make of a page: its places, its links, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.add(tag)
        self.places += [found["id"] or ""] if "id" in found else []
        self.links += [found["href"] or ""] if "href" in found else []
        assert found.keys() <= {"id", "href", "class", "lang", "charset", "name", "content", "aria-label"}
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(reference.render())


def test_the_page_is_up_to_date() -> None:
    """The committed page is what `make openapi` writes."""
    assert reference.TARGET.read_text("utf-8") == reference.render()


def test_every_operation_and_every_shape_has_its_place(page: Page) -> None:
    """Nothing of the description is left out, and each place is there once."""
    shapes = [f"shape-{name}" for name in API["components"]["schemas"]]
    assert sorted(page.places) == sorted([*OPERATIONS, *shapes, "received", "shapes"])


def test_every_link_leads_somewhere(page: Page) -> None:
    """A link leads to a place on the page, or to the description beside it, whatever the API's address is."""
    assert {link for link in page.links if not link.startswith("#")} == {"openapi.json"}
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.places)


def test_nothing_runs_and_nothing_is_fetched(page: Page) -> None:
    """The page needs no script, image, font or sheet, so its content policy can forbid them all."""
    assert page.tags.isdisjoint({"script", "img", "link", "iframe", "object", "form"})
    assert "url(" not in reference.render()
    assert "@import" not in reference.render()


def test_text_of_the_description_is_text_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Angle brackets in a description are shown and never become markup."""
    told = openapi.document()
    told["info"]["description"] = "<script>alert(1)</script> & more"
    monkeypatch.setattr(reference, "document", lambda: told)
    page = Page(reference.render())
    assert "script" not in page.tags
    assert "<script>alert(1)</script> & more" in page.text
