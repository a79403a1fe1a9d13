"""What this plugin offers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from df3d import Finding, GuidancePlugin, hookimpl
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
        fit="df3d_diffusion.memory:plan",
    )


@hookimpl
def df3d_checks() -> Iterable[Finding]:
    from df3d_diffusion.models import ALIASES, hub_answers, on_disk

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
