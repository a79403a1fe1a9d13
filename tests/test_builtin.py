"""df3d's own parts keep the contracts that it asks of strangers."""

from __future__ import annotations

import pytest

from df3d.plugin.catalog import Catalog
from df3d.plugin.records import Component
from df3d.testing.check import check

OWN = next(plugin for plugin in Catalog.discover().plugins if plugin.name == "df3d").components


@pytest.mark.parametrize("part", OWN, ids=lambda part: f"{part.kind} {part.name}")
def test_a_part_of_its_own_keeps_its_contract(part: Component) -> None:
    rows = list(check(part))
    assert not [row for row in rows if row["state"] == "failed"]
    assert sum(row["state"] == "ok" for row in rows) >= 5
