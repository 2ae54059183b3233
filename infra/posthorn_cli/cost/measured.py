"""CPU milliseconds measured by the benchmark, for the costs that depend on time."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Final

MEASURED: Final = Path(__file__).parent / "measured.json"


@lru_cache(maxsize=1)
def committed() -> dict[str, float]:
    """Return the figures of the last `make bench`; `date` is a number such as 20261121."""
    found = json.loads(MEASURED.read_text("utf-8"))
    return {**found, "date": float(found["date"].replace("-", ""))}
