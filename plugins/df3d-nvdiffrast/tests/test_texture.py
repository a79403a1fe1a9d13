from __future__ import annotations

import torch
from df3d_nvdiffrast.renderer import _wrapped
from df3d_nvdiffrast.texture import sample
from torch.nn import functional


def test_the_origin_is_at_the_bottom_left() -> None:
    texture = torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]])  # rows from the top
    uv = torch.tensor([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75], [0.5, 0.5], [-3.25, 9.75]])
    assert sample(texture, uv)[:, 0].tolist() == [3.0, 4.0, 1.0, 2.0, 2.5, 2.0]


def test_far_away_the_mean_is_seen_and_near_by_the_texel() -> None:
    texture = torch.rand(16, 16, 3)
    uv = torch.rand(10, 2)
    step = torch.eye(2).expand(10, 2, 2)
    torch.testing.assert_close(sample(texture, uv, step * 1.0), texture.mean((0, 1)).expand(10, 3))
    torch.testing.assert_close(sample(texture, uv, step / 16), sample(texture, uv))
    between = sample(texture, uv, step * 2**0.5 / 16)
    finer, coarser = sample(texture, uv, step / 16), sample(texture, uv, step * 2 / 16)
    torch.testing.assert_close(between, (finer + coarser) / 2)


def test_gradients_equal_finite_differences() -> None:
    g = torch.Generator().manual_seed(0)
    texture = torch.rand(8, 8, 2, generator=g, dtype=torch.float64, requires_grad=True)
    uv = (torch.rand(6, 2, generator=g, dtype=torch.float64) * 0.8 + 0.1).requires_grad_()
    slopes = torch.rand(6, 2, 2, generator=g, dtype=torch.float64) * 0.3
    assert torch.autograd.gradcheck(lambda t, at: sample(t, at, slopes), (texture, uv), eps=1e-6, atol=1e-5)


def test_the_longer_side_of_a_pixel_chooses_the_level() -> None:
    """Stripes along v: a pixel that is long across them sees their mean, whatever its other side is."""
    stripes = torch.zeros(64, 64, 1)
    stripes[::2] = 1.0
    uv = torch.rand(50, 2, generator=torch.Generator().manual_seed(0))
    long_across = torch.tensor([[1e-4, 0.0], [0.0, 0.25]]).expand(50, 2, 2)
    torch.testing.assert_close(sample(stripes, uv, long_across), torch.full((50, 1), 0.5), atol=0.02, rtol=0)
    ramp = torch.linspace(0, 1, 64)[None, :, None].repeat(64, 1, 1).square()
    for texels in (2.0, 4.0):  # exactly a level, whatever the other side is
        at_level = torch.tensor([[texels / 64, 0.0], [0.0, 1e-4]]).expand(50, 2, 2)
        coarse = functional.avg_pool2d(ramp.permute(2, 0, 1)[None], int(texels))[0].permute(1, 2, 0)
        torch.testing.assert_close(sample(ramp, uv, at_level), sample(coarse, uv), atol=1e-5, rtol=0)
    short = torch.tensor([[1e-4, 0.0], [0.0, 1e-4]]).expand(50, 2, 2)
    assert float(sample(stripes, uv, short).std()) > 0.2


def test_a_texture_goes_on_outside_as_it_is_told() -> None:
    values = torch.tensor([-1.25, -0.25, 0.25, 0.75, 1.25, 2.25])
    uvs = torch.stack([values, values], dim=1)
    assert _wrapped(uvs, ("mirror", "clamp")).tolist() == [
        [0.75, 0.0],
        [0.25, 0.0],
        [0.25, 0.25],
        [0.75, 0.75],
        [0.75, 1.0],
        [0.25, 1.0],
    ]
    assert torch.equal(_wrapped(uvs, ("repeat", "repeat")), uvs)


def test_large_texels_are_squares_where_that_is_wanted() -> None:
    """And mixed where they are smaller than a pixel."""
    texture = torch.tensor([[[0.0], [1.0]], [[0.0], [1.0]]])
    uv = torch.tensor([[0.45, 0.5], [0.55, 0.5]])
    assert sample(texture, uv, nearest=True)[:, 0].tolist() == [0.0, 1.0]
    torch.testing.assert_close(sample(texture, uv)[:, 0], torch.tensor([0.4, 0.6]))
    fine = texture.repeat_interleave(2, 0).repeat_interleave(2, 1)  # of which two texels are a pixel
    found = sample(fine, uv, torch.eye(2).expand(2, 2, 2) / 2, nearest=True)
    torch.testing.assert_close(found[:, 0], torch.tensor([0.4, 0.6]))


def test_the_edge_of_a_texture_is_no_mean_with_the_other_edge() -> None:
    texture = torch.tensor([[[0.0], [1.0]]]).expand(2, 2, 1)
    uv = torch.tensor([[0.0, 0.5], [1.0, 0.5], [1.25, 0.5]])
    assert sample(texture, uv)[:, 0].tolist() == [0.0, 1.0, 0.0]


def test_oblong_textures_count_their_own_sides() -> None:
    """A pixel as wide as one of 8 texels across, and as high as a quarter of the 2 down: the finest level."""
    texture = torch.rand(2, 8, 1, generator=torch.Generator().manual_seed(0))
    uv = torch.rand(20, 2, generator=torch.Generator().manual_seed(1))
    step = torch.tensor([[1 / 8, 0.0], [0.0, 1 / 8]]).expand(20, 2, 2)
    torch.testing.assert_close(sample(texture, uv, step), sample(texture, uv))
