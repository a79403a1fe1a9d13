"""df3d's own parts keep the contracts that it asks of strangers."""

from __future__ import annotations

import pytest

from df3d.plugin.catalog import Catalog
from df3d.plugin.records import Component, Workload
from df3d.scene.options import OrbitConfig
from df3d.testing.check import check

OWN = next(plugin for plugin in Catalog.discover().plugins if plugin.name == "df3d").components


@pytest.mark.parametrize("part", OWN, ids=lambda part: f"{part.kind} {part.name}")
def test_a_part_of_its_own_keeps_its_contract(part: Component) -> None:
    rows = list(check(part))
    assert not [row for row in rows if row["state"] == "failed"]
    assert sum(row["state"] == "ok" for row in rows) >= 5


def test_a_penalty_needs_what_it_looks_at_and_no_more() -> None:
    """A renderer that does not put something out cannot have it."""
    assert {part.name: part.needs for part in OWN if part.kind == "penalty"} == {  # type: ignore[attr-defined]
        "opacity": {"opacity"},
        "entropy": {"opacity"},
        "orientation": {"normal", "samples"},
        **{name: {"mesh"} for name in ("normal_consistency", "laplacian", "edge_length", "eikonal")},
    }


def test_the_usual_cameras_make_groups_and_say_what_is_drawn(catalog: Catalog) -> None:
    orbit = catalog.cameras.get("orbit")
    assert orbit.groups
    assert orbit.ask("workload", OrbitConfig(views=3, size=50)) == Workload(3, 50)


def test_only_slurm_has_to_look_whether_it_can_work(catalog: Catalog) -> None:
    assert {launcher.name: bool(launcher.ready) for launcher in catalog.launchers if launcher in OWN} == {
        "local": False, "slurm": True, "print": False,
    }  # fmt: skip


def test_each_part_says_what_it_needs_and_what_it_can(catalog: Catalog) -> None:
    needs = {plugin.name: plugin.needs for plugin in catalog.penalties if plugin in OWN}
    assert needs == {
        "opacity": {"opacity"}, "entropy": {"opacity"}, "orientation": {"normal", "samples"}, "normal_consistency": {"mesh"},
        "laplacian": {"mesh"}, "edge_length": {"mesh"}, "eikonal": {"mesh"},
    }  # fmt: skip
    orbit = catalog.cameras.get("orbit")
    assert orbit.groups
    assert orbit.ask("workload", OrbitConfig(views=3, size=32)) == Workload(3, 32)
    assert catalog.launchers.get("slurm").ready
    assert not catalog.launchers.get("local").ready
