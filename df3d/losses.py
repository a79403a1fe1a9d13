"""Penalties on a rendering, as pure functions that return a scalar. `PenaltyConfig` gives each its weight."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from df3d.options import PenaltyConfig
from df3d.schedule import Step
from df3d.types import RenderOutput


def opacity(view: RenderOutput) -> Tensor:
    """mean sqrt(o^2 + 0.01) over pixels: keeps space empty (DreamFusion, arXiv 2209.14988, appendix A.2)."""
    return (view.opacity.square() + 0.01).sqrt().mean()


def entropy(view: RenderOutput) -> Tensor:
    """Mean binary entropy of the opacity, in nats: lowest when each pixel is empty or solid (Latent-NeRF, 2211.07600)."""
    o = view.opacity.clamp(1e-4, 1 - 1e-4)
    return -(o * o.log() + (1 - o) * (1 - o).log()).mean()


def orientation(view: RenderOutput) -> Tensor:
    """sum w stop_gradient * max(0, n . d)^2 per ray: visible normals face the camera (Ref-NeRF, arXiv 2112.03907, eq. 11)."""
    samples = view.samples
    if samples is None or samples.normals is None:
        return view.opacity.new_zeros(())
    away = (samples.normals * samples.directions).sum(-1).clamp_min(0.0)
    return (samples.weights.detach() * away.square()).sum() / samples.rays


PENALTIES: dict[str, Callable[[RenderOutput], Tensor]] = {"opacity": opacity, "entropy": entropy, "orientation": orientation}


def penalties(config: PenaltyConfig, view: RenderOutput, step: Step) -> dict[str, Tensor]:
    """The weighted penalties that are on at this step."""
    weights = {name: getattr(config, name).at(step) for name in PENALTIES}
    return {name: weight * PENALTIES[name](view) for name, weight in weights.items() if weight}
