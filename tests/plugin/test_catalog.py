from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from df3d import GuidancePlugin, hookimpl
from df3d.errors import PluginError
from df3d.plugin.catalog import Catalog


def offering(name: str) -> object:
    class Plugin:
        @hookimpl
        def df3d_guidance(self) -> list[GuidancePlugin]:
            return [GuidancePlugin(name=name, summary="Nothing", target="nowhere:Nothing")]

    return Plugin()


def test_shipped_plugins_are_found(catalog: Catalog) -> None:
    assert {"glb", "obj", "ply", "stl"} <= set(catalog.exporters.names())
    assert {"sds", "toybox"} <= set(catalog.guidance.names())
    assert not [source for source in catalog.plugins if source.problem]


def test_a_plugin_that_does_not_import_is_remembered_and_stops_nothing() -> None:
    catalog = Catalog()
    catalog._add_entry_point(EntryPoint("gone", "no_such_module", "df3d"))
    catalog.add(offering("red"))
    assert catalog.guidance.names() == ["red"]
    assert "No module named 'no_such_module'" in catalog.plugins[0].problem
    with pytest.raises(PluginError, match="plugin `gone`"):
        catalog.guidance.get("gone")
    with pytest.raises(PluginError) as error:
        catalog.guidance.get("rde")
    assert "did you mean `red`?" in error.value.hint
    assert "gone" in error.value.hint


def test_two_plugins_cannot_offer_one_name() -> None:
    catalog = Catalog()
    catalog.add(offering("red"))
    with pytest.raises(PluginError, match="guidance `red` is offered by both"):
        catalog.add(offering("red"))


def test_a_plugin_that_fails_while_watching_does_not_end_the_run() -> None:
    from df3d.events import Notice

    seen = []

    class Watcher:
        @hookimpl
        def df3d_on_event(self, event: object) -> None:
            seen.append(event)
            raise RuntimeError("cannot log")

    catalog = Catalog()
    catalog.add(Watcher())
    (problem,) = catalog.on_event(Notice("one"))
    assert catalog.on_event(Notice("two")) == []
    assert len(seen) == 1
    assert "watches the run no longer: RuntimeError: cannot log" in problem
    assert not catalog.plugins[0].problem  # its parts serve on


def test_a_hook_that_df3d_does_not_have_is_refused() -> None:
    class Misspelt:
        @hookimpl
        def df3d_guidances(self) -> list[object]:
            return []

    with pytest.raises(Exception, match="there is no hook df3d_guidances; did you mean `df3d_guidance`"):
        Catalog().add(Misspelt())


def test_a_target_that_does_not_exist_is_an_error_of_the_run_that_wants_it() -> None:
    catalog = Catalog()
    catalog.add(offering("red"))
    with pytest.raises(PluginError, match="guidance `red` cannot be loaded: No module named 'nowhere'"):
        catalog.guidance.get("red").load()


def test_a_well_known_part_that_is_not_installed_names_the_command_that_installs_it() -> None:
    with pytest.raises(PluginError, match="guidance `toybox` is not installed") as error:
        Catalog().guidance.get("toybox")
    assert error.value.hint == "df3d plugins install df3d-toybox"


def test_a_part_that_raises_while_it_loads_is_not_the_catalogs_end() -> None:
    """A hook that is not about parts may fail later: its plugin is taken out then, and said."""

    class Late:
        @hookimpl
        def df3d_recipes(self) -> list[str]:
            raise OSError("no folder")

    catalog = Catalog()
    catalog.add(Late())
    assert catalog.recipe_folders == []
    assert catalog.plugins[0].problem == "OSError: no folder"


def test_plugins_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DF3D_DISABLE_PLUGINS", "toybox, mesh")
    names = {source.name for source in Catalog.discover().plugins}
    assert "hashgrid" in names
    assert not {"toybox", "mesh"} & names
    monkeypatch.setenv("DF3D_DISABLE_PLUGINS", "*")
    assert Catalog.discover().plugins == []
