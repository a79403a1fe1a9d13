"""What this plugin offers."""

from __future__ import annotations

from collections.abc import Iterable

from df3d import ExporterPlugin, NoConfig, ScorerPlugin, hookimpl

_FORMATS = (
    ("glb", "binary glTF 2.0: one file, texture inside", "GlbExporter"),
    ("gltf", "glTF 2.0 as text: one file, all inside", "GltfExporter"),
    ("obj", "Wavefront OBJ with MTL and PNG beside it", "ObjExporter"),
    ("ply", "PLY with colours at the vertices", "PlyExporter"),
    ("stl", "STL, shape only, for printing", "StlExporter"),
    ("usdz", "USDZ, for Apple's viewers; needs usd-core", "UsdzExporter"),
    ("html", "a page to look at the model with, in one file", "HtmlExporter"),
)


@hookimpl
def df3d_exporters() -> Iterable[ExporterPlugin]:
    for name, summary, kind in _FORMATS:
        yield ExporterPlugin(
            name=name,
            summary=summary,
            config=NoConfig,
            target=f"df3d_mesh.{name}:{kind}",
            suffixes=(f".{name}",),
            read=None if name in ("html", "usdz") else "df3d_mesh.reader:read",
        )


@hookimpl
def df3d_scorers() -> Iterable[ScorerPlugin]:
    yield ScorerPlugin(
        name="geometry",
        summary="The mesh itself: watertight, components, faulty faces and edges, texture layout, size",
        config=NoConfig,
        target="df3d_mesh.scorer:GeometryScorer",
        headline=("watertight", "components", "uv_overlap"),
        lower=frozenset(
            {"components", "degenerate", "flipped", "boundary", "nonmanifold", "self_intersections", "uv_overlap", "bytes"}
        ),
    )
