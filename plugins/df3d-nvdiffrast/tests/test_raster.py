"""The CPU rasteriser against slow, independent arithmetic: points in triangles, rays through triangles, finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from df3d_nvdiffrast.raster import Fragments, Rasterizer, kernels, make
from torch import Tensor


@pytest.fixture
def rasterizer() -> Rasterizer:
    return make("cpu", "cpu")[0]


def triangles(count: int, *, seed: int = 0, size: float = 0.6) -> tuple[Tensor, Tensor]:
    """Clip-space vertices (1, 3 count, 4) of triangles in front of the camera, with different w at each corner; faces."""
    g = torch.Generator().manual_seed(seed)
    center = torch.rand(count, 1, 2, generator=g) * 2.4 - 1.2
    screen = center + size * (torch.rand(count, 3, 2, generator=g) - 0.5)
    w = 0.5 + 3 * torch.rand(count, 3, 1, generator=g)
    z = torch.rand(count, 1, 1, generator=g).expand(count, 3, 1) * 1.8 - 0.9
    clip = torch.cat([screen * w, z * w, w], dim=-1).view(1, -1, 4)
    return clip, torch.arange(3 * count).view(-1, 3)


def centres(height: int, width: int) -> Tensor:
    """(H, W, 2) pixel centres, x to the right and y upwards."""
    y = 1 - (torch.arange(height, dtype=torch.float64) * 2 + 1) / height
    x = (torch.arange(width, dtype=torch.float64) * 2 + 1) / width - 1
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).flip(-1)


def oracle(clip: Tensor, faces: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """For every pixel and face: distance to the nearest edge, positive inside; perspective-correct weights; and z / w.

    Ordinary two-dimensional arithmetic on projected corners, w >= 0 taken for granted; differentiable.
    """
    corners = clip[0].double()[faces]  # (F, 3, 4)
    at, w, z = corners[..., :2] / corners[..., 3:], corners[..., 3], corners[..., 2] / corners[..., 3]
    points = centres(height, width)[:, :, None]  # (H, W, 1, 2)

    def cross(a: Tensor, b: Tensor) -> Tensor:
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]

    whole = cross(at[:, 1] - at[:, 0], at[:, 2] - at[:, 0])
    flat, edges = [], []
    for i in range(3):
        a, b = at[:, (i + 1) % 3], at[:, (i + 2) % 3]
        area = cross(b - a, points - a)
        flat.append(area / whole)
        edges.append(area / (b - a).norm(dim=-1) * whole.sign())
    weights = torch.stack(flat, -1)
    depth = (weights * z).sum(-1)
    weights = weights / w
    return torch.stack(edges, -1).amin(-1), weights / weights.sum(-1, keepdim=True), depth


def test_coverage_weights_and_depth_order_equal_exact_arithmetic(rasterizer: Rasterizer) -> None:
    height, width = 48, 64
    clip, faces = triangles(40)
    seen = rasterizer.rasterize(clip, faces, height, width)
    edge, weights, depth = oracle(clip, faces, height, width)
    order = torch.where(edge > 0, depth, torch.inf)
    right = torch.where(order.amin(-1) < torch.inf, order.argmin(-1), -1)
    certain = edge.abs().amin(-1) > 1e-6  # away from every edge
    two = order.topk(2, largest=False).values
    certain &= ~((two[..., 1] - two[..., 0]).abs() < 1e-6)
    assert certain.float().mean() > 0.99
    assert torch.equal(seen.face[0][certain], right[certain])
    assert len(right.unique()) > 20

    covered = certain & (right >= 0)
    expected = weights.gather(2, right.clamp(min=0)[..., None, None].expand(-1, -1, 1, 3))[:, :, 0]
    torch.testing.assert_close(seen.weights[0][covered].double(), expected[covered][:, :2], atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.depth[0][covered].double(), order.amin(-1)[covered], atol=1e-5, rtol=0)
    assert bool((seen.weights[0][right < 0] == 0).all())


def test_slopes_are_the_change_from_one_pixel_to_the_next(rasterizer: Rasterizer) -> None:
    screen, w = torch.tensor([[-0.9, -0.8], [0.8, -0.7], [0.1, 0.9]]), torch.tensor([[1.0], [3.0], [2.0]])
    clip, faces = torch.cat([screen * w, 0 * w, w], -1)[None], torch.tensor([[0, 1, 2]])
    seen = rasterizer.rasterize(clip, faces, 40, 40)
    u = seen.weights[0]
    inside = seen.face[0] >= 0
    whole = inside[1:-1, 1:-1] & inside[1:-1, 2:] & inside[1:-1, :-2] & inside[2:, 1:-1] & inside[:-2, 1:-1]
    assert whole.sum() > 50
    across, down = (u[1:-1, 2:] - u[1:-1, :-2]) / 2, (u[2:, 1:-1] - u[:-2, 1:-1]) / 2
    slopes = seen.slopes[0, 1:-1, 1:-1].view(38, 38, 2, 2)
    torch.testing.assert_close(slopes[..., 0][whole], across[whole], atol=2e-3, rtol=0.05)
    torch.testing.assert_close(slopes[..., 1][whole], down[whole], atol=2e-3, rtol=0.05)


def test_neighbours_leave_no_crack_and_no_pixel_twice(rasterizer: Rasterizer) -> None:
    g = torch.Generator().manual_seed(0)
    axis = torch.linspace(-1.5, 1.5, 14)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1) + 0.05 * torch.rand(14, 14, 2, generator=g)
    w = 1 + torch.rand(14, 14, 1, generator=g)
    clip = torch.cat([grid * w, 0 * w, w], -1).view(1, -1, 4)
    corner = torch.arange(14 * 14).view(14, 14)
    a, b, c, d = corner[:-1, :-1], corner[1:, :-1], corner[:-1, 1:], corner[1:, 1:]
    faces = torch.cat([torch.stack([a, b, c], -1).view(-1, 3), torch.stack([b, d, c], -1).view(-1, 3)])
    assert bool((rasterizer.rasterize(clip, faces, 97, 101).face >= 0).all())


def test_a_triangle_through_the_camera_is_cut_at_the_near_plane(rasterizer: Rasterizer) -> None:
    """A floor from far in front to behind the eye: rays say where it is seen."""
    near, far, focal = 0.1, 50.0, 1.2
    floor = torch.tensor([[-40.0, -1.0, 20.0], [40.0, -1.0, 20.0], [0.0, -1.0, -45.0]], dtype=torch.float64)
    x, y, z = floor.unbind(-1)
    depth = (z * (far + near) + 2 * far * near) / (near - far)
    clip = torch.stack([x * focal, y * focal, depth, -z], -1)[None].float()
    seen = rasterizer.rasterize(clip, torch.tensor([[0, 1, 2]]), 32, 32)

    directions = torch.cat([centres(32, 32) / focal, -torch.ones(32, 32, 1)], -1)
    distance = -1 / directions[..., 1]
    hit = directions * distance[..., None]
    sides = torch.linalg.solve(
        torch.cat([floor.T[[0, 2]], torch.ones(1, 3)]),
        torch.stack([hit[..., 0], hit[..., 2], torch.ones(32, 32)], -1).view(-1, 3).T,
    )
    weights = sides.T.view(32, 32, 3)
    visible = (distance > 0) & (weights > 0).all(-1) & (-hit[..., 2] > near) & (-hit[..., 2] < far)
    assert visible.sum() > 100
    assert torch.equal(seen.face[0] >= 0, visible)
    torch.testing.assert_close(seen.weights[0][visible].double(), weights[visible][:, :2], atol=1e-5, rtol=0)


@pytest.mark.parametrize("behind", [False, True])
def test_nothing_is_drawn_of_nothing(rasterizer: Rasterizer, behind: bool) -> None:
    clip, faces = triangles(5)
    if behind:
        clip = clip * torch.tensor([1.0, 1.0, 1.0, -1.0])
    seen = rasterizer.rasterize(clip, faces if behind else faces[:0], 8, 8)
    assert bool((seen.face == -1).all())
    color = rasterizer.antialias(torch.rand(1, 8, 8, 3), seen, clip, faces if behind else faces[:0])
    assert bool(torch.isfinite(color).all())


def test_degenerate_and_infinite_triangles_are_left_out(rasterizer: Rasterizer) -> None:
    clip, faces = triangles(3, size=2.0)
    clip[0, 3:6] = clip[0, 3]  # a point
    clip[0, 6, 0] = torch.nan
    seen = rasterizer.rasterize(clip.requires_grad_(), faces, 16, 16)
    assert set(seen.face.unique().tolist()) <= {-1, 0}
    seen.weights.sum().backward()
    assert bool(torch.isfinite(clip.grad).all())


def test_back_faces_are_left_out_when_asked(rasterizer: Rasterizer) -> None:
    clip, faces = triangles(1, size=2.0)
    both = [(rasterizer.rasterize(clip, f, 16, 16, cull=True).face >= 0).sum() for f in (faces, faces.flip(1))]
    assert min(both) == 0
    assert max(both) == (rasterizer.rasterize(clip, faces, 16, 16).face >= 0).sum() > 0


def test_gradients_of_weights_and_attributes_equal_those_of_exact_arithmetic(rasterizer: Rasterizer) -> None:
    clip, faces = triangles(12, seed=1)
    clip = torch.cat([clip, clip * torch.tensor([0.9, 0.8, 1.0, 1.0])]).requires_grad_()  # two views
    attributes = torch.rand(1, clip.shape[1], 5, requires_grad=True)
    seen = rasterizer.rasterize(clip, faces, 24, 24)
    upstream = torch.rand(2, 24, 24, 5)
    rasterizer.interpolate(attributes, seen, faces).mul(upstream).sum().backward()

    exact, values = clip.detach().double().requires_grad_(), attributes.detach().double().requires_grad_()
    total = torch.zeros((), dtype=torch.float64)
    for v in range(2):
        _, weights, _ = oracle(exact[v : v + 1], faces, 24, 24)
        covered = seen.face[v] >= 0
        rows, cols = covered.nonzero(as_tuple=True)
        found = seen.face[v][covered]
        drawn = (weights[rows, cols, found][..., None] * values[0][faces[found]]).sum(1)
        total = total + (drawn * upstream[v][covered]).sum()
    total.backward()
    torch.testing.assert_close(attributes.grad.double(), values.grad, atol=1e-4, rtol=1e-4)
    wanted = exact.grad.clone()
    wanted[..., 2] = 0
    torch.testing.assert_close(clip.grad.double(), wanted, atol=1e-3, rtol=1e-3)


def test_the_antialiased_area_is_the_true_one(rasterizer: Rasterizer) -> None:
    for seed in range(5):
        clip, faces = triangles(1, seed=seed + 20, size=1.6)
        clip = clip * torch.tensor([0.5, 0.5, 1.0, 1.0])  # all on the screen
        seen = rasterizer.rasterize(clip, faces, 64, 64)
        hard = (seen.face >= 0).float()[..., None]
        soft = rasterizer.antialias(hard, seen, clip, faces)
        at = clip[0, :, :2] / clip[0, :, 3:]
        area = abs(float(torch.linalg.det(torch.stack([at[1] - at[0], at[2] - at[0]])))) / 2 / 4 * 64 * 64
        assert abs(float(soft.sum()) - area) < 0.02 * area + 0.5


def differences(function: Callable[[Tensor], Tensor], at: Tensor, eps: float) -> Tensor:
    """Central differences of a scalar function in every number of `at`."""
    found = torch.zeros_like(at)
    for i in range(at.numel()):
        step = torch.zeros_like(at).view(-1)
        step[i] = eps
        step = step.view_as(at)
        found.view(-1)[i] = (function(at + step) - function(at - step)) / (2 * eps)
    return found


def test_the_gradient_of_edges_equals_finite_differences(rasterizer: Rasterizer) -> None:
    clip, faces = triangles(2, seed=5, size=1.5)
    clip = clip * torch.tensor([0.6, 0.6, 1.0, 1.0])
    clip[0, 3:, 2] = 0.5 * clip[0, 3:, 3]  # one behind the other
    clip[0, :3, 2] = -0.5 * clip[0, :3, 3]
    upstream = torch.rand(1, 32, 32, 1, generator=torch.Generator().manual_seed(2))
    paint = torch.tensor([0.2, 1.0, 0.6])  # of nothing, and of the two faces
    seen = rasterizer.rasterize(clip, faces, 32, 32)  # which face a pixel shows is fixed: that part has no gradient
    color = paint[seen.face + 1][..., None]

    def value(at: Tensor) -> Tensor:
        return (rasterizer.antialias(color, seen, at, faces) * upstream).sum().double()

    moving = clip.clone().requires_grad_()
    value(moving).backward()
    wanted = differences(lambda at: value(at.float()), clip.double(), 1e-4)
    assert moving.grad[..., :2].abs().max() > 1
    torch.testing.assert_close(moving.grad.double(), wanted, atol=0.05, rtol=0.05)

    tinted = color.clone().requires_grad_()
    (rasterizer.antialias(tinted, seen, clip, faces) * upstream).sum().backward()
    direction = torch.rand(color.shape, generator=torch.Generator().manual_seed(4))
    change = rasterizer.antialias(color + direction, seen, clip, faces) - rasterizer.antialias(color - direction, seen, clip, faces)
    torch.testing.assert_close((tinted.grad * direction).sum(), (change * upstream).sum() / 2, atol=1e-3, rtol=1e-4)


def test_edges_inside_a_surface_are_not_blended(rasterizer: Rasterizer) -> None:
    clip = torch.tensor([[[-0.8, -0.8, 0, 1], [0.8, -0.8, 0, 1], [0.8, 0.8, 0, 1], [-0.8, 0.8, 0, 1]]]).float()
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    seen = rasterizer.rasterize(clip, faces, 32, 32)
    color = torch.where(seen.face[..., None] == 0, 1.0, 0.5) * (seen.face[..., None] >= 0)
    blended = rasterizer.antialias(color, seen, clip, faces)
    inner = slice(6, 26)
    assert torch.equal(blended[0, inner, inner], color[0, inner, inner])
    assert not torch.equal(blended, color)


@pytest.mark.gpu
def test_nvdiffrast_draws_the_same() -> None:
    pytest.importorskip("nvdiffrast")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    theirs, ours = make("nvdiffrast", "cuda")[0], make("cpu", "cpu")[0]
    clip, faces = triangles(40)
    attributes, upstream = torch.rand(1, clip.shape[1], 3), torch.rand(1, 64, 64, 3)
    grads: list[Tensor] = []
    seen: list[Fragments] = []
    for rasterizer, device in ((theirs, "cuda"), (ours, "cpu")):
        at, f = clip.to(device).requires_grad_(), faces.to(device)
        seen.append(rasterizer.rasterize(at, f, 64, 64))
        image = rasterizer.interpolate(attributes.to(device), seen[-1], f)
        (rasterizer.antialias(image, seen[-1], at, f) * upstream.to(device)).sum().backward()
        grads.append(at.grad.cpu())
    same = seen[0].face.cpu() == seen[1].face
    assert same.float().mean() > 0.995
    torch.testing.assert_close(seen[0].weights.cpu()[same], seen[1].weights[same], atol=1e-3, rtol=1e-3)
    assert torch.nn.functional.cosine_similarity(grads[0].flatten(), grads[1].flatten(), dim=0) > 0.99


@pytest.mark.parametrize(("faces", "vertices"), [(200, 20), (300, 8), (400, 3)])
def test_neighbours_across_edges_are_the_first_other_face_that_shares_one(faces: int, vertices: int) -> None:
    """Of any faces, however many meet at a vertex or an edge."""
    mesh = np.random.default_rng(0).integers(0, vertices, (faces, 3))
    edges = [(f, i, frozenset((mesh[f, (i + 1) % 3], mesh[f, (i + 2) % 3]))) for f in range(faces) for i in range(3)]
    first: dict[frozenset[int], list[tuple[int, int]]] = {}
    for f, i, edge in edges:
        first.setdefault(edge, []).append((f, i))
    expected = np.array([next((3 * g + j for g, j in first[edge] if g != f), -1) for f, i, edge in edges]).reshape(-1, 3)
    assert (kernels.across_edges(mesh, vertices) == expected).all()


def test_thousands_of_faces_may_meet_at_a_vertex() -> None:
    """Comparing all with all would take minutes."""
    count = 200_000
    rim = np.arange(count) + 1
    across = kernels.across_edges(np.stack([np.zeros(count, np.int64), rim, np.roll(rim, -1)], axis=1), count + 1)
    assert (across[:, 0] == -1).all()
    assert (across[:, 1] // 3 == (np.arange(count) + 1) % count).all()
