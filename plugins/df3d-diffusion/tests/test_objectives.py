"""Every objective on models whose scores are known in closed form: its gradient is the formula, its optimum the known one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from denoisers import Gaussian
from df3d_diffusion.config import DistillationConfig
from df3d_diffusion.objectives import (
    OBJECTIVES,
    Prediction,
    Query,
    asd,
    clip_gradient,
    csd,
    esd,
    ism,
    reconstruction,
    sdi,
    sds,
    vsd,
    weight,
)
from torch import Tensor

MODEL = Gaussian({"text": 0.5, "none": -0.25}, spreads={"text": 0.2, "none": 0.6})
TEXT, NONE = MODEL.encode_text(["text", "none"]).split(1)
T = 500


Opinion = Callable[[Tensor, Tensor], Tensor]


def query(
    latents: Tensor, *, student: Opinion | None = None, anywhere: Opinion | None = None, t: int = T, **options: object
) -> Query:
    config = DistillationConfig(**{"scale": 1.0, "weighting": "uniform", **options})  # type: ignore[arg-type]
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(7))

    def predict(noisy: Tensor, timestep: Tensor) -> Prediction:
        text, none = (MODEL.predict(noisy, timestep, e.expand(len(noisy), -1, -1), None) for e in (TEXT, NONE))
        return Prediction(text, none, none + config.scale * (text - none))

    def text(noisy: Tensor, timestep: Tensor) -> Tensor:
        return predict(noisy, timestep).text

    timestep, low = torch.full((len(latents),), t), 100
    draws = torch.Generator().manual_seed(8)
    return Query(
        latents, noise, timestep, MODEL.alphas_cumprod, None, config, predict, text, low,
        lambda: torch.randn(latents.shape, generator=draws), student, anywhere,
    )  # fmt: skip


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


def test_asynchronous_scores_look_twice_at_the_same_noise() -> None:
    """By hand: at 500, guided, and at 500 + 0.25 (500 - 100) = 600, under the text alone."""
    q = query(torch.randn(2, 3, 4, 4), scale=7.5, asd_shift=0.25)
    a = MODEL.alphas_cumprod
    z, later = (a[t].sqrt() * q.latents + (1 - a[t]).sqrt() * q.noise for t in (T, 600))
    text, none = expected_noise(z, T, 0.5, 0.2), expected_noise(z, T, -0.25, 0.6)
    expected = none + 7.5 * (text - none) - expected_noise(later, 600, 0.5, 0.2)
    torch.testing.assert_close(asd(q), expected, atol=1e-5, rtol=1e-4)
    last = query(torch.randn(2, 3, 4, 4), t=990, asd_shift=1.0)
    assert torch.isfinite(asd(last)).all()


def test_entropic_scores_mix_two_students() -> None:
    q = query(torch.randn(2, 3, 4, 4), scale=7.5, view_share=0.75, student=lambda z, t: 0.3 * z, anywhere=lambda z, t: -0.1 * z)
    alike = query(q.latents, scale=7.5, student=lambda z, t: (0.75 * 0.3 - 0.25 * 0.1) * z)
    torch.testing.assert_close(esd(q), vsd(alike))


def test_inversion_goes_away_from_the_text_and_comes_back_in_one_step() -> None:
    """By hand: 0 -> 250 -> 500 along the noise guided by -7.5, then the guided clean image; no noise is added."""
    q = query(torch.randn(2, 3, 4, 4), scale=7.5, inversion_steps=4, inversion_scale=-7.5, inversion_noise=0.0)
    a, z = MODEL.alphas_cumprod, q.latents
    for now, after in ((0, 250), (250, 500)):
        text, none = expected_noise(z, now, 0.5, 0.2), expected_noise(z, now, -0.25, 0.6)
        noise = none - 7.5 * (text - none)
        z = a[after].sqrt() * (z - (1 - a[now]).sqrt() * noise) / a[now].sqrt() + (1 - a[after]).sqrt() * noise
    text, none = expected_noise(z, T, 0.5, 0.2), expected_noise(z, T, -0.25, 0.6)
    clean = (z - (1 - a[T]).sqrt() * (none + 7.5 * (text - none))) / a[T].sqrt()
    torch.testing.assert_close(sdi(q), q.latents - clean, atol=1e-3, rtol=1e-3)


def test_the_noise_of_an_inversion_is_ddims_own() -> None:
    """One step from 0 to 500: the latents found differ by 0.5 sqrt(variance) of one drawn noise."""
    options = {"scale": 1.0, "inversion_steps": 1, "inversion_scale": 0.0}
    latents = torch.randn(2, 3, 4, 4)
    plain, noisy = (query(latents, inversion_noise=share, **options) for share in (0.0, 0.5))
    a, b = MODEL.alphas_cumprod[0], MODEL.alphas_cumprod[T]
    variance = (1 - a) / (1 - b) * (1 - b / a)
    moved = 0.5 * variance.sqrt() * torch.randn(latents.shape, generator=torch.Generator().manual_seed(8))
    slope = (1 - (1 - b) / (b * 0.2**2 + 1 - b)) / b.sqrt()  # of the clean image by the noisy one, under the text
    torch.testing.assert_close(sdi(plain) - sdi(noisy), slope * moved, atol=1e-5, rtol=1e-3)


def test_more_steps_to_the_clean_image_follow_the_flow() -> None:
    """A Gaussian's flow is known: x - mean scales by spread / sqrt(alphabar spread^2 + 1 - alphabar)."""
    latents = torch.randn(2, 3, 4, 4)
    errors = []
    for steps in (1, 4, 50):
        q = query(latents, scale=1.0, inversion_steps=1, inversion_scale=1.0, inversion_noise=0.0, clean_steps=steps)
        a, b = MODEL.alphas_cumprod[0], MODEL.alphas_cumprod[T]
        noise = expected_noise(latents, 0, 0.5, 0.2)
        z = b.sqrt() * (latents - (1 - a).sqrt() * noise) / a.sqrt() + (1 - b).sqrt() * noise
        exact = 0.5 + (z - b.sqrt() * 0.5) * 0.2 / (b * 0.2**2 + 1 - b).sqrt()
        errors.append(float((latents - sdi(q) - exact).abs().max()))
    assert errors[0] > 2 * errors[1] > 16 * errors[2]


