from __future__ import annotations

import math

import pytest
import torch

from df3d.errors import PluginError
from df3d.scene import penalties
from df3d.types import RaySamples, RenderOutput, SurfaceMesh


def view(opacity: torch.Tensor, samples: RaySamples | None = None) -> RenderOutput:
    return RenderOutput(rgb=opacity.expand(-1, -1, -1, 3), opacity=opacity, samples=samples)


def test_opacity_is_the_mean_of_the_soft_absolute_value() -> None:
    pixels = torch.tensor([0.0, 1.0]).view(1, 1, 2, 1)
    assert penalties.opacity(view(pixels)).item() == pytest.approx((0.1 + math.sqrt(1.01)) / 2)


def test_entropy_is_highest_at_one_half_and_pushes_away_from_it() -> None:
    pixels = torch.tensor([0.5]).view(1, 1, 1, 1)
    assert penalties.entropy(view(pixels)).item() == pytest.approx(math.log(2))
    for start, sign in ((0.6, -1), (0.4, 1)):
        leaf = torch.full((1, 1, 1, 1), start, requires_grad=True)
        penalties.entropy(view(leaf)).backward()
        assert leaf.grad is not None
        assert leaf.grad.sign().item() == sign


def test_orientation_counts_only_normals_that_look_away_and_spares_the_weights() -> None:
    normals = torch.tensor([[0.0, 0, 1], [0, 0, -1]], requires_grad=True)
    weights = torch.tensor([0.5, 0.25], requires_grad=True)
    samples = RaySamples(weights, normals, torch.tensor([[0.0, 0, 1], [0, 0, 1]]), rays=5)
    loss = penalties.orientation(view(torch.ones(1, 1, 2, 1), samples))
    assert loss.item() == pytest.approx(0.5 * 1 / 5)  # per ray, not per sample
    loss.backward()
    assert weights.grad is None
    assert normals.grad is not None
    assert normals.grad[0, 2] > 0
    assert normals.grad[1].abs().sum() == 0


def test_a_penalty_that_lacks_what_its_record_says_it_needs_is_a_mistake_and_not_silent() -> None:
    with pytest.raises(ValueError, match="no samples with normals"):
        penalties.orientation(view(torch.ones(1, 1, 2, 1)))
    with pytest.raises(ValueError, match="has none"):
        penalties.laplacian(view(torch.ones(1, 1, 2, 1)))
    with pytest.raises(PluginError, match="no signed distances"):
        penalties.eikonal(mesh_view(torch.zeros(3, 3), [[0, 1, 2]]))


def mesh_view(vertices: torch.Tensor, faces: list[list[int]], slopes: torch.Tensor | None = None) -> RenderOutput:
    mesh = SurfaceMesh(vertices, torch.tensor(faces), slopes=slopes)
    return RenderOutput(torch.zeros(1, 1, 1, 3), torch.zeros(1, 1, 1, 1), mesh=mesh)


def test_normal_consistency_is_one_less_the_cosine_across_each_edge() -> None:
    hinge = [[0, 1, 2], [1, 0, 3]]
    for angle in (0.0, 0.5, 1.0):
        corner = torch.tensor([0.5, -math.cos(angle), math.sin(angle)])
        vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0.5, 1, 0], corner.tolist()])
        assert penalties.normal_consistency(mesh_view(vertices, hinge)).item() == pytest.approx(1 - math.cos(angle), abs=1e-6)


def test_laplacian_and_edge_length_of_a_triangle_worked_by_hand() -> None:
    vertices = torch.tensor([[0.0, 0, 0], [2, 0, 0], [0, 2, 0]])
    view_ = mesh_view(vertices, [[0, 1, 2]])
    assert penalties.edge_length(view_).item() == pytest.approx((4 + 8 + 4) / 3)
    assert penalties.laplacian(view_).item() == pytest.approx(((1 + 1) + (4 + 1) + (1 + 4)) / 3)


def test_eikonal_is_zero_for_distances_and_grows_with_their_slope() -> None:
    slopes = torch.tensor([[1.0, 0, 0], [0, 0.6, 0.8]])
    vertices = torch.zeros(3, 3)
    assert penalties.eikonal(mesh_view(vertices, [[0, 1, 2]], slopes)).item() == pytest.approx(0, abs=1e-12)
    assert penalties.eikonal(mesh_view(vertices, [[0, 1, 2]], 3 * slopes)).item() == pytest.approx(4)


@pytest.mark.parametrize("name", ["normal_consistency", "laplacian", "edge_length"])
def test_penalties_on_meshes_have_the_gradient_of_differences(name: str) -> None:
    g = torch.Generator().manual_seed(0)
    vertices = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64)
    vertices = (vertices + 0.3 * torch.rand(4, 3, generator=g)).requires_grad_()
    faces = [[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]]
    assert torch.autograd.gradcheck(lambda v: getattr(penalties, name)(mesh_view(v, faces)), (vertices,))


def test_entropy_of_pixels_that_are_empty_or_solid_is_almost_none_and_a_number() -> None:
    leaf = torch.tensor([0.0, 1.0]).view(1, 1, 2, 1).requires_grad_()
    loss = penalties.entropy(view(leaf))
    assert 0 < loss.item() < 2e-3
    loss.backward()
    assert leaf.grad is not None
    assert torch.isfinite(leaf.grad).all()


def test_orientation_grows_with_the_square_of_the_cosine() -> None:
    """A normal at 60 degrees to its ray: a quarter of one along it."""
    normals = torch.tensor([[0.0, math.sin(math.radians(60)), math.cos(math.radians(60))]])
    samples = RaySamples(torch.tensor([0.8]), normals, torch.tensor([[0.0, 0, 1]]), rays=2)
    assert penalties.orientation(view(torch.ones(1, 1, 2, 1), samples)).item() == pytest.approx(0.8 * 0.25 / 2)


def test_a_vertex_without_neighbours_is_as_far_from_them_as_from_the_origin() -> None:
    vertices = torch.tensor([[0.0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 3]])
    found = penalties.laplacian(mesh_view(vertices, [[0, 1, 2]])).item()
    assert found == pytest.approx(((1 + 1) + (4 + 1) + (1 + 4) + 9) / 4)


def test_edges_are_told_apart() -> None:
    """Two triangles that share no edge, though the sums of their edges' ends are the same: there is no pair to compare."""
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1]])
    shared = mesh_view(vertices, [[0, 1, 2], [1, 0, 3]])
    assert penalties.normal_consistency(shared).item() == pytest.approx(1.0)
    many = mesh_view(vertices, [[0, 1, 2], [1, 0, 3], [3, 5, 4]])
    assert penalties.normal_consistency(many).item() == pytest.approx(1.0)


def test_eikonal_says_how_to_do_without() -> None:
    with pytest.raises(PluginError) as error:
        penalties.eikonal(mesh_view(torch.zeros(3, 3), [[0, 1, 2]]))
    assert "penalties.eikonal" in error.value.hint
    uneven = torch.tensor([[1.5, 0, 0], [0, 0.5, 0], [0, 0, 4.0]])
    squares = (0.5**2 + 0.5**2 + 3.0**2) / 3
    assert penalties.eikonal(mesh_view(torch.zeros(3, 3), [[0, 1, 2]], uneven)).item() == pytest.approx(squares)
