"""Every hook a plugin can implement. A plugin is a module in the entry-point group `df3d`:

    [project.entry-points.df3d]
    red = "df3d_red.hooks"

    # df3d_red/hooks.py
    from df3d import GuidancePlugin, hookimpl
    from df3d_red.config import RedConfig

    df3d_api = 1  # the version of this interface that the plugin is written for

    @hookimpl
    def df3d_guidance():
        yield GuidancePlugin(name="red", summary="Make it red", config=RedConfig, target="df3d_red.guidance:Red")

Neither module may import torch: hooks run for `df3d --help` too. `df3d plugins new NAME --kind KIND` writes such a package.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

from df3d.plugin.records import (
    CamerasPlugin,
    ExporterPlugin,
    FieldPlugin,
    GuidancePlugin,
    ImporterPlugin,
    LauncherPlugin,
    OptimizerPlugin,
    PenaltyPlugin,
    RendererPlugin,
    ScorerPlugin,
    SourcePlugin,
)
from df3d.system.checks import Finding

if TYPE_CHECKING:
    import typer

    from df3d.events import Event

hookspec = pluggy.HookspecMarker("df3d")
hookimpl = pluggy.HookimplMarker("df3d")


@hookspec
def df3d_fields() -> Iterable[FieldPlugin]:  # type: ignore[empty-body]
    """Offer scene representations that renderers can draw."""


@hookspec
def df3d_renderers() -> Iterable[RendererPlugin]:  # type: ignore[empty-body]
    """Offer ways to turn a field and cameras into images."""


@hookspec
def df3d_guidance() -> Iterable[GuidancePlugin]:  # type: ignore[empty-body]
    """Offer losses that say how well images match a prompt."""


@hookspec
def df3d_cameras() -> Iterable[CamerasPlugin]:  # type: ignore[empty-body]
    """Offer ways to choose the cameras of a training step."""


@hookspec
def df3d_penalties() -> Iterable[PenaltyPlugin]:  # type: ignore[empty-body]
    """Offer penalties on renders and fields, which recipes give a weight."""


@hookspec
def df3d_optimizers() -> Iterable[OptimizerPlugin]:  # type: ignore[empty-body]
    """Offer optimisers."""


@hookspec
def df3d_sources() -> Iterable[SourcePlugin]:  # type: ignore[empty-body]
    """Offer generators that make an asset, or a field's state, in one go."""


@hookspec
def df3d_importers() -> Iterable[ImporterPlugin]:  # type: ignore[empty-body]
    """Offer readers of files."""


@hookspec
def df3d_exporters() -> Iterable[ExporterPlugin]:  # type: ignore[empty-body]
    """Offer file formats to write."""


@hookspec
def df3d_scorers() -> Iterable[ScorerPlugin]:  # type: ignore[empty-body]
    """Offer numbers that judge a finished asset."""


@hookspec
def df3d_launchers() -> Iterable[LauncherPlugin]:  # type: ignore[empty-body]
    """Offer places where the workers of a batch run."""


@hookspec
def df3d_recipes() -> Iterable[Path]:  # type: ignore[empty-body]
    """Offer folders of recipe files (`*.toml`)."""


@hookspec
def df3d_commands(app: typer.Typer) -> None:
    """Add subcommands to `df3d`; import what they need inside their functions."""


@hookspec
def df3d_checks() -> Iterable[Finding]:  # type: ignore[empty-body]
    """Look at the machine for `df3d doctor`; called only then, so it may import what it needs."""


@hookspec
def df3d_on_event(event: Event) -> None:
    """Watch a run, for example to log it elsewhere."""
