"""From a finished field to a file: surface, clean-up, texture atlas, baked albedo, exporter."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from df3d import surface, texture
from df3d.catalog import Catalog
from df3d.errors import PluginError
from df3d.events import Event, Exporting
from df3d.interfaces import Exporter
from df3d.options import ExportConfig
from df3d.plugin import ExporterPlugin
from df3d.types import Asset, Material


def export(
    field: Any, config: ExportConfig, catalog: Catalog, path: Path, *, provenance: Mapping[str, Any]
) -> Generator[Event, None, list[Path]]:
    """Write a volume's asset at `path`, by the exporter of `config.format`; returns every file, the asset first.

    Raises EmptyFieldError when the field has no surface.
    """
    plugin = catalog.get("exporter", config.format)
    assert isinstance(plugin, ExporterPlugin)
    yield Exporting("surface")
    mesh = surface.extract(field, resolution=config.resolution, threshold=config.threshold)
    mesh = surface.clean(mesh, keep=config.keep, faces=config.faces)
    yield Exporting("texture")
    mesh = texture.unwrap(mesh, size=config.texture_size)
    image = texture.bake(mesh, field, size=config.texture_size)
    yield Exporting(config.format)
    exporter: Exporter = plugin.load()(plugin.config())
    return exporter.write(Asset(mesh, Material(image), dict(provenance)), path)


def suffix_of(catalog: Catalog, format: str) -> str:
    """The usual file name ending of a format, with its dot."""
    plugin = catalog.get("exporter", format)
    assert isinstance(plugin, ExporterPlugin)
    return plugin.suffixes[0]


def format_of(catalog: Catalog, path: Path) -> str:
    """The exporter for a file name.

    Raises PluginError when no exporter writes such files.
    """
    suffixes: dict[str, str] = {}
    for name in catalog.names("exporter"):
        plugin = catalog.get("exporter", name)
        assert isinstance(plugin, ExporterPlugin)
        suffixes |= dict.fromkeys(plugin.suffixes, name)
    if path.suffix.lower() not in suffixes:
        raise PluginError(f"no exporter writes `{path.suffix or path.name}` files", f"known are {', '.join(sorted(suffixes))}")
    return suffixes[path.suffix.lower()]
