"""The fast encodings against the plain one, values and every gradient; the plain one against finite differences."""

from __future__ import annotations

import pytest
import torch
from df3d_hashgrid.config import GridConfig
from df3d_hashgrid.encoding import Encoding, choose, make, note
from df3d_hashgrid.encoding.numba import NumbaEncoding
from df3d_hashgrid.encoding.table import Layout
from df3d_hashgrid.encoding.torch import TorchEncoding, encode

from df3d.errors import PluginError

CONFIGS = [
    GridConfig(levels=4, log2_table=8, base=4, finest=64),  # hashed levels
    GridConfig(levels=3, log2_table=16, base=4, finest=16),  # dense levels
    GridConfig(levels=2, features=4, log2_table=10, base=8, finest=32),
]


def pair(config: GridConfig) -> tuple[TorchEncoding, NumbaEncoding]:
    torch.manual_seed(0)
    plain, fast = TorchEncoding(config), NumbaEncoding(config)
    plain.table.data.normal_()
    fast.table.data.copy_(plain.table.data)
    return plain, fast


def results(encoding: Encoding, points: torch.Tensor, levels: int, seed: int = 1) -> dict[str, torch.Tensor]:
    """Values, gradient to the table, gradient to the points, and both gradients of that."""
    torch.manual_seed(seed)
    features = encoding(points, levels)
    cotangent = torch.randn_like(features).requires_grad_()
    direction = torch.randn(len(points), 3)
    (to_table,) = torch.autograd.grad((features * cotangent.detach()).sum(), encoding.table)
    slope = encoding.gradient(points, cotangent, levels)
    slope_to_cotangent, slope_to_table = torch.autograd.grad((slope * direction).sum(), [cotangent, encoding.table])
    return {
        "features": features.detach(),
        "table": to_table,
        "points": slope.detach(),
        "points to cotangent": slope_to_cotangent,
        "points to table": slope_to_table,
    }


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("levels", [1, 2])
def test_numba_equals_torch_in_values_and_gradients(config: GridConfig, levels: int) -> None:
    points = torch.rand(5000, 3, generator=torch.Generator().manual_seed(2))
    plain, fast = (results(encoding, points, levels) for encoding in pair(config))
    for name in plain:
        scale = plain[name].abs().max()
        assert scale > 0, name
        torch.testing.assert_close(
            fast[name] / scale, plain[name] / scale, atol=1e-5, rtol=0, msg=lambda m, name=name: f"{name}: {m}"
        )


def test_the_borders_of_the_cube_belong_to_the_grid() -> None:
    plain, fast = pair(CONFIGS[0])
    points = torch.tensor([[0.0, 0, 0], [1, 1, 1], [0, 1, 0.5], [1, 0, 0]])
    torch.testing.assert_close(fast(points, 4), plain(points, 4))


def test_levels_not_in_use_are_zero_and_get_no_gradient() -> None:
    config = CONFIGS[0]
    for encoding in pair(config):
        features = encoding(torch.rand(100, 3), 2)
        assert features[:, 4:].abs().sum() == 0
        assert features[:, :4].abs().sum() > 0
        (gradient,) = torch.autograd.grad(features.sum(), encoding.table)
        first = Layout.of(config).offsets[2]
        assert gradient[first:].abs().sum() == 0
        assert gradient[:first].abs().sum() > 0


def test_the_plain_encoding_against_finite_differences() -> None:
    layout = Layout.of(GridConfig(levels=2, log2_table=6, base=3, finest=8))
    table = torch.randn(layout.offsets[-1], 2, dtype=torch.float64, requires_grad=True)
    points = torch.rand(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p, t: encode(p, t, layout, 2), (points, table))


def test_the_gradient_is_that_of_the_values() -> None:
    """The slope along a small step inside a cell: trilinear, so the difference quotient is exact along an axis."""
    _, fast = pair(GridConfig(levels=1, log2_table=10, base=4, finest=4))
    points = torch.tensor([[0.3, 0.4, 0.6]])
    cotangent = torch.tensor([[1.0, -2.0]])
    for axis in range(3):
        step = torch.zeros(1, 3)
        step[0, axis] = 0.02
        quotient = ((fast(points + step, 1) - fast(points - step, 1)) * cotangent).sum() / 0.04
        assert fast.gradient(points, cotangent, 1)[0, axis].item() == pytest.approx(quotient.item(), rel=1e-3)


def test_results_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    from df3d.system import cpu

    points = torch.rand(20000, 3)
    _, fast = pair(CONFIGS[0])
    many = results(fast, points, 4)
    monkeypatch.setattr(cpu, "threads", lambda: 1)
    one = results(fast, points, 4)
    assert all(torch.equal(many[name], one[name]) for name in many)


def test_the_backend_is_chosen_by_the_device_and_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose("auto", "cpu") == "numba"
    assert choose("torch", "cpu") == "torch"
    monkeypatch.setattr("df3d_hashgrid.encoding.find_spec", lambda name: name == "triton")
    monkeypatch.setenv("CC", "cc")
    assert choose("auto", "cuda:1") == "triton"
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", "")  # no C compiler, no Triton launcher
    assert choose("auto", "cuda") == "torch"
    assert isinstance(make(GridConfig(levels=2, backend="torch"), "cpu"), TorchEncoding)


def test_tcnn_without_tinycudann_says_what_to_do() -> None:
    from df3d_hashgrid.encoding import tcnn

    if tcnn.tinycudann is not None:
        pytest.skip("tinycudann is installed here")
    with pytest.raises(PluginError, match="needs tinycudann"):
        make(GridConfig(backend="tcnn"), "cpu")


@pytest.mark.parametrize(("levels", "expected"), [(1, [16]), (3, [16, 181, 2048])])
def test_resolutions_grow_geometrically(levels: int, expected: list[int]) -> None:
    assert GridConfig(levels=levels).resolutions() == expected


def test_a_level_is_dense_where_it_fits_and_hashed_where_not() -> None:
    """5^3 = 125 corners take 128 rows, in multiples of 8; 9^3 = 729 do not fit into 512."""
    layout = Layout.of(GridConfig(levels=2, log2_table=9, base=4, finest=8))
    assert layout.resolutions == (4, 8)
    assert layout.offsets == (0, 128, 128 + 512)
    assert [layout.hashed(level) for level in (0, 1)] == [False, True]
    assert [layout.rows(level) for level in (0, 1)] == [128, 512]
    table = layout.new_table().detach()
    assert table.shape == (640, 2)
    assert 0.9e-4 < float(table.abs().max()) <= 1e-4
    assert abs(float(table.mean())) < 1e-5


def test_slow_grids_are_noted_on_a_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("df3d_hashgrid.encoding.find_spec", lambda name: None)
    assert "slowly" in note("auto", "cuda")[0]
    assert note("torch", "cuda") == []  # which was asked for
    assert note("auto", "cpu") == []


@pytest.mark.parametrize(("backend", "device"), [("numba", "cuda"), ("triton", "cpu")])
def test_a_backend_of_another_machine_says_so(backend: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(PluginError, match=f"backend `{backend}` works on"):
        make(GridConfig(backend=backend), device)  # type: ignore[arg-type]
