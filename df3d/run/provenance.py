"""Which software made an asset."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from df3d.plugin.catalog import Catalog


def origin(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What of a run's manifest an asset carries with it."""
    return {key: manifest[key] for key in ("prompt", "seed", "recipe", "versions") if key in manifest}


def versions(catalog: Catalog) -> dict[str, str]:
    """Versions of df3d, its plugins, and the libraries that decide a result."""
    found = {"python": platform.python_version()}
    for name in ("df3d", "torch", "numpy", "numba"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    plugins = {plugin.distribution: plugin.version for plugin in catalog.plugins if not plugin.problem and plugin.version}
    for name in sorted({re.split(r"[^\w.-]", line)[0] for plugin in plugins if plugin != "df3d" for line in _requirements(plugin)}):
        with suppress(PackageNotFoundError):
            found.setdefault(name, version(name))
    return found | plugins


def _requirements(distribution: str) -> list[str]:
    """What a distribution needs; nothing of one that is not installed."""
    try:
        return requires(distribution) or []
    except PackageNotFoundError:
        return []
