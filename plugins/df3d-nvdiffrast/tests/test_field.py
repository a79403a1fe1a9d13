from __future__ import annotations

import numpy as np
import pytest
import torch
from df3d_nvdiffrast.config import TetsConfig
from df3d_nvdiffrast.field import TetsField, _without_crumbs, blur, distances_of
from fields import Ball

from df3d.errors import EmptyFieldError
from df3d.mesh.cleanup import is_closed

SMALL = {"resolution": 24, "levels": 6, "log2_table": 14, "finest": 64, "hidden": 32}


def test_it_takes_over_shape_and_colours_of_a_volume() -> None:
    torch.manual_seed(0)
    field = TetsField(TetsConfig(**SMALL), start_from=Ball(0.5))
    mesh = field.surface()
    radii = mesh.vertices.detach().norm(dim=-1)
    assert abs(float(radii.mean()) - 0.5) < 0.01
    assert float(radii.std()) < 0.015
    assert is_closed(mesh.faces.numpy())
    wanted = mesh.vertices.detach() * 0.5 + 0.5
    assert float((field.albedo(mesh.vertices.detach()) - wanted).detach().abs().mean()) < 0.02


@pytest.mark.parametrize(("radius", "inside"), [(0.5, 3.0), (0.06, 100.0), (0.9, 2.0)])
def test_pale_small_and_large_volumes_have_a_surface_too(radius: float, inside: float) -> None:
    distances = distances_of(Ball(radius, inside=inside), 24)
    assert distances.shape == (25, 25, 25)
    assert distances.min() < 0 < distances.max()


def test_distances_are_in_world_units() -> None:
    distances = distances_of(Ball(0.6, edge=0.01), 32)
    axis = np.linspace(-1, 1, 33)
    radius = np.linalg.norm(np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1), axis=-1)
    near = np.abs(radius - 0.6) < 0.2
    assert np.abs(distances - (radius - 0.6))[near].mean() < 0.02


class Bumpy(Ball):
    """A ball whose surface is unsure: bumps of 0.01, half a dozen cells apart."""

    def density(self, points: torch.Tensor) -> torch.Tensor:
        return super().density(points * (1 + 0.02 * torch.sin(40 * points).prod(dim=-1, keepdim=True)))


class Rod(Ball):
    """As thick as three cells, along the x axis."""

    def density(self, points: torch.Tensor) -> torch.Tensor:
        return super().density(points[..., 1:]) * (points[..., 0].abs() < 0.8)


def test_bumps_go_and_thin_things_stay() -> None:
    config = TetsConfig(**{**SMALL, "resolution": 48})
    radii = [TetsField(config, start_from=ball(0.5, edge=0.01)).surface().vertices.detach().norm(dim=-1) for ball in (Ball, Bumpy)]
    assert abs(float(radii[0].mean() - radii[1].mean())) < 0.01
    assert float(radii[1].std()) < 0.002  # less than half of what the bumps had
    rod = TetsField(config, start_from=Rod(0.06, edge=0.01)).surface().vertices.detach()
    assert float(rod[:, 0].abs().max()) > 0.75
    middle = rod[rod[:, 0].abs() < 0.6][:, 1:].norm(dim=-1)
    assert 0.05 < float(middle.mean()) < 0.07


def test_an_empty_volume_is_an_error() -> None:
    with pytest.raises(EmptyFieldError, match="the field is empty"):
        TetsField(TetsConfig(**SMALL), start_from=Ball(0.5, inside=1e-4))


def test_a_surface_that_vanishes_is_an_error() -> None:
    field = TetsField(TetsConfig(**SMALL))
    field.change.data += 5.0
    with pytest.raises(EmptyFieldError, match="vanished"):
        field.surface()


def test_it_stays_closed_when_everything_is_inside() -> None:
    field = TetsField(TetsConfig(**SMALL))
    field.change.data -= 5.0
    assert is_closed(field.surface().faces.numpy())


def test_blurring_keeps_the_sum_and_spreads_by_its_count() -> None:
    point = torch.zeros(31, 31, 31)
    point[15, 15, 15] = 1.0
    spread = blur(point, 3)
    axis = torch.arange(31.0) - 15
    assert abs(float(spread.sum()) - 1) < 1e-5
    assert abs(float((spread.sum((1, 2)) * axis**2).sum()) - 3) < 1e-3
    assert torch.equal(blur(point, 0), point)


