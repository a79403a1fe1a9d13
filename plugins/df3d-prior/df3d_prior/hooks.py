"""What this plugin offers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from df3d import GuidancePlugin, ScorerPlugin, hookimpl
from df3d_prior.config import LibraryScorerConfig, PriorConfig

if TYPE_CHECKING:
    import typer

df3d_api = 1


@hookimpl
def df3d_guidance() -> Iterable[GuidancePlugin]:
    yield GuidancePlugin(
        name="prior",
        summary="Score distillation on a small prior that was trained on a library of meshes",
        config=PriorConfig,
        target="df3d_prior.guidance:from_config",
        check="df3d_prior.prompts:check",
        needs_with="df3d_diffusion.config:outputs",
    )


@hookimpl
def df3d_scorers() -> Iterable[ScorerPlugin]:
    yield ScorerPlugin(
        name="library",
        summary="Against a library's own objects: retrieval of the noun, silhouette, colour, front and number of faces",
        config=LibraryScorerConfig,
        target="df3d_prior.scorer:LibraryScorer",
        headline=("top1", "top5", "iou", "color_error", "faces", "janus"),
        lower=frozenset({"rank", "color_error", "faces", "janus"}),
    )


@hookimpl
def df3d_commands(app: typer.Typer) -> None:
    from df3d_prior.cli import prior

    app.add_typer(prior, name="prior")
