"""From a finished field to an asset and a file: surface, clean-up, texture atlas, baked albedo, exporter."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from df3d.errors import ExportError, PluginError
from df3d.events import Event, Exporting
from df3d.mesh import texture
from df3d.mesh.cleanup import clean
from df3d.mesh.options import ExportConfig
from df3d.mesh.surface import mesh_of, own_surface
from df3d.plugin.records import ExporterPlugin
from df3d.protocols import AssetField, Field, Surface, Volume
from df3d.types import Asset, Material, Mesh, MeshAsset


def export(
    made: Field | Asset, config: ExportConfig, exporter: ExporterPlugin, path: Path, *, provenance: Mapping[str, Any]
) -> Generator[Event, None, list[Path]]:
    """Write a field, or an asset that a source made, at `path`; returns every file, the asset first.

    Raises EmptyFieldError when the field has no surface, and PluginError when the exporter cannot take what it is.
    """
    asset = made if isinstance(made, Asset) else (yield from assemble(made, config, exporter.takes))
    if asset.kind not in exporter.takes:
        taken = ", ".join(sorted(exporter.takes))
        raise PluginError(f"exporter `{exporter.name}` takes {taken}, and this is {asset.kind}", "choose another format")
    if isinstance(asset, MeshAsset):
        asset = dataclasses.replace(asset, mesh=oriented(asset.mesh, config), up=config.up)
    yield Exporting(exporter.name)
    told = {**asset.provenance, **provenance}
    return exporter.build(exporter.config()).write(dataclasses.replace(asset, provenance=told), path)


def assemble(field: Field, config: ExportConfig, takes: frozenset[str]) -> Generator[Event, None, Asset]:
    """The asset that a field becomes: its own kind, where that is taken, or else a mesh.

    A surface that has a texture of its own is kept as it is, whatever `config` says of faces and texture.
    """
    if isinstance(field, AssetField) and (own := field.asset()).kind in takes:
        return own
    if not isinstance(field, Volume | Surface):
        raise PluginError(f"a {type(field).__name__} has neither volume nor surface", "choose an exporter that takes what it is")
    yield Exporting("surface")
    surface = own_surface(field)
    if surface is not None and surface.uvs is not None and surface.texture is not None:
        if config.normal_map:
            raise ExportError("no finer mesh is left whose normals a map could keep", "leave out the normal map")
        mesh, image = texture.with_padding(surface)
        return MeshAsset(mesh, Material(image, unlit=config.unlit))
    raw = mesh_of(field if surface is None else surface, resolution=config.resolution, threshold=config.threshold)
    yield Exporting("texture")
    return MeshAsset(*_baked(raw, field, config))


def _baked(raw: Mesh, field: Volume | Surface, config: ExportConfig) -> tuple[Mesh, Material]:
    """A field's mesh cleaned, simplified and unwrapped, and the field's albedo as its texture."""
    mesh = texture.unwrap(clean(raw, keep=config.keep, faces=config.faces), size=config.texture_size)
    image, normals = texture.bake(mesh, field, size=config.texture_size), None
    if config.normal_map:
        mesh = dataclasses.replace(mesh, tangents=texture.tangents(mesh))
        normals = texture.bake_normals(mesh, clean(raw, keep=config.keep, faces=0), size=config.texture_size)
    return mesh, Material(image, normals, unlit=config.unlit)


def oriented(mesh: Mesh, config: ExportConfig) -> Mesh:
    """The mesh moved, scaled and turned as the file wants it."""
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    middle = (low + high) / 2
    origin = {"field": np.zeros(3), "base": np.array([middle[0], low[1], middle[2]]), "centre": middle}[config.origin]
    scale = 1.0 if config.scale is None else config.scale / float((high - low).max())
    turn = np.eye(3) if config.up == "y" else np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])  # (x, y, z) -> (x, -z, y)
    vertices = ((mesh.vertices - origin) * scale @ turn.T).astype(np.float32)
    normals = None if mesh.normals is None else (mesh.normals @ turn.T).astype(np.float32)
    tangents = (
        None if mesh.tangents is None else np.hstack([mesh.tangents[:, :3] @ turn.T, mesh.tangents[:, 3:]]).astype(np.float32)
    )
    return dataclasses.replace(mesh, vertices=vertices, normals=normals, tangents=tangents)
