"""What this plugin offers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from df3d import Finding, GuidancePlugin, hookimpl
from df3d_diffusion.config import MultiViewConfig, SdsConfig

if TYPE_CHECKING:
    import typer

df3d_api = 1


@hookimpl
def df3d_guidance() -> Iterable[GuidancePlugin]:
    yield GuidancePlugin(
        name="sds",
        summary="Score Distillation Sampling on a diffusers pipeline: Stable Diffusion, or a pixel-space model",
        config=SdsConfig,
        target="df3d_diffusion.sds:from_config",
        ready="df3d_diffusion.models:ready",
        memory="df3d_diffusion.memory:memory",
        needs_with="df3d_diffusion.config:outputs",
    )

    yield GuidancePlugin(
        name="mvdream",
        summary="The same on a multi-view model, MVDream, which denoises four views of an object together: no second face",
        config=MultiViewConfig,
        target="df3d_diffusion.sds:from_config",
        ready="df3d_diffusion.models:ready",
        memory="df3d_diffusion.memory:memory",
        needs_with="df3d_diffusion.config:outputs",
        group=4,
    )


@hookimpl
def df3d_recipes() -> Iterable[Path]:
    yield Path(__file__).parent / "recipes"


@hookimpl
def df3d_checks() -> Iterable[Finding]:
    from df3d.system.checks import package
    from df3d_diffusion.models import ALIASES, hub_answers, on_disk

    yield package("diffusers", "no diffusion guidance")
    yield package("transformers", "no diffusion guidance")
    here = [alias.name for alias in ALIASES.values() if any(on_disk(hub) for hub in alias.hubs)]
    if here:
        yield Finding("models", "ok", f"on disk: {', '.join(here)}")
    else:
        yield Finding("models", "missing", "none on disk", "only the embedded toybox model can guide", "df3d models pull sd21")
    reached, detail = hub_answers()
    if reached:
        yield Finding("model hub", "ok", detail)
    else:
        yield Finding("model hub", "missing", detail, "no model can be fetched; those on disk work", "check the network")


@hookimpl
def df3d_commands(app: typer.Typer) -> None:
    from df3d_diffusion.cli import models

    app.add_typer(models, name="models")
