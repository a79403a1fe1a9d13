"""What this plugin offers."""

from __future__ import annotations

from collections.abc import Iterable

from df3d import GuidancePlugin, hookimpl
from df3d_diffusion.config import SdsConfig


@hookimpl
def df3d_guidance() -> Iterable[GuidancePlugin]:
    yield GuidancePlugin(
        name="sds",
        summary="Score Distillation Sampling on a diffusers pipeline: Stable Diffusion, or a pixel-space model",
        config=SdsConfig,
        target="df3d_diffusion.sds:from_config",
    )
