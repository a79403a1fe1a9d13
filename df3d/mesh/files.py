"""Which plugin reads a file, and which writes one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from df3d.errors import ExportError, PluginError
from df3d.plugin.catalog import Catalog
from df3d.plugin.records import ExporterPlugin, ImporterPlugin
from df3d.types import Asset


def read(path: Path, catalog: Catalog) -> Asset:
    """The asset in a file, whoever made it.

    Raises ExportError when there is none, or no plugin reads such files.
    """
    known = readable(catalog)
    if path.suffix.lower() not in known:
        raise ExportError(f"`{path}` is not a file that can be read", f"known are {', '.join(known)}")
    if not path.is_file():
        raise ExportError(f"there is no file `{path}`", "check the path")
    plugin = _importer(path, catalog)
    return plugin.build(plugin.config()).read(path)


def readable(catalog: Catalog) -> list[str]:
    """The file name endings that importers know, sorted."""
    return sorted({suffix for plugin in catalog.importers for suffix in plugin.suffixes})


def _importer(path: Path, catalog: Catalog) -> ImporterPlugin:
    """The importer for a file: one that recognises it, or else one that reads all with such a name."""
    fitting = [plugin for plugin in catalog.importers if path.suffix.lower() in plugin.suffixes]
    for plugin in fitting:
        if plugin.recognises and plugin.ask("recognises", path):
            return plugin
    for plugin in fitting:
        if not plugin.recognises:
            return plugin
    raise ExportError(f"no importer recognises `{path}`", f"asked were {', '.join(plugin.name for plugin in fitting)}")


def exporter_for(path: Path, catalog: Catalog, kinds: Iterable[str] = ()) -> ExporterPlugin:
    """The exporter for a file name; of several the one that takes an asset of one of the `kinds`.

    Raises PluginError when no exporter writes such files.
    """
    suffix, wanted = path.suffix.lower(), frozenset(kinds)
    fitting = [plugin for plugin in catalog.exporters if suffix in plugin.suffixes]
    if not fitting:
        known = sorted({suffix for plugin in catalog.exporters for suffix in plugin.suffixes})
        raise PluginError(f"no exporter writes `{suffix or path.name}` files", f"known are {', '.join(known)}")
    return next((plugin for plugin in fitting if plugin.takes & wanted), fitting[0])
