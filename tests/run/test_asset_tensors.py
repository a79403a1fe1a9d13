"""What a source made, taken apart and put together again."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import pytest

from df3d.run.asset_tensors import asset_from, asset_tensors
from df3d.testing import a_mesh, some_gaussians
from df3d.types import Asset, GaussiansAsset, MeshAsset


def test_a_mesh_comes_back_with_its_material_and_where_it_is_from() -> None:
    asset = a_mesh()
    asset = replace(asset, material=replace(asset.material, roughness=0.25, unlit=True), provenance={"prompt": "é", "seed": 3})
    again = asset_from(*(asset_tensors(asset) or ({}, {})))
    assert isinstance(again, MeshAsset)
    for part in ("mesh", "material"):
        for field in fields(getattr(asset, part)):
            old, new = (getattr(getattr(one, part), field.name) for one in (asset, again))
            assert np.array_equal(old, new) if isinstance(old, np.ndarray) else old == new
    assert again.provenance == asset.provenance


def test_gaussians_come_back() -> None:
    asset = some_gaussians()
    again = asset_from(*(asset_tensors(asset) or ({}, {})))
    assert isinstance(again, GaussiansAsset)
    assert all(np.array_equal(getattr(asset.gaussians, f.name), getattr(again.gaussians, f.name)) for f in fields(asset.gaussians))


def test_a_kind_of_its_own_is_made_again() -> None:
    @dataclass(frozen=True)
    class Voxels(Asset):
        kind = "voxels"

    assert asset_tensors(Voxels()) is None


def test_what_is_no_asset_is_refused() -> None:
    tensors, metadata = asset_tensors(a_mesh()) or ({}, {})
    faces, vertices = tensors["mesh.faces"], tensors["mesh.vertices"]
    for wrong in (
        {},
        {**tensors, "mesh.nonsense": faces},
        {**tensors, "other.x": faces},
        {**tensors, "mesh.faces": faces + len(vertices)},
        {**tensors, "mesh.faces": -faces},
        {**tensors, "mesh.faces": faces.float()},
        {**tensors, "mesh.vertices": vertices[:3]},
        {**tensors, "mesh.vertices": vertices * float("nan")},
        {**tensors, "material.base_color": tensors["material.base_color"][0]},
        {**tensors, "material.base_color": tensors["material.base_color"] + 7},
    ):
        with pytest.raises(ValueError, match="`"):
            asset_from(wrong, metadata)
    for key, text in (("kind", "voxels"), ("provenance", "[]"), ("material", '{"roughness": 1e9}'), ("material", '{"unlit": 1}')):
        with pytest.raises(ValueError, match="`"):
            asset_from(tensors, {**metadata, key: text})


def test_what_several_tensors_cannot_hold_is_made_again() -> None:
    asset = a_mesh()
    assert asset_tensors(replace(asset, others=(asset.material,))) is None
    assert asset_tensors(replace(asset, material=replace(asset.material, opacity=np.ones((8, 8), np.float32)))) is None


def test_a_texture_in_bytes_and_all_numbers_of_a_material_come_back() -> None:
    asset = a_mesh()
    material = replace(asset.material, base_color=np.full((8, 8, 3), 51, np.uint8), metallic=0.75, roughness=0.125)
    again = asset_from(*(asset_tensors(replace(asset, material=material)) or ({}, {})))
    assert isinstance(again, MeshAsset)
    assert (again.material.metallic, again.material.roughness, again.material.unlit) == (0.75, 0.125, False)
    np.testing.assert_allclose(again.material.base_color, 0.2, atol=1e-7)


def test_numbers_at_their_limits_are_taken_and_beyond_them_refused() -> None:
    tensors, metadata = asset_tensors(a_mesh()) or ({}, {})
    cloud, told = asset_tensors(some_gaussians()) or ({}, {})
    vertices, opacities, scales = tensors["mesh.vertices"], cloud["gaussians.opacities"], cloud["gaussians.scales"]
    asset_from({**tensors, "mesh.vertices": vertices * 1e6}, metadata)
    asset_from(tensors, {**metadata, "material": '{"roughness": 1, "metallic": 0}'})
    asset_from({**cloud, "gaussians.opacities": opacities * 0 + 1, "gaussians.scales": scales * 0}, told)
    for wrong, says in (
        ({**tensors, "mesh.vertices": vertices * 1.1e6}, metadata),
        (tensors, {**metadata, "material": '{"roughness": 1.1}'}),
        (tensors, {**metadata, "material": '{"metallic": -0.1}'}),
        (tensors, {**metadata, "material": "[]"}),
        ({**cloud, "gaussians.opacities": opacities + 1}, told),
        ({**cloud, "gaussians.opacities": opacities - 1}, told),
        ({**cloud, "gaussians.scales": -scales}, told),
        ({**cloud, "gaussians.rotations": cloud["gaussians.rotations"][:-1]}, told),
    ):
        with pytest.raises(ValueError, match="`"):
            asset_from(wrong, says)
