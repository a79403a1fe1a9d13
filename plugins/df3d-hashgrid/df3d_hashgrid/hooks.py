"""What this plugin offers."""

from __future__ import annotations

from collections.abc import Iterable

from df3d import FieldPlugin, RendererPlugin, hookimpl
from df3d_hashgrid.config import HashGridConfig, RayMarchConfig


@hookimpl
def df3d_fields() -> Iterable[FieldPlugin]:
    yield FieldPlugin(
        name="hashgrid",
        summary="NeRF on a multi-resolution hash grid",
        config=HashGridConfig,
        target="df3d_hashgrid.field:HashGridField",
        provides=frozenset({"volume"}),
        starts_from=frozenset({"volume"}),
    )


@hookimpl
def df3d_renderers() -> Iterable[RendererPlugin]:
    yield RendererPlugin(
        name="raymarch",
        summary="Volume rendering with an occupancy grid",
        config=RayMarchConfig,
        target="df3d_hashgrid.renderer:RayMarchRenderer",
        needs=frozenset({"volume"}),
        outputs=frozenset({"rgb", "opacity", "depth", "normal"}),
    )
