"""What this plugin offers."""

from __future__ import annotations

from collections.abc import Iterable

from df3d import FieldPlugin, Finding, RendererPlugin, hookimpl
from df3d_hashgrid.config import HashGridConfig, RayMarchConfig

df3d_api = 1


@hookimpl
def df3d_fields() -> Iterable[FieldPlugin]:
    yield FieldPlugin(
        name="hashgrid",
        summary="NeRF on a multi-resolution hash grid",
        config=HashGridConfig,
        target="df3d_hashgrid.field:HashGridField",
        provides=frozenset({"volume"}),
        starts_from=frozenset({"volume"}),
        memory="df3d_hashgrid.config:field_memory",
    )


@hookimpl
def df3d_renderers() -> Iterable[RendererPlugin]:
    yield RendererPlugin(
        name="raymarch",
        summary="Volume rendering with an occupancy grid",
        config=RayMarchConfig,
        target="df3d_hashgrid.renderer:RayMarchRenderer",
        needs=frozenset({"volume"}),
        outputs=frozenset({"rgb", "opacity", "depth", "normal", "samples", "background"}),
        memory="df3d_hashgrid.config:renderer_memory",
    )


@hookimpl
def df3d_checks() -> Iterable[Finding]:
    from df3d.system.checks import package

    build = "python -m pip install --no-build-isolation git+https://github.com/NVlabs/tiny-cuda-nn#subdirectory=bindings/torch"
    yield package("triton", "hash grids on a GPU run in plain torch", "comes with torch for CUDA")
    yield package("tinycudann", "hash grids on a GPU run as Triton kernels", build)
