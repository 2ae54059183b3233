"""An API client, as a customer would write it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field, replace
from typing import Any, Self

from posthorn.api.access import HEADER


class UnexpectedAnswer(Exception):
    """The API's answer differs from what the demo expects."""


@dataclass(frozen=True, slots=True)
class Api:
    """The API of a running stack."""

    url: str
    key: str = field(repr=False)
    workspace: str = ""  # that a platform key acts on

    def in_workspace(self, name: str) -> Self:
        """Return the API as it is in the workspace with this id or uid."""
        return replace(self, workspace=name)

    def call(self, method: str, path: str, body: Any = None, *, expect: int) -> Any:
        """Call the API and return the answer's content."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "authorization": f"Bearer {self.key}",
                "content-type": "application/json",
                **({HEADER: self.workspace} if self.workspace else {}),
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, content = answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            status, content = error.code, json.load(error)
        if status != expect:
            raise UnexpectedAnswer(f"{method} {path} answered {status}, not {expect}: {content}")
        return content
