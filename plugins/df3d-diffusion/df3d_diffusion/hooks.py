"""What this plugin offers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from df3d import GuidancePlugin, hookimpl
from df3d_diffusion.config import SdsConfig

if TYPE_CHECKING:
    import typer


@hookimpl
def df3d_guidance() -> Iterable[GuidancePlugin]:
    yield GuidancePlugin(
        name="sds",
        summary="Score Distillation Sampling on a diffusers pipeline: Stable Diffusion, or a pixel-space model",
        config=SdsConfig,
        target="df3d_diffusion.sds:from_config",
        ready="df3d_diffusion.models:ready",
    )


@hookimpl
def df3d_commands(app: typer.Typer) -> None:
    from df3d_diffusion.cli import models

    app.add_typer(models, name="models")
