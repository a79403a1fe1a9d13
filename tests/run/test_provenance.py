"""What an asset carries of its run, and which software is named."""

from __future__ import annotations

import platform
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

from df3d.plugin.catalog import Catalog
from df3d.run.provenance import origin, versions


def test_an_asset_carries_what_makes_it_again_and_nothing_of_where_it_was_made() -> None:
    told = {"prompt": "a car", "seed": 0, "recipe": "toybox", "versions": {"df3d": "1"}}
    assert origin({**told, "device": "cuda", "status": "running", "seconds": 3.0, "asset": "asset.glb"}) == told
    assert origin({"prompt": "a car"}) == {"prompt": "a car"}


def test_versions_are_those_of_what_decides_a_result(catalog: Catalog) -> None:
    found = versions(catalog)
    assert found["python"] == platform.python_version()
    for name in ("df3d", "torch", "numpy", "numba"):
        assert found[name] == version(name)
    for plugin in catalog.plugins:
        assert found[plugin.distribution] == plugin.version


def test_a_plugin_that_is_broken_or_has_no_version_is_not_named_and_what_others_need_is() -> None:
    def plugin(distribution: str, version: str, problem: str = "") -> Any:
        return SimpleNamespace(distribution=distribution, version=version, problem=problem)

    catalog: Any = SimpleNamespace(
        plugins=[
            plugin("df3d-broken", "1.0", "it does not import"),
            plugin("local", ""),
            plugin("rich", "9.9"),
            plugin("gone", "2.0"),
        ]
    )
    found = versions(catalog)
    assert "df3d-broken" not in found
    assert "local" not in found
    assert (found["rich"], found["gone"]) == ("9.9", "2.0")
    assert found["pygments"] == version("pygments")  # what rich needs
    assert "filelock" not in versions(SimpleNamespace(plugins=[plugin("df3d", "1.0")]))  # type: ignore[arg-type]
