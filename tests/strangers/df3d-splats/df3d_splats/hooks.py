"""What this plugin offers."""

from collections.abc import Iterable

from df3d import ExporterPlugin, FieldPlugin, ImporterPlugin, RendererPlugin, hookimpl
from df3d_splats.config import SplatsConfig, SplatterConfig

df3d_api = 1


@hookimpl
def df3d_fields() -> Iterable[FieldPlugin]:
    yield FieldPlugin(
        name="splats",
        summary="A cloud of Gaussians that densifies and prunes",
        config=SplatsConfig,
        target="df3d_splats.field:SplatsField",
        provides=frozenset({"gaussians"}),
        starts_from=frozenset({"gaussians", "surface"}),
    )


@hookimpl
def df3d_renderers() -> Iterable[RendererPlugin]:
    yield RendererPlugin(
        name="splatter",
        summary="Gaussians splatted in plain torch",
        config=SplatterConfig,
        target="df3d_splats.renderer:Splatter",
        needs=frozenset({"gaussians"}),
        outputs=frozenset({"rgb", "opacity", "depth", "background"}),
        draws=frozenset({"gaussians"}),
    )


@hookimpl
def df3d_exporters() -> Iterable[ExporterPlugin]:
    yield ExporterPlugin(
        name="splat-ply",
        summary="3D Gaussians as the PLY of 3D Gaussian Splatting",
        target="df3d_splats.ply:SplatExporter",
        suffixes=(".ply",),
        takes=frozenset({"gaussians"}),
        usual_for=frozenset({"gaussians"}),
    )


@hookimpl
def df3d_importers() -> Iterable[ImporterPlugin]:
    yield ImporterPlugin(
        name="splat-ply",
        summary="PLY files of 3D Gaussian Splatting",
        target="df3d_splats.ply:SplatImporter",
        suffixes=(".ply",),
        recognises="df3d_splats.recognise:is_splats",
    )
