"""Noising and its inverses: alphabar is `alphas_cumprod` at a timestep, alpha its root, sigma the root of 1 - alphabar."""

from __future__ import annotations

from torch import Tensor


def at(alphas_cumprod: Tensor, timestep: Tensor, like: Tensor) -> Tensor:
    """(V, 1, 1, 1) alphabar at timesteps (V,), in the type and on the device of `like`."""
    return alphas_cumprod[timestep].to(like)[:, None, None, None]


def noised(clean: Tensor, noise: Tensor, alphabar: Tensor) -> Tensor:
    """z_t = alpha x + sigma eps (DDPM, arXiv 2006.11239, equation 4)."""
    return alphabar.sqrt() * clean + (1 - alphabar).sqrt() * noise


def denoised(noisy: Tensor, noise: Tensor, alphabar: Tensor) -> Tensor:
    """x = (z_t - sigma eps) / alpha."""
    return (noisy - (1 - alphabar).sqrt() * noise) / alphabar.sqrt()


def velocity(clean: Tensor, noise: Tensor, alphabar: Tensor) -> Tensor:
    """v = alpha eps - sigma x (arXiv 2202.00512, appendix D)."""
    return alphabar.sqrt() * noise - (1 - alphabar).sqrt() * clean


def to_noise(prediction: Tensor, noisy: Tensor, alphabar: Tensor, kind: str) -> Tensor:
    """The noise a prediction stands for: of noise, of v (arXiv 2202.00512), or of the clean sample."""
    if kind == "epsilon":
        return prediction
    if kind == "v_prediction":
        return alphabar.sqrt() * prediction + (1 - alphabar).sqrt() * noisy
    return (noisy - alphabar.sqrt() * prediction) / (1 - alphabar).sqrt()
