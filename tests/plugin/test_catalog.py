from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest
import typer

from df3d import FieldPlugin, GuidancePlugin, hookimpl
from df3d.errors import PluginError
from df3d.plugin import catalog as catalogs
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


def test_a_part_of_a_broken_plugin_names_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = Catalog()
    catalog._add_entry_point(EntryPoint("gone-away", "no_such_module", "df3d"))
    catalog.plugins[0].distribution = "df3d-gone"
    for name in ("gone-away", "gone", "away", "df3d-gone"):
        with pytest.raises(PluginError, match="plugin `gone-away` \\(df3d-gone\\) is broken: ModuleNotFoundError"):
            catalog.guidance.get(name)
    with pytest.raises(PluginError, match="there is no guidance `other`"):
        catalog.guidance.get("other")


def test_a_plugin_cannot_offer_one_name_twice_but_two_kinds_may_share_it() -> None:
    class Twice:
        @hookimpl
        def df3d_guidance(self) -> list[GuidancePlugin]:
            return [GuidancePlugin(name="red", summary="Nothing", target="x:y")] * 2

    class Both:
        @hookimpl
        def df3d_guidance(self) -> list[GuidancePlugin]:
            return [GuidancePlugin(name="red", summary="Nothing", target="x:y")]

        @hookimpl
        def df3d_fields(self) -> list[FieldPlugin]:
            return [FieldPlugin(name="red", summary="Nothing", target="x:y", provides=frozenset())]

    with pytest.raises(PluginError, match="guidance `red` is offered by local twice"):
        Catalog().add(Twice())
    catalog = Catalog()
    plugin = catalog.add(Both())
    assert [(part.kind, part.name) for part in catalog.find("red")] == [("field", "red"), ("guidance", "red")]
    assert all(catalog.owner(part) is plugin for part in catalog.find("red"))


def test_the_owner_of_a_part_is_told_by_the_part_and_not_by_its_name() -> None:
    class Field:
        @hookimpl
        def df3d_fields(self) -> list[FieldPlugin]:
            return [FieldPlugin(name="red", summary="Nothing", target="x:y", provides=frozenset())]

    catalog = Catalog()
    first, second = catalog.add(Field()), catalog.add(offering("red"))
    assert catalog.owner(catalog.fields.get("red")) is first
    assert catalog.owner(catalog.guidance.get("red")) is second


def test_what_is_broken_is_taken_out_whole() -> None:
    """Its parts, its recipes, its commands: nothing of it is asked any more."""
    asked = []

    class Half:
        @hookimpl
        def df3d_guidance(self) -> list[GuidancePlugin]:
            return [GuidancePlugin(name="red", summary="Nothing", target="x:y")]

        @hookimpl
        def df3d_commands(self, app: typer.Typer) -> None:
            asked.append("commands")
            raise SystemExit(3)

        @hookimpl
        def df3d_recipes(self) -> list[str]:
            asked.append("recipes")
            return ["here"]

    class Whole:
        @hookimpl
        def df3d_commands(self, app: typer.Typer) -> None:
            asked.append("others")

        @hookimpl
        def df3d_recipes(self) -> list[str]:
            return ["there"]

    catalog = Catalog()
    half = catalog.add(Half())
    catalog.add(Whole())
    catalog.add_commands(typer.Typer())
    assert asked == ["commands", "others"]
    assert catalog.recipe_folders == [Path("there")]
    assert asked == ["commands", "others"]
    assert (half.problem, half.components, half.module) == ("SystemExit: 3", [], None)
    assert catalog.guidance.names() == []
    assert len(catalog._manager.get_plugins()) == 1


def test_a_watcher_that_leaves_does_not_end_the_run() -> None:
    from df3d.events import Notice

    class Watcher:
        @hookimpl
        def df3d_on_event(self, event: object) -> None:
            raise SystemExit(3)

    catalog = Catalog()
    catalog.add(Watcher())
    assert catalog.on_event(Notice("one")) == ["plugin `Watcher` watches the run no longer: SystemExit: 3"]


def test_an_error_without_words_is_named_by_its_kind() -> None:
    class Mute:
        @hookimpl
        def df3d_recipes(self) -> list[str]:
            raise ValueError

    catalog = Catalog()
    catalog.add(Mute())
    assert catalog.recipe_folders == []
    assert catalog.plugins[0].problem == "ValueError: no message"


@pytest.mark.parametrize("api", [0, 2])
def test_a_plugin_for_another_version_of_the_interface_is_refused(api: int) -> None:
    module = offering("red")
    module.df3d_api = api  # type: ignore[attr-defined]
    with pytest.raises(PluginError, match=f"it is written for plugin API {api}, and this df3d has 1"):
        Catalog().add(module)


def test_plugins_are_loaded_in_the_order_of_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = []
    for name in ("zebra", "ape", "mole"):
        module = ModuleType(f"hooks_of_{name}")
        module.df3d_guidance = offering(name).df3d_guidance  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        entries.append(EntryPoint(name, module.__name__, "df3d"))
    monkeypatch.setattr(catalogs, "_entry_points", lambda: entries)
    catalog = Catalog.discover()
    assert [plugin.name for plugin in catalog.plugins] == ["ape", "mole", "zebra"]
    assert catalog.guidance.names() == ["ape", "mole", "zebra"]
    late = Catalog()
    for name in ("zebra", "ape"):
        late.add(offering(name))
    assert late.guidance.names() == ["ape", "zebra"]


def test_one_damaged_distribution_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("bad", "[df3d\nnonsense"), ("good", "[df3d]\ngood = hooks_of_good\n[other]\nx = y\n")):
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(text)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    (found,) = catalogs._entry_points()
    assert (found.name, found.value) == ("good", "hooks_of_good")
    assert catalogs._owner(found) == ("good", "1.0")
    assert catalogs._owner(EntryPoint("x", "y", "df3d")) == ("?", "")
