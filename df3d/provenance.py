"""Which software made an asset."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from df3d.catalog import Catalog


def versions(catalog: Catalog) -> dict[str, str]:
    """Versions of df3d, its plugins, and the libraries that decide a result."""
    found = {"python": platform.python_version()}
    for name in ("df3d", "torch", "diffusers", "numpy", "numba"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    found |= {source.distribution: source.version for source in catalog.sources if not source.problem and source.version}
    return found
