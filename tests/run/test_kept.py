"""Guidances that stay from run to run: kept where they serve, shared where they can, and let go of where they cannot."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command import SETTINGS
from guides import Grey, Guides

from df3d.plugin.catalog import Catalog
from df3d.run.job import prepare
from df3d.run.kept import KeptGuidance


class Loaded:
    """A guidance with a model and options; `learns` ones have parameters, `shares` says what another config may share."""

    def __init__(self, config: Any, *, device: str) -> None:
        self.config, self.device, self.model = config, device, object()

    def with_config(self, config: str) -> Loaded | None:
        if config.split("/")[0] != self.config.split("/")[0]:
            return None
        other = Loaded(config, device=self.device)
        other.model = self.model
        return other


class Learning(Loaded):
    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": []}]

    def before_step(self, step: object) -> None: ...

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: object) -> None: ...


def stage(*parts: tuple[str, str], kind: type = Loaded) -> Any:
    """A stage with guidances by name and config, `MODEL/OPTIONS`."""

    def build(config: str, *, device: str) -> Any:
        return kind(config, device=device)

    guidance = [SimpleNamespace(name=name, config=config, plugin=SimpleNamespace(build=build)) for name, config in parts]
    return SimpleNamespace(guidance=guidance)


def test_the_same_is_kept_and_other_options_share_its_model() -> None:
    kept = KeptGuidance()
    first = kept.of(stage(("a", "sd/1")), "cpu")["a"]
    assert kept.of(stage(("a", "sd/1")), "cpu")["a"] is first
    other = kept.of(stage(("a", "sd/2")), "cpu")["a"]
    assert other is not first
    assert other.config == "sd/2"  # type: ignore[attr-defined]
    assert other.model is first.model  # type: ignore[attr-defined]
    assert kept.of(stage(("a", "sd/1")), "cpu")["a"] is first
    assert kept.of(stage(("a", "sd/1")), "cuda")["a"].model is not first.model  # type: ignore[attr-defined]


def test_a_model_that_a_stage_does_not_use_makes_room_for_a_new_one() -> None:
    kept = KeptGuidance()
    kept.of(stage(("a", "sd/1")), "cpu")
    kept.of(stage(("a", "xl/1")), "cpu")
    assert [guidance.config for guidance in kept.built.values()] == ["xl/1"]  # type: ignore[attr-defined]
    both = kept.of(stage(("a", "xl/1"), ("b", "clip/1")), "cpu")
    assert set(both) == {"a", "b"}
    assert {guidance.config for guidance in kept.built.values()} == {"xl/1", "clip/1"}  # type: ignore[attr-defined]
    kept.forget()
    assert kept.built == {}


def test_options_that_cannot_be_hashed_are_options_too() -> None:
    kept = KeptGuidance()
    part: Any = stage(("a", "sd/1"))
    part.guidance[0].config = {"model": ["sd"]}
    assert kept.of(part, "cpu")["a"] is kept.of(part, "cpu")["a"]


def test_one_that_learns_is_built_anew() -> None:
    kept = KeptGuidance()
    first = kept.of(stage(("a", "sd/1"), kind=Learning), "cpu")["a"]
    assert kept.built == {}
    assert kept.of(stage(("a", "sd/1"), kind=Learning), "cpu")["a"] is not first


def test_one_that_ran_out_of_memory_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, catalog: Catalog) -> None:
    """What it gave up would be given up by the next run too, which would then differ from a run of its own."""
    own = Catalog.discover()
    own.add(Guides())
    settings = [*SETTINGS, "guidance.use=grey", "steps=4"]
    job = prepare("a red car", recipe="toybox", settings=settings, device="cpu", catalog=own)
    kept = KeptGuidance()
    object.__setattr__(job, "kept", kept)
    job.run(tmp_path / "well", 0, lambda event: None)
    (before,) = kept.built.values()
    whole, calls = Grey.step, [0]

    def step(self: Grey, *given: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise MemoryError("out of memory")
        return whole(self, *given)

    monkeypatch.setattr(Grey, "step", step)
    job.run(tmp_path / "short", 0, lambda event: None)
    assert "recovery" in (tmp_path / "short" / "run.json").read_text()
    (after,) = kept.built.values()
    assert after is not before


def test_the_stages_of_a_run_load_one_model_and_the_asset_is_written_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from df3d_prior import guidance

    from df3d.run import generate

    loaded, held, load, finish = list[str](), list[KeptGuidance](), guidance.load, generate._finish
    kept_of, there = KeptGuidance.of, list[int]()
    monkeypatch.setattr(guidance, "load", lambda model, **options: loaded.append(model) or load(model, **options))
    monkeypatch.setattr(KeptGuidance, "of", lambda self, *given: held.append(self) or kept_of(self, *given))
    monkeypatch.setattr(generate, "_finish", lambda *given: there.append(len(held[0].built)) or finish(*given))
    settings = [*SETTINGS, "steps=1"]
    prepare("a red car", recipe="toybox", settings=settings, device="cpu").run(tmp_path / "run", 0, lambda event: None)
    assert len(held) == 2
    assert held[0] is held[1]
    assert len(loaded) == 1
    assert there == [0]


def test_a_model_that_the_stage_still_uses_stays_when_another_is_loaded() -> None:
    kept = KeptGuidance()
    first = kept.of(stage(("a", "sd/1")), "cpu")["a"]
    both = kept.of(stage(("a", "sd/1"), ("b", "clip/1")), "cpu")
    assert both["a"] is first
    both = kept.of(stage(("b", "xl/1"), ("a", "sd/1")), "cpu")
    assert both["a"] is first
    assert {guidance.config for guidance in kept.built.values()} == {"sd/1", "xl/1"}  # type: ignore[attr-defined]


def test_one_that_has_a_state_or_parameters_learns() -> None:
    class State(Learning):
        def parameter_groups(self) -> list[dict[str, Any]]:
            return []

        def state_dict(self) -> dict[str, Any]:
            return {"moments": 1}

    class Still(Learning):
        def parameter_groups(self) -> list[dict[str, Any]]:
            return []

    kept = KeptGuidance()
    kept.of(stage(("a", "sd/1"), kind=State), "cpu")
    assert kept.built == {}
    kept.of(stage(("a", "sd/1"), kind=Still), "cpu")
    assert len(kept.built) == 1
