"""Every objective on models whose scores are known in closed form: its gradient is the formula, its optimum the known one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from denoisers import Gaussian
from df3d_diffusion.config import DistillationConfig
from df3d_diffusion.objectives import OBJECTIVES, Prediction, Query, clip_gradient, csd, ism, reconstruction, sds, vsd, weight
from torch import Tensor

MODEL = Gaussian({"text": 0.5, "none": -0.25}, spreads={"text": 0.2, "none": 0.6})
TEXT, NONE = MODEL.encode_text(["text", "none"]).split(1)
T = 500


def query(latents: Tensor, *, student: Callable[[Tensor, Tensor], Tensor] | None = None, t: int = T, **options: object) -> Query:
    config = DistillationConfig(**{"scale": 1.0, "weighting": "uniform", **options})  # type: ignore[arg-type]
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(7))

    def predict(noisy: Tensor, timestep: Tensor) -> Prediction:
        text, none = (MODEL.predict(noisy, timestep, e.expand(len(noisy), -1, -1), None) for e in (TEXT, NONE))
        return Prediction(text, none, none + config.scale * (text - none))

    timestep = torch.full((len(latents),), t)
    return Query(latents, noise, timestep, MODEL.alphas_cumprod, None, config, predict, student)


def expected_noise(z: Tensor, t: int, mean: float, spread: float) -> Tensor:
    """The same by hand: sigma (z - alpha mean) / (alpha^2 spread^2 + sigma^2)."""
    alphabar = MODEL.alphas_cumprod[t]
    return (1 - alphabar).sqrt() * (z - alphabar.sqrt() * mean) / (alphabar * spread**2 + 1 - alphabar)


@pytest.mark.parametrize("weighting", ["sigma2", "uniform", "fantasia3d"])
@pytest.mark.parametrize("scale", [1.0, 7.5])
def test_gradients_are_the_formulas(weighting: str, scale: float) -> None:
    alphabar = MODEL.alphas_cumprod[T]
    w = {"sigma2": 1 - alphabar, "uniform": torch.tensor(1.0), "fantasia3d": alphabar.sqrt() * (1 - alphabar)}[weighting]
    q = query(torch.randn(2, 3, 4, 4), weighting=weighting, scale=scale, student=lambda z, t: 0.3 * z)
    z = alphabar.sqrt() * q.latents + (1 - alphabar).sqrt() * q.noise
    text, none = expected_noise(z, T, 0.5, 0.2), expected_noise(z, T, -0.25, 0.6)
    guided = none + scale * (text - none)
    near = {"atol": 1e-5, "rtol": 1e-4}
    torch.testing.assert_close(sds(q), w * (guided - q.noise), **near)
    torch.testing.assert_close(csd(q), w * scale * (text - none), **near)
    torch.testing.assert_close(vsd(q), w * (guided - 0.3 * z), **near)
    torch.testing.assert_close(reconstruction(q), q.latents - (z - (1 - alphabar).sqrt() * guided) / alphabar.sqrt(), **near)
    torch.testing.assert_close(reconstruction(q), ((1 - alphabar) / alphabar).sqrt() * (guided - q.noise), **near)


def test_interval_scores_compare_two_points_of_one_inversion() -> None:
    """By hand: 0 -> 200 -> 400 -> 450 along the scores without text, then 450 -> 500."""
    q = query(torch.randn(2, 3, 4, 4), scale=7.5, ism_interval=0.05, ism_stride=0.2)
    a, z = MODEL.alphas_cumprod, q.latents
    for now, after in ((0, 200), (200, 400), (400, 450), (450, 500)):
        noise = expected_noise(z, now, -0.25, 0.6)
        z = a[after].sqrt() * (z - (1 - a[now]).sqrt() * noise) / a[now].sqrt() + (1 - a[after]).sqrt() * noise
    text, none = expected_noise(z, T, 0.5, 0.2), expected_noise(z, T, -0.25, 0.6)
    torch.testing.assert_close(ism(q), none + 7.5 * (text - none) - noise, atol=1e-4, rtol=1e-4)


def test_interval_scores_work_below_the_interval() -> None:
    q = query(torch.randn(2, 3, 4, 4), t=10, ism_interval=0.05)
    assert torch.isfinite(ism(q)).all()


def where_scores_agree(m1: float, s1: float, m2: float, s2: float) -> float:
    """Of two Gaussians: (x - m1) / v1 = (x - m2) / v2 with v = alpha^2 spread^2 + sigma^2."""
    alphabar = float(MODEL.alphas_cumprod[T])
    v1, v2 = (alphabar * spread**2 + 1 - alphabar for spread in (s1, s2))
    return (m1 * v2 - m2 * v1) / (v2 - v1)


@pytest.mark.parametrize(
    ("objective", "optimum"),
    [
        ("sds", 0.5),  # at scale 1: the mean of the data
        ("reconstruction", 0.5),
        ("csd", where_scores_agree(0.5, 0.2, -0.25, 0.6)),
        ("vsd", where_scores_agree(0.5, 0.2, 0.1, 0.4)),
    ],
)
def test_descent_ends_at_the_known_optimum(objective: str, optimum: float) -> None:
    """From above and from below; a flipped sign runs away from it."""
    x = torch.stack([torch.full((3, 8, 8), -1.0), torch.full((3, 8, 8), 2.0)])
    steps = 3000
    for index in range(steps):
        q = query(x, student=lambda z, t: expected_noise(z, T, 0.1, 0.4))
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(index))
        x = x - 0.2 * (1 - index / steps) * OBJECTIVES[objective](replace(q, noise=noise))
    torch.testing.assert_close(x.mean((1, 2, 3)), torch.full((2,), optimum), atol=0.05, rtol=0.02)


def test_interval_scores_rest_where_text_and_data_agree() -> None:
    """With one and the same score with text and without, the mean of the data stays, and what is off it comes back."""

    def gradient_at(value: float) -> float:
        q = query(torch.full((1, 3, 4, 4), value), scale=1.0)
        same = lambda noisy, t: Prediction(*[MODEL.predict(noisy, t, TEXT, None)] * 3)  # noqa: E731
        return float(ism(replace(q, predict=same)).mean())

    assert abs(gradient_at(0.5)) < 1e-6
    assert gradient_at(0.7) > 1e-4
    assert gradient_at(0.3) < -1e-4


def test_rescale_brings_the_contrast_of_the_text_prediction_back() -> None:
    """On a model that sees a faint ramp under the text and nothing without it."""

    def contrast(scale: float, rescale: float) -> float:
        q = query(torch.randn(1, 3, 4, 4), scale=scale, rescale=rescale)
        alphabar, ramp = MODEL.alphas_cumprod[T], torch.linspace(-0.1, 0.1, 4).expand(1, 3, 4, 4)
        text, none = ((q.noisy - alphabar.sqrt() * clean) / (1 - alphabar).sqrt() for clean in (ramp, 0 * ramp))
        seen = Prediction(text, none, none + scale * (text - none))
        return float((q.latents - reconstruction(replace(q, predict=lambda z, t: seen))).std())

    assert contrast(30.0, 0.0) > 5 * contrast(1.0, 0.0)
    assert contrast(30.0, 1.0) == pytest.approx(contrast(1.0, 0.0), rel=1e-3)
    assert contrast(1.0, 0.0) < contrast(30.0, 0.5) < contrast(30.0, 0.0)


def test_weights_at_the_ends_of_the_schedule() -> None:
    alphabar = torch.tensor([1.0, 0.25])
    assert weight("sigma2", alphabar).tolist() == [0.0, 0.75]
    assert weight("uniform", alphabar).tolist() == [1.0, 1.0]
    assert weight("fantasia3d", alphabar).tolist() == [0.0, 0.375]


def test_clipping_bounds_values_and_each_views_size() -> None:
    gradient = torch.stack([torch.full((1, 2, 2), 0.5), torch.tensor([[[-8.0, 0.1], [float("nan"), 3.0]]])])
    by_value = clip_gradient(gradient, value=1.0, norm=0.0)
    assert by_value[0].eq(0.5).all()
    assert by_value[1].flatten().tolist() == pytest.approx(
        [-1.0, 0.1, float("nan"), 1.0], nan_ok=True
    )  # for the step to be skipped
    gradient = gradient.nan_to_num()
    by_norm = clip_gradient(gradient, value=0.0, norm=2.0)
    assert by_norm[0].eq(0.5).all()
    assert float(by_norm[1].square().mean().sqrt()) == pytest.approx(2.0)
    assert float(by_norm[1, 0, 0, 0] / by_norm[1, 0, 1, 1]) == pytest.approx(-8 / 3)
    assert torch.equal(clip_gradient(gradient[:1], value=0.0, norm=0.0), gradient[:1])
