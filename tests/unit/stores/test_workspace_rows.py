"""The kinds of rows that a purge knows are all kinds that there are."""

from __future__ import annotations

import re
from typing import Final

from posthorn.stores.purges import PREFIX
from posthorn.stores.workspace_rows import KINDS, NOT_REMOVED
from tests.template import ROOT

# How a row of the table of docs/architecture.md names its partition, and how a purge finds it there.
FOUND: Final = {
    "channel": "the partition of the workspace or of one of its configuration sets",
    "workspace": "the partition of the workspace",
    "workspace, or `platform`": "as above; the types of the platform belong to no workspace",
    "workspace, or `platform#<2 digits of the hash>`": "as above; the platform's own keys belong to no workspace",
    "`key#<key id>`": "by the index `keys`",
    "endpoint id": "by the endpoints of each channel, deleted ones included",
    "`workspace-uid#<uid>`": "by the uid in the job",
}
NOT_FOUND: Final = {f"`{PREFIX}<workspace>`", "`system`"}  # their sort keys are in NOT_REMOVED


def documented() -> list[tuple[str, str]]:
    """Return partition and sort key of each kind of row in the ConfigTable, as the architecture shows them."""
    text = ROOT.joinpath("docs/architecture.md").read_text("utf-8")
    table = text.partition("**ConfigTable** has")[2].partition("\n\nIts index")[0]
    rows = [line.split("|")[2:4] for line in table.splitlines() if "functions/posthorn/stores/" in line]
    return [(partition.strip(), sort_key.strip().strip("`")) for partition, sort_key in rows]


def test_a_purge_knows_every_kind_of_row() -> None:
    """A new kind of row needs a place in the purge's list: it may be elsewhere, or have resources outside the tables."""
    starts = {re.sub(r"<.*", "", sort_key) for _, sort_key in documented()}
    assert len(starts) > 10
    assert starts == KINDS.keys() | NOT_REMOVED.keys()


def test_a_purge_finds_every_partition() -> None:
    """A kind of row in a partition of another kind needs a way to be found without a scan."""
    kept = {partition for partition, sort_key in documented() if sort_key in NOT_REMOVED}
    assert {partition for partition, _ in documented()} == FOUND.keys() | NOT_FOUND
    assert kept == NOT_FOUND | {"workspace", "`workspace-uid#<uid>`"}
