"""What this plugin offers."""

from __future__ import annotations

from collections.abc import Iterable

from df3d import FieldPlugin, RendererPlugin, hookimpl
from df3d_nvdiffrast.config import RasterConfig, TetsConfig, TextureConfig


@hookimpl
def df3d_fields() -> Iterable[FieldPlugin]:
    yield FieldPlugin(
        name="tets",
        summary="Surface in a deformable tetrahedral grid, coloured by a hash grid",
        config=TetsConfig,
        target="df3d_nvdiffrast.field:TetsField",
        provides=frozenset({"surface"}),
        starts_from=frozenset({"volume"}),
    )
    yield FieldPlugin(
        name="texture",
        summary="A finished surface whose texture learns, to be exported as it is",
        config=TextureConfig,
        target="df3d_nvdiffrast.texture_field:TextureField",
        provides=frozenset({"surface"}),
        starts_from=frozenset({"surface", "volume"}),
    )


@hookimpl
def df3d_renderers() -> Iterable[RendererPlugin]:
    yield RendererPlugin(
        name="raster",
        summary="Rasterisation, by nvdiffrast on a GPU or by df3d itself on any machine",
        config=RasterConfig,
        target="df3d_nvdiffrast.renderer:RasterRenderer",
        needs=frozenset({"surface"}),
        outputs=frozenset({"rgb", "opacity", "depth", "normal", "mesh"}),
    )