def test_each_kind_of_parameter_has_its_own_rate() -> None:
    rates = {"distance_rate": 0.1, "offset_rate": 0.2, "grid_rate": 0.3, "network_rate": 0.4}
    made = TetsField(TetsConfig(resolution=8, levels=2, log2_table=8, hidden=8, **rates))
    groups = made.parameter_groups()
    assert [group["lr"] for group in groups] == [0.1, 0.2, 0.3, 0.4]
    assert groups[0]["params"] == [made.change]
    assert groups[1]["params"] == [made.offsets]
    assert groups[2]["params"] == [made.encoding.table]


def test_points_of_the_grid_stay_within_half_a_cell() -> None:
    """Else tetrahedra turn inside out: at the most, offsets move the surface by less than half a cell along an axis."""
    field = TetsField(TetsConfig(**SMALL))
    before = field.surface().vertices.detach()
    field.offsets.data += 50.0
    moved = field.surface().vertices.detach() - before
    torch.testing.assert_close(moved, torch.full_like(moved, 0.45 * field.cell), atol=1e-4, rtol=0)
    assert 0.45 * field.cell < 0.5 * 2 / SMALL["resolution"]


def test_crumbs_are_left_out_by_their_share_of_the_largest() -> None:
    """Of 100 cells: a piece of 2 stays, and one of 1 goes."""
    solid = np.zeros((30, 30, 30), bool)
    solid[2:7, 2:7, 2:6] = True
    solid[10:12, 10, 10] = True
    solid[20, 20, 20] = True
    kept = _without_crumbs(solid)
    assert kept.sum() == 102
    assert kept[10, 10, 10]
    assert not kept[20, 20, 20]
    alone = np.zeros((4, 4, 4), bool)
    alone[1, 1, 1] = True
    assert np.array_equal(_without_crumbs(alone), alone)


def test_without_a_start_it_is_a_ball_of_its_radius() -> None:
    field = TetsField(TetsConfig(**SMALL, radius=0.7))
    radii = field.surface().vertices.detach().norm(dim=-1)
    assert float((radii - 0.7).abs().max()) < 0.01


def test_changes_are_blurred_as_often_as_it_is_told() -> None:
    """Where one point changes by 1, its surroundings move too: by the middle of the filter, 6/16 along each axis, at the point."""
    for times, share in ((0, 1.0), (1, (6 / 16) ** 3)):
        field = TetsField(TetsConfig(**SMALL, smoothing=times))
        field.change.data[12, 12, 12] = 0.3
        moved = field.start + blur(field.change, field.config.smoothing) - field.start
        assert float(moved[12, 12, 12].detach()) == pytest.approx(0.3 * share)
    smooth, rough = (TetsField(TetsConfig(**SMALL, smoothing=times)) for times in (8, 0))
    noise = 0.05 * torch.randn(smooth.change.shape, generator=torch.Generator().manual_seed(0))
    for field in (smooth, rough):
        field.change.data += noise
    spread = [float(field.surface().vertices.detach().norm(dim=-1).std()) for field in (smooth, rough)]
    assert spread[0] < 0.3 * spread[1]


def test_a_field_s_own_sides_are_outside() -> None:
    """Whatever is there: distances on the rim count by their size, and a tenth of a cell more."""
    field = TetsField(TetsConfig(**SMALL))
    field.start.fill_(-1.0)
    vertices = field.surface().vertices.detach()
    inner, outer = 1 - field.cell, 1.0
    assert float(vertices.abs().max()) < outer
    assert float(vertices.abs().max()) > inner
    # on the way from -1 in the last cell to 1 + cell / 10 at the rim
    at = inner + field.cell / (2 + 0.1 * field.cell)
    flat = vertices[(vertices[:, 1:].abs() < 0.5).all(1) & (vertices[:, 0] > 0.5)]
    torch.testing.assert_close(flat[:, 0], torch.full((len(flat),), at))


def test_the_fit_of_colours_can_be_left_out() -> None:
    torch.manual_seed(0)
    field = TetsField(TetsConfig(**SMALL, fit_steps=0), start_from=Ball(0.5))
    found = field.albedo(field.surface().vertices.detach()).detach()
    assert float(found.std(0).max()) < 0.01
