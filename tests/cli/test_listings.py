"""`df3d plugins`, `df3d doctor` and `df3d recipes` on a catalog with something broken in it."""

from __future__ import annotations

import json
import os
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from minimal import MINIMAL
from typer.testing import CliRunner, Result

from df3d import GuidancePlugin, ImporterPlugin, hookimpl
from df3d.cli import build
from df3d.cli.context import fail, go_offline, put
from df3d.errors import ConfigError, PluginError
from df3d.plugin.catalog import Catalog
from df3d.system.checks import Finding


class Offers:
    """A guidance, an importer that cannot be loaded, recipes, and what doctor finds."""

    def __init__(self, folder: Path, finding: Finding) -> None:
        self._folder, self._finding = folder, finding

    @hookimpl
    def df3d_guidance(self) -> list[GuidancePlugin]:
        needs: Any = frozenset({"rgb", "depth"})
        return [GuidancePlugin(name="red", summary="Make it red", target="nowhere:Red", needs=needs)]

    @hookimpl
    def df3d_importers(self) -> list[ImporterPlugin]:
        return [ImporterPlugin(name="red", summary="Read it", target="nowhere:Red", suffixes=(".red", ".rd"))]

    @hookimpl
    def df3d_recipes(self) -> list[Path]:
        return [self._folder]

    @hookimpl
    def df3d_checks(self) -> list[Finding]:
        return [self._finding]


OK = Finding("moon", "ok", "it shines", needed=True)


def run(folder: Path, *arguments: str, finding: Finding = OK) -> Result:
    catalog = Catalog()
    catalog.add(Offers(folder, finding))
    catalog._add_entry_point(EntryPoint("gone", "no_such_module", "df3d"))
    return CliRunner().invoke(build(catalog), list(arguments))


def rows(done: Result) -> list[str]:
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


def test_plugins_are_listed_with_those_that_are_broken(tmp_path: Path) -> None:
    done = run(tmp_path, "plugins")
    assert rows(done)[0] == "kind name summary plugin"
    assert sorted(rows(done)[1:3]) == ["guidance red Make it red local", "importer red Read it local"]
    assert rows(done)[3] == "broken: gone (?): ModuleNotFoundError: No module named 'no_such_module'"
    told = {plugin["name"]: plugin for plugin in json.loads(run(tmp_path, "plugins", "--json").stdout)}
    assert told["Offers"]["problem"] is None
    assert told["gone"]["parts"] == []
    assert "no_such_module" in told["gone"]["problem"]


def test_every_part_of_a_name_is_shown_with_what_it_needs_and_offers(tmp_path: Path) -> None:
    done = run(tmp_path, "plugins", "show", "red")
    assert {"needs: depth, rgb", "accepts: negative, text", "suffixes: .rd, .red"} <= set(rows(done))
    told = json.loads(run(tmp_path, "plugins", "show", "red", "--json").stdout)
    assert {part["kind"] for part in told} == {"guidance", "importer"}
    guidance = next(part for part in told if part["kind"] == "guidance")
    assert (guidance["needs"], guidance["accepts"], guidance["options"]) == (["depth", "rgb"], ["negative", "text"], [])


def test_what_is_broken_or_not_there_is_said_where_it_is_asked_for(tmp_path: Path) -> None:
    broken = run(tmp_path, "plugins", "show", "gone").exception
    assert isinstance(broken, PluginError)
    assert broken.message.startswith("plugin `gone` is broken: ModuleNotFoundError")
    wrong = run(tmp_path, "plugins", "show", "rde").exception
    assert isinstance(wrong, PluginError)
    assert (wrong.message, wrong.hint) == ("there is no part `rde`", "did you mean `red`?")


@pytest.mark.parametrize(
    ("finding", "code"),
    [
        (OK, 0),
        (Finding("moon", "missing", "no", "it is dark", "wait"), 0),
        (Finding("moon", "missing", "no", "it is dark", "wait", needed=True), 1),
        (Finding("moon", "broken", "no", "it is dark", "wait", needed=True), 1),
    ],
)
def test_doctor_ends_badly_only_where_nothing_can_run(tmp_path: Path, finding: Finding, code: int) -> None:
    done = run(tmp_path, "doctor", finding=finding)
    assert done.exit_code == code
    assert " ".join(filter(None, (finding.state, "moon", finding.detail, finding.without, finding.mend))) in rows(done)
    told = json.loads(run(tmp_path, "doctor", "--json", finding=finding).stdout)
    states = {one["what"]: one["state"] for one in told}
    assert states == {"moon": finding.state, "plugin Offers": "ok", "plugin gone": "broken"}
    assert next(one["detail"] for one in told if one["what"] == "plugin Offers").endswith("2 parts")


def test_recipes_are_listed_with_their_stages_and_broken_ones_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "mini.toml").write_text(MINIMAL.replace('name = "mini"', 'name = "mini"\nsummary = "Small"', 1))
    (tmp_path / "made.toml").write_text('[[stage]]\nname = "whole"\nsource = { use = "x" }\n')
    (tmp_path / "bad.toml").write_text("{")
    found = rows(run(tmp_path, "recipes"))
    assert found[0] == "recipe stages summary"
    assert found[1].startswith("bad broken: recipe `")
    assert found[2:] == ["made whole", "mini coarse (3) Small"]
    for arguments in (("recipes", "show"), ("recipes", "list", "mini"), ("recipes", "shwo", "mini")):
        assert run(tmp_path, *arguments).exit_code == 2


def test_a_recipe_is_shown_with_changes(catalog: Catalog, mini: Path) -> None:
    done = CliRunner().invoke(build(catalog), ["recipes", "show", str(mini), "--set", "field.levels=7"])
    assert "levels = 7" in done.stdout
    wrong = CliRunner().invoke(build(catalog), ["recipes", "show", str(mini), "--set", "field.levles=7"])
    assert isinstance(wrong.exception, ConfigError)


def test_a_part_that_breaks_its_contract_ends_in_exit_code_1(tmp_path: Path, catalog: Catalog) -> None:
    done = run(tmp_path, "plugins", "check", "red", "--json")
    assert done.exit_code == 1
    good = CliRunner().invoke(build(catalog), ["plugins", "check", "opacity"])
    assert good.exit_code == 0


def test_an_error_has_its_hint_where_there_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(ConfigError("wrong", "mend it")) == 1
    assert capsys.readouterr().err == "error: wrong\nhint: mend it\n"
    assert fail(ConfigError("wrong")) == 1
    assert capsys.readouterr().err == "error: wrong\n"


def test_results_are_put_as_they_are_for_programs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    put("a\x1b[2J\nb")
    assert capsys.readouterr().out == "a\x1b[2J\nb\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    put("a\x1b[2J\nb")
    assert capsys.readouterr().out == "a\\x1b[2J\nb\n"


def test_no_hub_is_asked_only_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    go_offline(False)
    assert "HF_HUB_OFFLINE" not in os.environ
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    go_offline(True)
    assert os.environ["HF_HUB_OFFLINE"] == "1"
