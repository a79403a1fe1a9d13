"""What this plugin offers."""

from collections.abc import Iterable
from pathlib import Path

from df3d import (
    CamerasPlugin,
    GuidancePlugin,
    ImporterPlugin,
    LauncherPlugin,
    OptimizerPlugin,
    PenaltyPlugin,
    SourcePlugin,
    hookimpl,
)
from df3d_odds.config import BoxConfig, FrontConfig, LikenessConfig, SignConfig

df3d_api = 1


@hookimpl
def df3d_guidance() -> Iterable[GuidancePlugin]:
    yield GuidancePlugin(
        name="likeness",
        summary="Renders from where a picture was taken look like it",
        config=LikenessConfig,
        target="df3d_odds.parts:Likeness",
        accepts=frozenset({"image"}),
    )


@hookimpl
def df3d_penalties() -> Iterable[PenaltyPlugin]:
    yield PenaltyPlugin(
        name="smoothness", summary="Neighbouring pixels are alike", target="df3d_odds.parts:smoothness", needs=frozenset({"rgb"})
    )


@hookimpl
def df3d_cameras() -> Iterable[CamerasPlugin]:
    yield CamerasPlugin(
        name="front",
        summary="Cameras that sway about the front",
        config=FrontConfig,
        target="df3d_odds.parts:FrontCameras",
        workload="df3d_odds.config:workload",
    )


@hookimpl
def df3d_optimizers() -> Iterable[OptimizerPlugin]:
    yield OptimizerPlugin(name="sign", summary="The sign of the gradient", config=SignConfig, target="df3d_odds.parts:sign")


@hookimpl
def df3d_sources() -> Iterable[SourcePlugin]:
    yield SourcePlugin(
        name="box",
        summary="A box whose colour the seed decides",
        config=BoxConfig,
        target="df3d_odds.parts:BoxSource",
        makes="mesh",
    )


@hookimpl
def df3d_importers() -> Iterable[ImporterPlugin]:
    yield ImporterPlugin(name="tri", summary="Lines of nine numbers", target="df3d_odds.parts:TriImporter", suffixes=(".tri",))


@hookimpl
def df3d_launchers() -> Iterable[LauncherPlugin]:
    yield LauncherPlugin(name="shout", summary="Only prints", target="df3d_odds.parts:Shout")


@hookimpl
def df3d_recipes() -> Iterable[Path]:
    yield Path(__file__).parent / "recipes"
