"""Which software made an asset."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
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
    found |= {plugin.distribution: plugin.version for plugin in catalog.plugins if not plugin.problem and plugin.version}
    return found
