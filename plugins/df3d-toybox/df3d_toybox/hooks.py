"""What this plugin offers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from df3d import GuidancePlugin, ScorerPlugin, hookimpl
from df3d_toybox.config import ToyboxConfig, ToyboxScorerConfig

if TYPE_CHECKING:
    import typer

df3d_api = 1


@hookimpl
def df3d_guidance() -> Iterable[GuidancePlugin]:
    yield GuidancePlugin(
        name="toybox",
        summary="Score distillation on the embedded model: no download, no GPU, some 800 kinds of object",
        config=ToyboxConfig,
        target="df3d_toybox.guidance:from_config",
        check="df3d_toybox.prompts:check",
        needs_with="df3d_diffusion.config:outputs",
    )


@hookimpl
def df3d_scorers() -> Iterable[ScorerPlugin]:
    yield ScorerPlugin(
        name="toybox",
        summary="Against the toybox world's own objects: retrieval, silhouette, shape, colour, number of faces",
        config=ToyboxScorerConfig,
        target="df3d_toybox.scorer:ToyboxScorer",
        headline=("iou", "top1", "top5", "f_score", "color_error", "faces", "janus"),
        lower=frozenset({"rank", "chamfer", "color_error", "faces", "janus"}),
    )


@hookimpl
def df3d_recipes() -> Iterable[Path]:
    yield Path(__file__).parent / "recipes"


@hookimpl
def df3d_commands(app: typer.Typer) -> None:
    from df3d_toybox.cli import toybox

    app.add_typer(toybox, name="toybox")
