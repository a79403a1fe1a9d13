"""Every hook a plugin can implement. A plugin is a module in the entry-point group `df3d`:

    [project.entry-points.df3d]
    red = "df3d_red.hooks"

    # df3d_red/hooks.py
    from df3d import GuidancePlugin, hookimpl
    from df3d_red.config import RedConfig

    @hookimpl
    def df3d_guidance():
        yield GuidancePlugin(name="red", summary="Make it red", config=RedConfig, target="df3d_red.guidance:Red")

Neither module may import torch: hooks run for `df3d --help` too.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import typer

    from df3d.events import Event
    from df3d.plugin import ExporterPlugin, FieldPlugin, Finding, GuidancePlugin, RendererPlugin, ScorerPlugin

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
def df3d_scorers() -> Iterable[ScorerPlugin]:  # type: ignore[empty-body]
    """Offer numbers that judge a finished asset."""


@hookspec
def df3d_exporters() -> Iterable[ExporterPlugin]:  # type: ignore[empty-body]
    """Offer file formats."""


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
