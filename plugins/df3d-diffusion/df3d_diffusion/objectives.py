"""Score distillation objectives: what a model's predictions for noisy renders say of the renders.

Each is a function from a `Query` to the gradient with respect to the latents (V, C, h, w), and belongs to one paper. In
all of them eps_hat is the guided prediction, `uncond + scale * (text - uncond)`; peers that write
`text + scale * (text - uncond)` mean our scale less one. alpha and sigma are the square roots of alphabar and 1 - alphabar.
Nothing is ever backpropagated through the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from df3d_diffusion.config import DistillationConfig, Weighting
from df3d_diffusion.noising import at, denoised, noised


@dataclass(frozen=True)
class Prediction:
    """The noise a model sees in V noisy latents, each (V, C, h, w)."""

    text: Tensor  # under the prompt
    uncond: Tensor  # under the negative prompt, or none
    guided: Tensor  # away from `uncond` and towards `text`


@dataclass(frozen=True)
class Query:
    """One batch of latents and everything that an objective may ask about it."""

    latents: Tensor  # (V, C, h, w), without gradient
    noise: Tensor  # (V, C, h, w) standard normal
    timestep: Tensor  # (V,)
    alphas_cumprod: Tensor  # (T,) alphabar
    clip: float | None  # clean latents lie in [-clip, clip]
    config: DistillationConfig
    predict: Callable[[Tensor, Tensor], Prediction]  # of noisy latents at timesteps
    text: Callable[[Tensor, Tensor], Tensor]  # noise under the text alone
    low: int = 0  # the lowest timestep that this step could have drawn
    draw: Callable[[], Tensor] | None = None  # more noise, (V, C, h, w)
    student: Callable[[Tensor, Tensor], Tensor] | None = None  # noise under the text, by a model of the renders themselves
    anywhere: Callable[[Tensor, Tensor], Tensor] | None = None  # the same, not told from where they are seen
    group: int = 1  # views of one object, which are denoised together

    def alphabar(self, timestep: Tensor) -> Tensor:
        """(V, 1, 1, 1)."""
        return at(self.alphas_cumprod, timestep, self.latents)

    @cached_property
    def noisy(self) -> Tensor:
        return noised(self.latents, self.noise, self.alphabar(self.timestep))

    @property
    def weight(self) -> Tensor:
        """(V, 1, 1, 1) w(t)."""
        return weight(self.config.weighting, self.alphabar(self.timestep))


def weight(kind: Weighting, alphabar: Tensor) -> Tensor:
    """w(t): sigma^2 (DreamFusion), 1, or alpha sigma^2 (Fantasia3D, arXiv 2303.13873)."""
    if kind == "sigma2":
        return 1 - alphabar
    return torch.ones_like(alphabar) if kind == "uniform" else alphabar.sqrt() * (1 - alphabar)


def sds(query: Query) -> Tensor:
    """Score Distillation Sampling: w(t) (eps_hat - eps). DreamFusion, arXiv 2209.14988, equation 3."""
    return query.weight * (query.predict(query.noisy, query.timestep).guided - query.noise)


def csd(query: Query) -> Tensor:
    """Classifier Score Distillation: w(t) scale (eps_text - eps_uncond). arXiv 2310.19415, equation 8."""
    prediction = query.predict(query.noisy, query.timestep)
    return query.weight * (prediction.guided - prediction.uncond)


def ism(query: Query) -> Tensor:
    """Interval Score Matching: w(t) (eps_hat(z_t) - eps_uncond(z_s)). LucidDreamer, arXiv 2311.11284, equation 17.

    z_s and z_t are not drawn but reached from the latents by DDIM inversion without text (algorithm 1): in
    `ism_stride` steps to s = t - `ism_interval`, and from s to t in one.
    """
    latents, top = query.latents, query.timestep
    count, config = len(query.alphas_cumprod), query.config
    stride, interval = (max(1, int(share * count)) for share in (config.ism_stride, config.ism_interval))
    last = (top - interval).clamp(min=0)
    z, at = latents, torch.zeros_like(top)
    for _ in range(-(-int(last.max()) // stride)):
        after = torch.minimum(at + stride, last)
        z, at = _ddim(query, z, at, after, query.predict(z, at).uncond), after
    before = query.predict(z, at).uncond
    return query.weight * (query.predict(_ddim(query, z, at, top, before), top).guided - before)


def _ddim(query: Query, z: Tensor, now: Tensor, after: Tensor, noise: Tensor) -> Tensor:
    """One deterministic step of DDIM, either way (arXiv 2010.02502, equation 12)."""
    return noised(denoised(z, noise, query.alphabar(now)), noise, query.alphabar(after))


def vsd(query: Query) -> Tensor:
    """Variational Score Distillation: w(t) (eps_hat - eps_phi). ProlificDreamer, arXiv 2305.16213, equation 9.

    eps_phi is the student: the same model with a low-rank adapter, which learns the renders as they change.
    """
    assert query.student is not None
    guided = query.predict(query.noisy, query.timestep).guided
    return query.weight * (guided - query.student(query.noisy, query.timestep))


def esd(query: Query) -> Tensor:
    """Entropic Score Distillation: w(t) (eps_hat - share eps_phi - (1 - share) eps_phi without the view).

    arXiv 2401.00909: VSD whose student is guided away from knowing the view, which raises the entropy over views.
    """
    assert query.student is not None
    assert query.anywhere is not None
    share, guided = query.config.view_share, query.predict(query.noisy, query.timestep).guided
    told, untold = query.student(query.noisy, query.timestep), query.anywhere(query.noisy, query.timestep)
    return query.weight * (guided - share * told - (1 - share) * untold)


def asd(query: Query) -> Tensor:
    """Asynchronous Score Distillation: w(t) (eps_hat(z_t) - eps_text(z_t')). ScaleDreamer, arXiv 2407.02040.

    z_t' has the same noise at the later timestep t' = t + `asd_shift` (t - lowest): what the model sees there stands in for the
    student of VSD.
    """
    shift = (query.config.asd_shift * (query.timestep - query.low)).long()
    later = (query.timestep + shift).clamp(1, len(query.alphas_cumprod) - 1)
    guided = query.predict(query.noisy, query.timestep).guided
    return query.weight * (guided - query.text(noised(query.latents, query.noise, query.alphabar(later)), later))


def sdi(query: Query) -> Tensor:
    """Score Distillation via Inversion: z - x0_hat(z_t), z_t found by DDIM inversion. arXiv 2405.15891.

    The inversion takes `inversion_steps` equal steps of the whole schedule, at guidance `inversion_scale` (below 0: away from
    the text), each with `inversion_noise` of DDIM's own variance.
    """
    config, top, count = query.config, query.timestep, len(query.alphas_cumprod)
    stride = max(1, count // config.inversion_steps)
    z, now = query.latents, torch.zeros_like(top)
    while bool((now < top).any()):
        after = torch.minimum(now + stride, top)
        seen = query.predict(z, now)
        z = _ddim(query, z, now, after, seen.uncond + config.inversion_scale * (seen.text - seen.uncond))
        if config.inversion_noise and query.draw is not None:
            z = z + config.inversion_noise * _variance(query, now, after).sqrt() * query.draw()
        now = after
    return query.latents - _clean(query, z)


def _variance(query: Query, now: Tensor, after: Tensor) -> Tensor:
    """Of the noise that DDIM may add between two timesteps (arXiv 2010.02502, equation 16); 0 where they are one."""
    before, later = query.alphabar(now), query.alphabar(after)
    return ((1 - before) / (1 - later) * (1 - later / before)).clamp_min(0)


def _clean(query: Query, noisy: Tensor) -> Tensor:
    """x0_hat at the query's timesteps: in one step, or in `clean_steps` of DDIM (PFD, arXiv 2605.09071)."""
    z, now = noisy, query.timestep
    for left in range(query.config.clean_steps - 1, 0, -1):
        after = query.timestep * left // query.config.clean_steps
        z, now = _ddim(query, z, now, after, query.predict(z, now).guided), after
    clean = denoised(z, query.predict(z, now).guided, query.alphabar(now))
    return clean if query.clip is None else clean.clamp(-query.clip, query.clip)


def reconstruction(query: Query) -> Tensor:
    """Distance to the predicted clean latents: z - x0_hat, x0_hat = (z_t - sigma eps_hat) / alpha. MVDream, arXiv 2308.16512.

    For a rectified flow, whose z_s = (1 - s) x + s eps, this is s (v_hat - (eps - x)), that of RFDS (arXiv 2406.03293) with w = s.
    It is SDS with w = sigma / alpha, but for two things: the contrast of x0_hat can be brought back to that of the
    unguided prediction (`rescale`, arXiv 2305.08891, section 3.4), and models of images clip it to their range.
    """
    alphabar = query.alphabar(query.timestep)
    prediction = query.predict(query.noisy, query.timestep)
    clean, plain = (denoised(query.noisy, noise, alphabar) for noise in (prediction.guided, prediction.text))
    if query.config.rescale:
        factor = _contrast(plain, query.group) / _contrast(clean, query.group).clamp_min(1e-6)
        clean = clean * (query.config.rescale * factor + 1 - query.config.rescale)
    return query.latents - (clean if query.clip is None else clean.clamp(-query.clip, query.clip))


def _contrast(images: Tensor, group: int) -> Tensor:
    """(V, 1, 1, 1) standard deviation, of all views of an object together."""
    return images.reshape(-1, group * images[0].numel()).std(1).repeat_interleave(group)[:, None, None, None]


OBJECTIVES: dict[str, Callable[[Query], Tensor]] = {
    "sds": sds,
    "csd": csd,
    "ism": ism,
    "vsd": vsd,
    "esd": esd,
    "asd": asd,
    "sdi": sdi,
    "reconstruction": reconstruction,
}


def clip_gradient(gradient: Tensor, *, value: float, norm: float) -> Tensor:
    """Cut values to [-value, value], then shrink each view's gradient to an RMS of at most `norm`; 0 leaves it alone.

    Clipping values is the score clipping of D-SDS (arXiv 2303.15413, section 4.2).
    """
    if value:
        gradient = gradient.clamp(-value, value)
    if norm:
        size = gradient.square().mean((1, 2, 3), keepdim=True).sqrt()
        gradient = gradient * (norm / size.clamp_min(norm))
    return gradient
