"""Everything that df3d does in place of what was asked for, or would be better: each says so, and `--quiet` does not hide it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command import TINY, Cli
from df3d_hashgrid import encoding
from df3d_nvdiffrast import raster

from df3d.cli.reporters import PlainReporter, QuietReporter
from df3d.errors import PromptError
from df3d.events import Event, Notice, StageStarted
from df3d.plugin.catalog import Catalog
from df3d.prompt import Prompt
from df3d.recipe import auto
from df3d.recipe.checks import check_prompt
from df3d.recipe.compose import compose
from df3d.recipe.recipe import from_table
from df3d.run.lock import RunLock


def notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Each fall-back, made to happen, and the sentence that it says."""
    found = {}
    monkeypatch.setattr("df3d_diffusion.models.on_disk", lambda hub: None)
    found["a weaker recipe"] = auto.choose(Catalog.discover(), [], device="cuda", why="there is a GPU")[1].text
    monkeypatch.setitem(__import__("sys").modules, "nvdiffrast", None)
    found["the CPU's rasteriser on a GPU"] = raster.make("auto", "cuda")[1]
    monkeypatch.setattr(encoding, "find_spec", lambda name: None)
    found["torch for the hash grid on a GPU"] = encoding.note("auto", "cuda")[0]
    monkeypatch.setattr("df3d.run.lock._locks_work", lambda path: False)
    lock = RunLock(tmp_path)
    lock.acquire()
    found["a lease for a lock"] = lock.note
    lock.release()
    return found


SENTENCES = {
    "a weaker recipe": "recipe `toybox`, since there is a GPU; model `sd21` is not on this machine",
    "the CPU's rasteriser on a GPU": "nvdiffrast is not installed: the CPU draws the surface",
    "torch for the hash grid on a GPU": "neither tinycudann nor Triton with a C compiler is here",
    "a lease for a lock": "has no locks: a lease in its place keeps others out",
}


def test_each_says_what_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = notices(tmp_path, monkeypatch)
    assert told.keys() == SENTENCES.keys()
    for name, sentence in told.items():
        assert SENTENCES[name] in sentence, name
        assert "\n" not in sentence


def test_quiet_hides_all_but_what_is_done_instead(capsys: pytest.CaptureFixture[str]) -> None:
    events: list[Event] = [Notice("a note"), Notice("something else is done", instead=True), StageStarted("coarse", 0, 5)]
    for reporter in (QuietReporter(), PlainReporter()):
        for event in events:
            reporter(event)
    err = capsys.readouterr().err.splitlines()
    assert err[0] == "note: something else is done"
    assert err[1:] == ["note: a note", "note: something else is done", "stage coarse: 5 steps"]


def test_a_quiet_run_says_nothing_where_nothing_is_done_instead(cli: Cli) -> None:
    done = cli("generate", "a red car", "--quiet", *TINY)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_negative_prompt_that_nothing_uses_is_refused(catalog: Catalog) -> None:
    stage: dict[str, Any] = {
        "name": "x", "steps": 1, "field": {"use": "hashgrid"}, "renderer": {"use": "raymarch"}, "guidance": {"use": "clip"},
        "cameras": {"use": "orbit"},
    }  # fmt: skip
    plan = compose(from_table({"stage": [stage]}), catalog)
    with pytest.raises(PromptError, match="can use a negative prompt: `clip` takes text"):
        check_prompt(plan, Prompt("a red car", negative="blurry"))
    stage["guidance"] = {"use": "toybox"}
    assert check_prompt(compose(from_table({"stage": [stage]}), catalog), Prompt("a red car", negative="blurry")) == []


def test_a_part_with_a_note_is_heard_when_its_stage_begins(catalog: Catalog) -> None:
    from df3d.run.parts import build

    stage: dict[str, Any] = {"name": "x", "steps": 1, "field": {"use": "hashgrid", "levels": 2, "log2_table": 8}}
    stage |= {"renderer": {"use": "raymarch"}, "guidance": {"use": "toybox"}, "cameras": {"use": "orbit"}}
    parts = build(compose(from_table({"stage": [stage]}), catalog).stages[0], device="cpu", start_from=None, seed=0)
    assert parts.notes() == []
    parts.renderer.notes = ["the moon draws it"]  # type: ignore[attr-defined]
    assert parts.notes() == ["the moon draws it"]