def test_reconstruction_of_a_flow_is_rfds() -> None:
    """With z_s = (1 - s) x + s eps and a velocity v of eps - x: x - x0_hat = s (v - (eps - x))."""
    x, eps, v = torch.randn(3, 2, 3, 4, 4, dtype=torch.float64).unbind()
    s = 0.37
    k = (s**2 + (1 - s) ** 2) ** 0.5
    flow, alphabar = (1 - s) * x + s * eps, torch.tensor([((1 - s) / k) ** 2], dtype=torch.float64)
    noise = flow + (1 - s) * v
    config = DistillationConfig(scale=1.0)
    q = Query(x, eps, torch.zeros(2, dtype=torch.long), alphabar, None, config,
              lambda z, t: Prediction(noise, noise, noise), lambda z, t: noise)  # fmt: skip
    torch.testing.assert_close(q.noisy, flow / k)
    torch.testing.assert_close(reconstruction(q), s * (v - (eps - x)))


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


def one_row(q: Query, i: int) -> Query:
    """The same, asked about one of its latents alone."""
    part = slice(i, i + 1)
    return replace(q, latents=q.latents[part], noise=q.noise[part], timestep=q.timestep[part])


@pytest.mark.parametrize("objective", ["sds", "csd", "ism", "asd", "sdi", "reconstruction"])
def test_views_at_other_timesteps_change_nothing_of_one(objective: str) -> None:
    """Inversions go on until the last of a batch is there: those that are there already wait."""
    q = query(torch.randn(3, 3, 4, 4), scale=3.0, inversion_steps=4, inversion_noise=0.0, clean_steps=2)
    q = replace(q, timestep=torch.tensor([10, 320, 800]))
    whole = OBJECTIVES[objective](q)
    for i in range(3):
        torch.testing.assert_close(whole[i : i + 1], OBJECTIVES[objective](one_row(q, i)), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("objective", ["sdi", "reconstruction"])
def test_clean_images_are_cut_to_the_range_of_the_model(objective: str) -> None:
    q = query(2 * torch.randn(2, 3, 4, 4), scale=7.5, inversion_noise=0.0)
    free, cut = (q.latents - OBJECTIVES[objective](replace(q, clip=clip)) for clip in (None, 0.3))
    assert float(free.abs().max()) > 0.3
    torch.testing.assert_close(cut, free.clamp(-0.3, 0.3))


def test_a_share_smaller_than_one_timestep_is_one() -> None:
    latents = torch.randn(2, 3, 4, 4)
    small, one = (ism(query(latents, t=4, ism_interval=share, ism_stride=share)) for share in (1e-5, 0.0011))
    assert torch.equal(small, one)


def test_the_second_look_is_within_the_schedule() -> None:
    """From 990 by 890: at the last timestep, 999; and at 0, where there is nothing to be seen, not at all."""
    latents = torch.randn(2, 3, 4, 4)
    a = MODEL.alphas_cumprod
    q = query(latents, t=990, asd_shift=1.0)
    later = a[999].sqrt() * latents + (1 - a[999]).sqrt() * q.noise
    now = a[990].sqrt() * latents + (1 - a[990]).sqrt() * q.noise
    expected = expected_noise(now, 990, 0.5, 0.2) - expected_noise(later, 999, 0.5, 0.2)
    torch.testing.assert_close(asd(q), expected, atol=1e-5, rtol=1e-4)


def test_contrast_is_that_of_all_views_of_an_object() -> None:
    """By hand, two objects of two views: one factor for each object."""
    q = replace(query(torch.zeros(4, 3, 4, 4), rescale=1.0), group=2)
    alphabar = MODEL.alphas_cumprod[T]
    strong, plain = 3 * torch.randn(4, 3, 4, 4), torch.randn(4, 3, 4, 4) * torch.tensor([0.1, 1, 2, 3])[:, None, None, None]
    text, guided = ((q.noisy - alphabar.sqrt() * clean) / (1 - alphabar).sqrt() for clean in (plain, strong))
    found = -reconstruction(replace(q, predict=lambda z, t: Prediction(text, text, guided)))
    for pair in (slice(0, 2), slice(2, 4)):
        torch.testing.assert_close(found[pair], strong[pair] * plain[pair].std() / strong[pair].std(), atol=1e-4, rtol=1e-4)


def test_what_has_no_contrast_is_left_as_it_is() -> None:
    q = query(torch.zeros(1, 3, 4, 4), rescale=1.0)
    q = replace(q, noise=torch.zeros_like(q.noise))
    nothing = Prediction(*[torch.zeros_like(q.latents)] * 3)
    assert reconstruction(replace(q, predict=lambda z, t: nothing)).eq(0).all()


def test_two_steps_to_the_clean_image_meet_in_the_middle() -> None:
    """By hand: from 500 to 250 along the guided noise, and from there to the clean image."""
    q = query(torch.randn(2, 3, 4, 4), inversion_steps=1, inversion_scale=1.0, inversion_noise=0.0, clean_steps=2)
    a, z = MODEL.alphas_cumprod, q.latents
    for now, after in ((0, 500), (500, 250)):
        noise = expected_noise(z, now, 0.5, 0.2)
        z = a[after].sqrt() * (z - (1 - a[now]).sqrt() * noise) / a[now].sqrt() + (1 - a[after]).sqrt() * noise
    clean = (z - (1 - a[250]).sqrt() * expected_noise(z, 250, 0.5, 0.2)) / a[250].sqrt()
    torch.testing.assert_close(q.latents - sdi(q), clean, atol=1e-4, rtol=1e-4)
