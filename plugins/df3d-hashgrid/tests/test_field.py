from __future__ import annotations

import pytest
import torch
from df3d_hashgrid.config import HashGridConfig
from df3d_hashgrid.field import HashGridField

from df3d.errors import PluginError
from df3d.schedule import Step

SMALL = {"levels": 4, "log2_table": 10, "finest": 32, "hidden": 16}


def field(backend: str = "numba", **changes: object) -> HashGridField:
    torch.manual_seed(0)
    made = HashGridField(HashGridConfig(backend=backend, **{**SMALL, **changes}))  # type: ignore[arg-type]
    made.encoding.table.data.normal_(std=0.5)
    return made


def inner_points(count: int) -> torch.Tensor:
    return (torch.rand(count, 3, generator=torch.Generator().manual_seed(3)) - 0.5) * 1.1


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_the_density_gradient_is_that_of_the_density(backend: str) -> None:
    """Against autograd through the plain encoding, ReLU, softplus and blob; a flipped sign anywhere fails."""
    made = field(backend)
    plain = field("torch")
    plain.load_state_dict(made.state_dict())
    points = inner_points(500).requires_grad_()
    density = plain.density(points)
    (truth,) = torch.autograd.grad(density.sum(), points)
    samples = made.query(points.detach(), gradient=True)
    torch.testing.assert_close(samples.density, density.detach(), atol=1e-5, rtol=1e-5)
    assert samples.gradient is not None
    torch.testing.assert_close(samples.gradient, truth, atol=1e-3, rtol=1e-3)


def test_a_loss_on_normals_trains_the_field_as_autograd_would() -> None:
    made, plain = field("numba"), field("torch")
    plain.load_state_dict(made.state_dict())
    points, wanted = inner_points(300), torch.randn(300, 3)

    def loss_gradients(by_hand: bool) -> list[torch.Tensor]:
        model = made if by_hand else plain
        if by_hand:
            slope = model.query(points, gradient=True).gradient
        else:
            leaf = points.clone().requires_grad_()
            slope = torch.autograd.grad(model.density(leaf).sum(), leaf, create_graph=True)[0]
        assert slope is not None
        normals = torch.nn.functional.normalize(slope, dim=-1)
        parameters = [model.encoding.table, model.density_in.weight, model.density_out.weight]
        return list(torch.autograd.grad((normals * wanted).sum(), parameters))

    for ours, theirs in zip(loss_gradients(True), loss_gradients(False), strict=True):
        scale = theirs.abs().max()
        assert scale > 0
        torch.testing.assert_close(ours / scale, theirs / scale, atol=1e-3, rtol=0)


def test_the_blob_makes_the_centre_dense_and_the_rim_empty() -> None:
    made = HashGridField(HashGridConfig(**SMALL, blob_density=10.0, blob_radius=0.5))  # type: ignore[arg-type]
    centre, rim = made.density(torch.tensor([[0.0, 0, 0.01], [0, 0, 0.95]])).tolist()
    assert centre == pytest.approx(9.8, abs=0.1)
    assert rim < 1e-3


def test_density_is_never_negative_and_albedo_is_a_colour() -> None:
    samples = field().query(inner_points(1000))
    assert samples.density.min() >= 0
    assert samples.albedo.min() >= 0
    assert samples.albedo.max() <= 1
    assert samples.gradient is None


def test_levels_come_into_use_along_the_stage() -> None:
    made = field(start_levels=2, levels_until=0.5)
    used = []
    for index in (0, 25, 50, 99):
        made.before_step(Step(index, 100))
        used.append(made.levels)
    assert used == [2, 3, 4, 4]


def test_a_restored_field_uses_the_levels_it_had() -> None:
    first, second = (field(start_levels=2, levels_until=0.5) for _ in range(2))
    first.before_step(Step(99, 100))
    second.load_state_dict(first.state_dict())
    points = inner_points(50)
    assert second.levels == 4
    assert torch.equal(first.density(points), second.density(points))
    fewer = field(start_levels=2, levels_until=0.5)
    second.load_state_dict(fewer.state_dict())
    assert second.levels == 2


def test_a_field_of_another_shape_is_refused() -> None:
    first = field()
    with pytest.raises(PluginError, match="a hash grid of the same shape"):
        HashGridField(HashGridConfig(**{**SMALL, "finest": 64}), start_from=first)  # type: ignore[arg-type]


def test_a_stage_can_start_from_another_field() -> None:
    first = field()
    second = HashGridField(first.config, start_from=first)
    points = inner_points(50)
    assert torch.equal(first.density(points), second.density(points))


@pytest.mark.parametrize("changes", [{"density_scale": 3.0}, {"density_bias": -2.0}, {"blob_density": 4.0, "blob_radius": 0.8}])
def test_the_density_gradient_is_that_of_differences_under_every_option(changes: dict[str, float]) -> None:
    made = field("torch", **changes)
    with torch.no_grad():
        made.encoding.table.mul_(300)  # so that the network has a say
    points = inner_points(200)
    found = made.query(points, gradient=True).gradient
    assert found is not None
    eps = 1e-3
    with torch.no_grad():
        steps = eps * torch.eye(3)
        differences = torch.stack([(made.density(points + s) - made.density(points - s)) / (2 * eps) for s in steps], dim=1)
        found = found.detach()
    error = (found - differences).norm(dim=1) / (differences.norm(dim=1) + 0.1)
    assert float(error.median()) < 0.02  # kinks of ReLU and borders of cells aside


def test_each_kind_of_parameter_has_its_own_rate() -> None:
    made = field(grid_rate=0.3, network_rate=0.4)
    grid, networks = made.parameter_groups()
    assert (grid["lr"], networks["lr"]) == (0.3, 0.4)
    assert grid["params"] == [made.encoding.table]
    every = {id(parameter) for parameter in made.parameters()}
    assert {id(parameter) for parameter in [*grid["params"], *networks["params"]]} == every


def test_density_by_hand_without_the_networks() -> None:
    """softplus(bias + height * (1 - |x| / radius)), and in the corners of the cube no less than at the ball's own rim."""
    made = field(density_bias=1.0, blob_density=4.0, blob_radius=0.5)
    made.density_out.weight.data.zero_()
    points = torch.tensor([[0.0, 0.0, 0.25], [0.6, 0.0, 0.0], [0.0, -1.0, 0.0], [0.9, 0.9, 0.9]])
    expected = torch.nn.functional.softplus(torch.tensor([1 + 2.0, 1 - 0.8, 1 - 4.0, 1 - 4.0]))
    torch.testing.assert_close(made.density(points).detach(), expected)


def test_levels_begin_and_end_where_they_are_told() -> None:
    """All of them without a start; at once where they come into use in no time; and never more than there are."""
    assert field().levels == 4
    assert field(start_levels=9).levels == 4
    made = field(start_levels=2, levels_until=0.0)
    assert made.levels == 2
    made.before_step(Step(0, 100))
    assert made.levels == 2
    made.before_step(Step(1, 100))
    assert made.levels == 4
    assert int(made.levels_in_use) == 4
    still = field()
    still.before_step(Step(99, 100))
    assert still.levels == 4


def test_points_outside_of_levels_in_use_are_the_same_for_query_and_density() -> None:
    made, points = field(start_levels=1), inner_points(100)
    samples = made.query(points)
    torch.testing.assert_close(samples.density, made.density(points))
    torch.testing.assert_close(samples.albedo, made.albedo(points))
