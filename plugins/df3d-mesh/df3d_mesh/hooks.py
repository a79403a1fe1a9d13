"""What this plugin offers."""

from __future__ import annotations

from collections.abc import Iterable

from df3d import ExporterPlugin, Finding, ImporterPlugin, ScorerPlugin, hookimpl

_FORMATS = (
    ("glb", "binary glTF 2.0: one file, texture inside", "GlbExporter"),
    ("gltf", "glTF 2.0 as text: one file, all inside", "GltfExporter"),
    ("obj", "Wavefront OBJ with MTL and PNG beside it", "ObjExporter"),
    ("ply", "PLY with colours at the vertices", "PlyExporter"),
    ("stl", "STL, shape only, for printing", "StlExporter"),
    ("usdz", "USDZ, for Apple's viewers; needs usd-core", "UsdzExporter"),
    ("html", "a page to look at the model with, in one file", "HtmlExporter"),
)
_BESIDE = {"obj": ("{stem}.mtl", "{stem}-albedo.png", "{stem}-normal.png")}

df3d_api = 1


@hookimpl
def df3d_exporters() -> Iterable[ExporterPlugin]:
    for name, summary, kind in _FORMATS:
        yield ExporterPlugin(
            name=name,
            summary=summary,
            target=f"df3d_mesh.writing.{name}:{kind}",
            suffixes=(f".{name}",),
            takes=frozenset({"mesh"}),
            usual_for=frozenset({"mesh"} if name == "glb" else set()),
            side_files=_BESIDE.get(name, ()),
        )


@hookimpl
def df3d_importers() -> Iterable[ImporterPlugin]:
    yield ImporterPlugin(
        name="mesh",
        summary="GLB, glTF, OBJ, PLY and STL, whoever made them",
        target="df3d_mesh.reading.importer:MeshImporter",
        suffixes=(".glb", ".gltf", ".obj", ".ply", ".stl"),
    )


@hookimpl
def df3d_checks() -> Iterable[Finding]:
    from df3d.system.checks import package

    yield package("trimesh", "no mesh files", needed=True)
    yield package("usd-core", "no USDZ")


@hookimpl
def df3d_scorers() -> Iterable[ScorerPlugin]:
    yield ScorerPlugin(
        name="geometry",
        summary="The mesh itself: watertight, components, faulty faces and edges, texture layout, size",
        target="df3d_mesh.scorer:GeometryScorer",
        headline=("watertight", "components", "uv_overlap"),
        lower=frozenset(
            {"components", "degenerate", "flipped", "boundary", "nonmanifold", "self_intersections", "uv_overlap", "bytes"}
        ),
    )
