"""Where an exported mesh lies, how large it is, and what viewers are told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fields import Ball

from df3d import NoConfig
from df3d.errors import ExportError, PluginError
from df3d.events import Event, Exporting
from df3d.mesh import texture
from df3d.mesh.assemble import assemble, export, oriented
from df3d.mesh.options import ExportConfig
from df3d.testing import a_mesh, some_gaussians
from df3d.types import Asset, GaussiansAsset, Mesh, MeshAsset, SurfaceMesh

SMALL: dict[str, Any] = {"resolution": 24, "texture_size": 32, "faces": 200}


def slab() -> Mesh:
    corners = np.array([[x, y, z] for x in (0, 4) for y in (1, 2) for z in (0, 2)], np.float32)
    return Mesh(corners, np.array([[0, 1, 2]]), normals=np.tile(np.float32([0, 1, 0]), (8, 1)))


def box_of(mesh: Mesh) -> list[list[float]]:
    return [mesh.vertices.min(0).tolist(), mesh.vertices.max(0).tolist()]


def test_nothing_moves_by_default() -> None:
    assert box_of(oriented(slab(), ExportConfig())) == [[0, 1, 0], [4, 2, 2]]


def test_it_stands_on_the_ground_or_around_the_origin_as_large_as_asked() -> None:
    assert box_of(oriented(slab(), ExportConfig(origin="base", scale=2.0))) == [[-1, 0, -0.5], [1, 0.5, 0.5]]
    assert box_of(oriented(slab(), ExportConfig(origin="centre"))) == [[-2, -0.5, -1], [2, 0.5, 1]]


def test_up_is_z_and_the_front_looks_along_minus_y() -> None:
    turned = oriented(slab(), ExportConfig(up="z"))
    assert box_of(turned) == [[0, -2, 1], [4, 0, 2]]
    assert turned.normals is not None
    assert turned.normals[0].tolist() == [0, 0, 1]
    a, b, c = turned.vertices[:3]
    d, e, f = slab().vertices[:3]
    x, y, z = np.cross(e - d, f - d)
    assert np.allclose(np.cross(b - a, c - a), (x, -z, y))  # faces still look outwards


def test_normals_and_tangents_turn_with_the_mesh_and_its_mirrored_side_stays() -> None:
    """(x, y, z) becomes (x, -z, y), directions as places."""
    tangents = np.tile(np.float32([0, 0, 1, -1]), (8, 1))
    turned = oriented(replace(slab(), tangents=tangents), ExportConfig(up="z", scale=2.0))
    assert turned.tangents is not None
    assert turned.tangents[0].tolist() == [0, -1, 0, -1]
    assert turned.normals is not None
    assert turned.normals.dtype == turned.tangents.dtype == turned.vertices.dtype == np.float32
    plain = oriented(replace(slab(), normals=None), ExportConfig(up="z"))
    assert (plain.normals, plain.tangents) == (None, None)


class Paper:
    """An exporter that keeps what it is given."""

    name, config = "paper", NoConfig

    def __init__(self, *takes: str) -> None:
        self.takes = frozenset(takes)
        self.asset: Asset | None = None

    def build(self, config: object) -> Paper:
        return self

    def write(self, asset: Asset, path: Path) -> list[Path]:
        self.asset = asset
        return [path, path.with_suffix(".more")]


def written(made: Any, *takes: str, provenance: dict[str, Any] | None = None, **options: Any) -> tuple[Any, list[str]]:
    """What an exporter is given, and what is said meanwhile."""
    paper, told = Paper(*takes), list[Event]()

    def story() -> Iterator[Event]:
        given = (made, ExportConfig(**options), paper, Path("a.x"))
        files = yield from export(*given, provenance=provenance or {})  # type: ignore[arg-type]
        assert files == [Path("a.x"), Path("a.more")]

    told.extend(story())
    return paper.asset, [event.what for event in told if isinstance(event, Exporting)]


def test_a_volume_becomes_a_mesh_with_a_texture_in_steps_that_are_told() -> None:
    asset, told = written(Ball(0.5, edge=0.3), "mesh", **SMALL)
    assert told == ["surface", "texture", "paper"]
    assert isinstance(asset, MeshAsset)
    assert asset.material.base_color.shape == (32, 32, 3)
    assert (asset.material.normal, asset.mesh.tangents, asset.material.unlit) == (None, None, False)
    assert asset.mesh.normals is not None
    assert len(asset.mesh.faces) < 300
    assert asset.up == "y"


def test_what_is_asked_of_a_file_is_in_it() -> None:
    asset, _ = written(Ball(0.5), "mesh", **SMALL, unlit=True, up="z", scale=6.0, origin="base")
    assert asset.material.unlit
    assert asset.up == "z"
    assert asset.mesh.vertices[:, 2].min() == pytest.approx(0.0, abs=1e-5)
    assert np.ptp(asset.mesh.vertices, axis=0).max() == pytest.approx(6.0, abs=1e-4)


def test_the_surface_is_where_the_density_is_what_was_asked_for() -> None:
    """From 100 in the middle down to 0 over 0.6 around 0.5: it is 20 at 0.68, and 80 at 0.32."""
    for threshold, radius in ((20.0, 0.68), (80.0, 0.32)):
        asset, _ = written(Ball(0.5, edge=0.6), "mesh", **SMALL, threshold=threshold)
        assert np.linalg.norm(asset.mesh.vertices, axis=1).mean() == pytest.approx(radius, abs=0.02)


class Two(Ball):
    """A large ball and a small one beside it."""

    def density(self, points: torch.Tensor) -> torch.Tensor:
        beside = 100.0 * ((points - torch.tensor([0.75, 0.0, 0.0])).norm(dim=-1) < 0.15)
        return super().density(points) + beside


def test_pieces_are_kept_by_their_share() -> None:
    both, _ = written(Two(0.45), "mesh", **{**SMALL, "faces": 0}, keep=0.0)
    one, _ = written(Two(0.45), "mesh", **{**SMALL, "faces": 0}, keep=0.5)
    assert both.mesh.vertices[:, 0].max() > 0.8
    assert one.mesh.vertices[:, 0].max() < 0.6


def test_a_normal_map_is_that_of_the_mesh_before_it_was_simplified(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    bake = texture.bake_normals

    def baked(mesh: Mesh, detailed: Mesh, *, size: int) -> np.ndarray:
        seen.append((len(mesh.faces), len(detailed.faces)))
        return bake(mesh, detailed, size=size)

    monkeypatch.setattr(texture, "bake_normals", baked)
    asset, _ = written(Ball(0.5, edge=0.3), "mesh", **SMALL, normal_map=True, unlit=True)
    ((coarse, fine),) = seen
    assert coarse < 300 < 1000 < fine
    assert asset.material.normal.shape == (32, 32, 3)
    assert asset.mesh.tangents is not None
    assert asset.material.unlit


class Painted(Ball):
    """A surface with a texture of its own."""

    density = query = None  # type: ignore[assignment]  # no volume

    def surface(self) -> SurfaceMesh:
        mesh = a_mesh().mesh
        assert mesh.uvs is not None
        vertices, faces, uvs = (torch.from_numpy(part) for part in (mesh.vertices, mesh.faces, mesh.uvs))
        return SurfaceMesh(vertices, faces, uvs=uvs, texture=torch.full((8, 8, 3), 0.25))


class Cloud:
    """A field that is an asset of its own kind, and nothing else."""

    def asset(self) -> GaussiansAsset:
        return some_gaussians()

    parameter_groups = before_step = state_dict = load_state_dict = None


class SolidCloud(Ball, Cloud):  # type: ignore[misc]
    """One that can be a mesh as well."""


def test_a_surface_with_a_texture_is_kept_as_it_is() -> None:
    asset, told = written(Painted(), "mesh", unlit=True, faces=3)
    assert told == ["surface", "paper"]
    assert len(asset.mesh.faces) == 4
    assert asset.material.unlit
    np.testing.assert_allclose(asset.material.base_color, 0.25)
    with pytest.raises(ExportError, match="no finer mesh is left") as error:
        written(Painted(), "mesh", normal_map=True)
    assert "normal map" in error.value.hint


def test_a_field_is_its_own_kind_where_that_is_taken_and_a_mesh_elsewhere() -> None:
    assert written(SolidCloud(0.5), "gaussians", "mesh")[0].kind == "gaussians"
    assert written(SolidCloud(0.5), "mesh", **SMALL)[0].kind == "mesh"
    with pytest.raises(PluginError, match="a Cloud has neither volume nor surface"):
        list(assemble(Cloud(), ExportConfig(), frozenset({"mesh"})))  # type: ignore[arg-type]


def test_what_an_exporter_does_not_take_is_not_given_to_it() -> None:
    with pytest.raises(PluginError, match="exporter `paper` takes mesh, volume, and this is gaussians"):
        written(some_gaussians(), "volume", "mesh")


def test_the_run_says_where_an_asset_is_from_and_the_asset_what_the_run_does_not_know() -> None:
    made = replace(a_mesh(), provenance={"prompt": "theirs", "author": "them"})
    asset, _ = written(made, "mesh", provenance={"prompt": "ours", "seed": 3})
    assert asset.provenance == {"prompt": "ours", "author": "them", "seed": 3}
    assert made.provenance == {"prompt": "theirs", "author": "them"}
