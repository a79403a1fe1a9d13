from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from df3d_nvdiffrast.config import RasterConfig, TextureConfig
from df3d_nvdiffrast.renderer import RasterRenderer
from df3d_nvdiffrast.texture_field import TextureField
from fields import Ball

from df3d.errors import ExportError
from df3d.mesh.assemble import export
from df3d.mesh.cleanup import is_closed
from df3d.mesh.files import read
from df3d.mesh.finished import FinishedField
from df3d.mesh.options import ExportConfig
from df3d.mesh.texture import with_padding
from df3d.plugin.catalog import Catalog
from df3d.protocols import Field
from df3d.scene import cameras
from df3d.scene.options import ShadingConfig

SMALL = TextureConfig(size=128, faces=2000, resolution=48, rate=0.2)
ALBEDO = ShadingConfig(lambertian=0.0, textureless=0.0)


def written(field: Field, path: Path, **options: object) -> None:
    exporter = Catalog.discover().exporters.get("glb")
    list(export(field, ExportConfig(**options), exporter, path, provenance={}))


def test_it_looks_like_the_field_it_starts_from() -> None:
    field = TextureField(SMALL, start_from=Ball(0.5, edge=0.01))
    mesh = field.surface()
    assert abs(float(mesh.vertices.norm(dim=-1).mean()) - 0.5) < 0.03
    assert float((field.albedo(mesh.vertices) - (mesh.vertices * 0.5 + 0.5)).detach().abs().mean()) < 0.02


def test_small_parts_are_kept_as_the_option_says() -> None:
    class Two(Ball):
        def density(self, points: torch.Tensor) -> torch.Tensor:
            small = Ball(0.15, edge=0.01).density(points - torch.tensor([0.7, 0.0, 0.0]))
            return torch.maximum(super().density(points), small)

    reach = [
        float(TextureField(dataclasses.replace(SMALL, keep=keep), start_from=Two(0.4, edge=0.01)).vertices[:, 0].max())
        for keep in (0.001, 0.5)
    ]
    assert reach[0] == pytest.approx(0.85, abs=0.05)
    assert reach[1] == pytest.approx(0.4, abs=0.05)


def test_pictures_train_its_texture_and_its_texture_is_what_is_exported(tmp_path: Path) -> None:
    field, renderer = TextureField(SMALL, start_from=Ball(0.5)), RasterRenderer(RasterConfig(shading=ALBEDO))
    wanted = torch.tensor([0.9, 0.2, 0.1])
    views = cameras.orbit(6, size=64)
    optimizer = torch.optim.Adam(field.parameter_groups())
    for _ in range(80):
        seen = renderer.render(field, views)
        loss = (seen.rgb - wanted)[seen.opacity[..., 0] > 0.99].square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 1e-3

    written(field, tmp_path / "ball.glb", texture_size=16, faces=10)
    asset = read(tmp_path / "ball.glb", Catalog.discover())
    assert len(asset.mesh.faces) == len(field.faces)
    assert asset.material.base_color.shape == field.texels.shape
    in_file = renderer.render(FinishedField(asset), views)
    assert float((in_file.rgb - renderer.render(field, views).rgb).detach().abs().mean()) < 0.002
    torch.testing.assert_close(in_file.rgb[in_file.opacity[..., 0] > 0.99].mean(0), wanted, atol=0.02, rtol=0)


def test_its_mesh_is_closed_but_for_the_seams_and_smooth_across_them() -> None:
    mesh, _ = with_padding(TextureField(SMALL, start_from=Ball(0.5)).surface())
    _, first, same = np.unique(mesh.vertices, axis=0, return_index=True, return_inverse=True)
    same = same.reshape(-1)
    assert len(first) < len(mesh.vertices)
    assert is_closed(same[mesh.faces])
    assert mesh.normals is not None
    np.testing.assert_array_equal(mesh.normals, mesh.normals[first][same])


def test_its_state_brings_its_mesh() -> None:
    trained, new = TextureField(SMALL, start_from=Ball(0.7)), TextureField(SMALL)
    assert len(trained.vertices) != len(new.vertices)
    new.load_state_dict(trained.state_dict())
    for part in ("vertices", "faces", "uvs", "texels"):
        assert torch.equal(getattr(new, part), getattr(trained, part))


def test_it_has_no_finer_normals_to_export(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no finer mesh"):
        written(TextureField(SMALL, start_from=Ball(0.5)), tmp_path / "ball.glb", normal_map=True)


def test_black_and_white_can_still_be_learnt() -> None:
    """A logit of 0 or 1 is infinite, and its gradient is none."""

    class Chess(Ball):
        def albedo(self, points: torch.Tensor) -> torch.Tensor:
            return (points[:, :1] > 0).float().expand(-1, 3)

    field = TextureField(SMALL, start_from=Chess(0.5))
    assert torch.isfinite(field.texels).all()
    field.surface().texture.sum().backward()  # type: ignore[union-attr]
    assert field.texels.grad is not None
    assert float(field.texels.grad.min()) > 0


def test_its_options_reach_its_mesh_and_its_texture() -> None:
    small, whole = (
        TextureField(TextureConfig(size=64, faces=faces, resolution=32, rate=0.5), start_from=Ball(0.5)) for faces in (600, 0)
    )
    coarse = TextureField(TextureConfig(size=64, faces=0, resolution=16), start_from=Ball(0.5))
    assert small.texels.shape == (64, 64, 3)
    assert small.parameter_groups()[0]["lr"] == 0.5
    assert len(small.faces) < 0.7 * len(whole.faces)
    assert len(coarse.faces) < 0.4 * len(whole.faces)
