"""From a finished field to a file: surface, clean-up, texture atlas, baked albedo, exporter."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from df3d import surface, texture
from df3d.catalog import Catalog
from df3d.errors import ExportError, PluginError
from df3d.events import Event, Exporting
from df3d.interfaces import Exporter, Field
from df3d.options import ExportConfig
from df3d.plugin import ExporterPlugin, load_target
from df3d.types import Asset, Material, Mesh


def export(
    field: Field, config: ExportConfig, catalog: Catalog, path: Path, *, provenance: Mapping[str, Any]
) -> Generator[Event, None, list[Path]]:
    """Write a field's asset at `path`, by the exporter of `config.format`; returns every file, the asset first.

    A surface that has a texture of its own is written as it is, whatever `config` says of faces and texture.
    Raises EmptyFieldError when the field has no surface.
    """
    plugin = catalog.get("exporter", config.format)
    assert isinstance(plugin, ExporterPlugin)
    yield Exporting("surface")
    if (own := texture.kept(field)) is not None:
        mesh, material = own[0], Material(own[1], unlit=config.unlit)
        if config.normal_map:
            raise ExportError("no finer mesh is left whose normals a map could keep", "leave out the normal map")
    else:
        raw = surface.mesh_of(field, resolution=config.resolution, threshold=config.threshold)
        yield Exporting("texture")
        mesh, material = _baked(raw, field, config)
    yield Exporting(config.format)
    exporter: Exporter = plugin.load()(plugin.config())
    return exporter.write(Asset(placed(mesh, config), material, dict(provenance)), path)


def _baked(raw: Mesh, field: Field, config: ExportConfig) -> tuple[Mesh, Material]:
    """A field's mesh cleaned, simplified and unwrapped, and the field's albedo as its texture."""
    mesh = texture.unwrap(surface.clean(raw, keep=config.keep, faces=config.faces), size=config.texture_size)
    image, normals = texture.bake(mesh, field, size=config.texture_size), None
    if config.normal_map:
        mesh = dataclasses.replace(mesh, tangents=texture.tangents(mesh))
        normals = texture.bake_normals(mesh, surface.clean(raw, keep=config.keep, faces=0), size=config.texture_size)
    return mesh, Material(image, normals, unlit=config.unlit)


def placed(mesh: Mesh, config: ExportConfig) -> Mesh:
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


def suffix_of(catalog: Catalog, format: str) -> str:
    """The usual file name ending of a format, with its dot."""
    plugin = catalog.get("exporter", format)
    assert isinstance(plugin, ExporterPlugin)
    return plugin.suffixes[0]


def format_of(catalog: Catalog, path: Path) -> str:
    """The exporter for a file name.

    Raises PluginError when no exporter writes such files.
    """
    suffixes = formats(catalog)
    if path.suffix.lower() not in suffixes:
        raise PluginError(f"no exporter writes `{path.suffix or path.name}` files", f"known are {', '.join(sorted(suffixes))}")
    return suffixes[path.suffix.lower()].name


def formats(catalog: Catalog) -> dict[str, ExporterPlugin]:
    """Exporters by the file name endings they know."""
    found: dict[str, ExporterPlugin] = {}
    for name in catalog.names("exporter"):
        plugin = catalog.get("exporter", name)
        assert isinstance(plugin, ExporterPlugin)
        found |= dict.fromkeys(plugin.suffixes, plugin)
    return found


def readers(catalog: Catalog) -> dict[str, ExporterPlugin]:
    """Plugins that read files back, by the file name endings they know."""
    return {suffix: plugin for suffix, plugin in formats(catalog).items() if plugin.read}


def read(path: Path, catalog: Catalog) -> Asset:
    """The asset in a file, whoever made it.

    Raises ExportError when there is none, or no plugin reads such files.
    """
    known = readers(catalog)
    if path.suffix.lower() not in known:
        raise ExportError(f"`{path}` is not a mesh file that can be read", f"known are {', '.join(sorted(known))}")
    if not path.is_file():
        raise ExportError(f"there is no file `{path}`", "check the path")
    plugin = known[path.suffix.lower()]
    assert plugin.read
    asset: Asset = load_target(plugin.read, f"exporter `{plugin.name}`")(path)
    return asset
