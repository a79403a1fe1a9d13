"""Finished meshes as fields: what is drawn of them, in which colours, and how large."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from df3d.errors import PluginError
from df3d.mesh import finished
from df3d.mesh.finished import FinishedField, fitted, fitted_asset
from df3d.mesh.srgb import to_linear, to_srgb
from df3d.plugin.catalog import Catalog
from df3d.testing import a_mesh, some_gaussians
from df3d.types import Material, Mesh, MeshAsset


def painted(**changes: object) -> MeshAsset:
    asset = a_mesh()
    return replace(asset, material=replace(asset.material, **changes))  # type: ignore[arg-type]


def test_what_df3d_makes_itself_is_one_texture() -> None:
    mesh = FinishedField(a_mesh()).surface()
    assert mesh.texture is not None
    assert mesh.texture.dtype == torch.float32
    assert (mesh.materials, mesh.material, mesh.colors) == ((), None, None)
    assert mesh.two_sided


@pytest.mark.parametrize(
    "asset",
    [
        painted(opacity=np.ones((8, 8), np.float32)),
        painted(two_sided=False),
        painted(nearest=True),
        replace(a_mesh(), others=(Material(np.zeros((2, 2, 3), np.float32)),)),
        replace(a_mesh(), mesh=replace(a_mesh().mesh, uvs=None)),
        replace(a_mesh(), mesh=replace(a_mesh().mesh, colors=np.ones((4, 3), np.float32))),
        replace(painted(wrap=("clamp", "repeat")), mesh=replace(a_mesh().mesh, uvs=np.full((4, 2), 1.5, np.float32))),
        replace(painted(wrap=("repeat", "mirror")), mesh=replace(a_mesh().mesh, uvs=np.full((4, 2), -0.5, np.float32))),
    ],
    ids=["see-through", "one-sided", "squares", "two materials", "no texture", "colours", "past the end", "before the start"],
)
def test_anything_more_is_painted_by_its_materials(asset: MeshAsset) -> None:
    mesh = FinishedField(asset).surface()
    assert mesh.texture is None
    assert len(mesh.materials) == len(asset.materials)
    assert mesh.material is not None
    assert mesh.material.tolist() == [0, 0, 0, 0]
    for made, told in zip(mesh.materials, asset.materials, strict=True):
        assert (made.wrap, made.cutoff, made.two_sided, made.nearest) == (told.wrap, told.cutoff, told.two_sided, told.nearest)


def test_a_texture_that_never_ends_is_simple_wherever_it_is_read() -> None:
    far = replace(a_mesh(), mesh=replace(a_mesh().mesh, uvs=np.full((4, 2), 7.5, np.float32)))
    assert FinishedField(far).surface().texture is not None
    edge = replace(painted(wrap=("clamp", "mirror")), mesh=replace(a_mesh().mesh, uvs=np.float32([[0, 0], [1, 1], [0, 1], [1, 0]])))
    assert FinishedField(edge).surface().texture is not None


def test_a_material_keeps_its_opacity_its_cutoff_and_its_faces() -> None:
    opacity = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    asset = replace(
        painted(opacity=opacity, cutoff=0.25, wrap=("clamp", "mirror")), others=(Material(np.zeros((2, 2, 3), np.uint8)),)
    )
    asset = replace(asset, mesh=replace(asset.mesh, materials=np.array([0, 1, 0, 1])))
    mesh = FinishedField(asset).surface()
    first, second = mesh.materials
    assert first.texture.shape == (8, 8, 4)
    np.testing.assert_array_equal(first.texture[..., 3].numpy(), opacity)
    assert (first.cutoff, second.cutoff) == (0.25, None)
    assert (first.wrap, second.wrap) == (("clamp", "mirror"), ("repeat", "repeat"))
    assert mesh.material is not None
    assert mesh.material.tolist() == [0, 1, 0, 1]


def test_colours_of_vertices_are_in_linear_light_and_their_opacity_as_it_is() -> None:
    colors = np.tile(np.float32([0.5, 0.02, 1.0, 0.5]), (4, 1))
    mesh = FinishedField(replace(a_mesh(), mesh=replace(a_mesh().mesh, colors=colors))).surface()
    assert mesh.colors is not None
    np.testing.assert_allclose(mesh.colors[0].numpy(), [0.21404, 0.02 / 12.92, 1.0, 0.5], atol=1e-5)


def test_srgb_is_that_of_the_standard() -> None:
    """IEC 61966-2-1, at both of its pieces: 0.5 is 0.2140 of light, 0.04 is 0.04 / 12.92."""
    srgb, light = np.array([0.0, 0.04, 0.2, 0.5, 1.0]), np.array([0.0, 0.0030960, 0.0331048, 0.2140411, 1.0])
    np.testing.assert_allclose(to_linear(srgb), light, atol=1e-7)
    np.testing.assert_allclose(to_srgb(light), srgb, atol=1e-6)
    np.testing.assert_allclose(to_srgb(np.array([0.002])), [0.02584], atol=1e-7)


def test_textures_of_either_type_become_the_other() -> None:
    np.testing.assert_array_equal(finished.as_floats(np.uint8([0, 51, 255])), np.float32([0.0, 0.2, 1.0]))
    np.testing.assert_array_equal(finished.as_floats(np.float32([0.0, 0.2, 1.0])), np.float32([0.0, 0.2, 1.0]))
    assert finished.as_bytes(np.float32([-0.5, 0.0, 0.2, 0.499, 0.9999, 1.5])).tolist() == [0, 0, 51, 127, 255, 255]
    assert finished.as_bytes(np.uint8([0, 7, 255])).tolist() == [0, 7, 255]


def test_without_colour_all_is_white() -> None:
    asset = replace(a_mesh(), mesh=replace(a_mesh().mesh, colors=np.zeros((4, 3), np.float32)))
    mesh = FinishedField(asset, textureless=True).surface()
    assert mesh.colors is not None
    assert torch.equal(mesh.colors, torch.ones(4, 3))
    assert mesh.texture is None
    assert mesh.two_sided


def test_a_mesh_is_fitted_by_the_vertices_that_its_faces_have() -> None:
    """The middle of its box at the origin, whatever lies where no face is; the farthest corner at 0.85."""
    vertices = np.float32([[0, 0, 0], [2, 0, 0], [0, 4, 0], [2, 4, 0], [2, 4, 0], [50, 50, 50]])
    mesh = fitted(Mesh(vertices, np.array([[0, 1, 2], [1, 3, 2], [1, 4, 2]])))
    scale = 0.85 / np.sqrt(5)
    np.testing.assert_allclose(mesh.vertices[:4], np.float32([[-1, -2, 0], [1, -2, 0], [-1, 2, 0], [1, 2, 0]]) * scale, atol=1e-6)
    point = fitted(Mesh(np.full((3, 3), 7, np.float32), np.array([[0, 1, 2]])))
    assert not point.vertices.any()
    cloud = some_gaussians()
    assert fitted_asset(cloud) is cloud


def test_a_renderer_takes_of_the_options_what_it_has(catalog: Catalog) -> None:
    field, _ = finished.drawable(a_mesh(), catalog, {"background_color": [0, 0, 0], "no such option": 1}, device="cpu")
    assert isinstance(field, FinishedField)


def test_what_nothing_draws_or_starts_from_is_said_with_a_way_to_look(catalog: Catalog) -> None:
    class Voxels(type(some_gaussians())):  # type: ignore[misc]
        kind = "voxels"

    other = Voxels(some_gaussians().gaussians)
    with pytest.raises(PluginError, match="no plugin draws voxels") as error:
        finished.drawable(other, catalog, {}, device="cpu")
    assert "df3d plugins" in error.value.hint
    with pytest.raises(PluginError, match="no field can start from voxels") as error:
        finished.field_of(other, catalog, frozenset(), device="cpu")
    assert "df3d plugins" in error.value.hint


def test_what_is_no_mesh_becomes_the_first_field_that_starts_from_it_and_can_do_what_is_needed() -> None:
    def field(name: str, starts_from: set[str], provides: set[str]) -> Any:
        def build(config: object, *, device: str, start_from: object) -> Any:
            return (name, device, start_from)

        return SimpleNamespace(starts_from=starts_from, provides=provides, config=dict, build=build)

    cloud = some_gaussians()
    parts = [
        field("meshes", {"mesh"}, {"splats"}),
        field("plain", {"gaussians"}, set()),
        field("able", {"gaussians"}, {"splats", "x"}),
    ]
    catalog: Any = SimpleNamespace(fields=parts)
    assert finished.field_of(cloud, catalog, frozenset({"splats"}), device="cpu") == ("able", "cpu", cloud)
    assert finished.field_of(cloud, catalog, frozenset(), device="cpu") == ("plain", "cpu", cloud)
    with pytest.raises(PluginError, match="no field can start from gaussians"):
        finished.field_of(cloud, catalog, frozenset({"volume"}), device="cpu")
