"""What this plugin offers."""

from __future__ import annotations

from collections.abc import Iterable

from df3d import FieldPlugin, Finding, RendererPlugin, hookimpl
from df3d_nvdiffrast.config import RasterConfig, TetsConfig, TextureConfig

df3d_api = 1


@hookimpl
def df3d_fields() -> Iterable[FieldPlugin]:
    yield FieldPlugin(
        name="tets",
        summary="Surface in a deformable tetrahedral grid, coloured by a hash grid",
        config=TetsConfig,
        target="df3d_nvdiffrast.field:TetsField",
        provides=frozenset({"surface"}),
        starts_from=frozenset({"volume"}),
        memory="df3d_nvdiffrast.config:tets_memory",
    )
    yield FieldPlugin(
        name="texture",
        summary="A finished surface whose texture learns, to be exported as it is",
        config=TextureConfig,
        target="df3d_nvdiffrast.texture_field:TextureField",
        provides=frozenset({"surface"}),
        starts_from=frozenset({"surface", "volume"}),
        memory="df3d_nvdiffrast.config:texture_memory",
    )


@hookimpl
def df3d_renderers() -> Iterable[RendererPlugin]:
    yield RendererPlugin(
        name="raster",
        summary="Rasterisation, by nvdiffrast on a GPU or by df3d itself on any machine",
        config=RasterConfig,
        target="df3d_nvdiffrast.renderer:RasterRenderer",
        needs=frozenset({"surface"}),
        outputs=frozenset({"rgb", "opacity", "depth", "normal", "mesh", "background"}),
        draws=frozenset({"mesh"}),
        memory="df3d_nvdiffrast.config:raster_memory",
    )


@hookimpl
def df3d_checks() -> Iterable[Finding]:
    from df3d.system.checks import package

    build = "python -m pip install --no-build-isolation git+https://github.com/NVlabs/nvdiffrast"
    yield package("nvdiffrast", "surfaces are rasterised on the CPU, beside a GPU too", build)
