"""Steps that go wrong: memory running out at every point of one, and gradients that are not numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command import SETTINGS
from guides import Grey

from df3d import GuidancePlugin, NoConfig
from df3d.errors import RunError
from df3d.events import Event, Notice, Stepped
from df3d.plugin.catalog import Catalog
from df3d.prompt import Prompt
from df3d.protocols import Field
from df3d.recipe import recipe
from df3d.recipe.compose import compose
from df3d.recipe.plan import ConfiguredPart, StagePlan
from df3d.recipe.recipe import GuidanceTable
from df3d.recipe.settings import override, parse_setting
from df3d.run.parts import build
from df3d.run.recovery import ROLLBACKS, SKIPS, Recovery, out_of_memory, step_unless_bad
from df3d.run.rundir import RunDir
from df3d.run.stage import Setting, optimise

CATALOG = Catalog.discover()


def plan(*settings: str, steps: int = 6) -> StagePlan:
    changes = [parse_setting(setting) for setting in SETTINGS]
    changes += [("steps", steps), ("renderer.refresh_every", 2), *map(parse_setting, settings)]
    found = compose(override(recipe.find("toybox", CATALOG), changes, CATALOG), CATALOG).stages[0]
    grey = GuidancePlugin(name="grey", summary="Grey", target="guides:Grey")
    stage = dataclasses.replace(found.stage, guidance=(GuidanceTable("grey"),))
    return dataclasses.replace(found, stage=stage, guidance=(ConfiguredPart(grey, NoConfig()),))


def follow(stage: StagePlan, folder: Path) -> tuple[Field, list[Event], RunDir]:
    chosen = compose(recipe.find("toybox", CATALOG), CATALOG)
    run = RunDir.open(folder, CATALOG, prompt=Prompt("x"), plan=chosen, seed=0)
    run.update_manifest({"prompt": "x", "negative": "", "seed": 0})
    run.write_text("run.toml", chosen.recipe.toml())
    story, events = optimise(stage, None, Setting(run, Prompt("x"), "cpu", 0)), []
    try:
        while True:
            events.append(next(story))
    except StopIteration as end:
        return end.value[0], events, run
    finally:
        run.close()


def notices(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


def fail_once(work: Callable[..., Any], at: int) -> Callable[..., Any]:
    """`work`, but its call number `at` runs out of memory when it is done."""
    calls = [0]

    def run(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        result = work(*args, **kwargs)
        if calls[0] == at:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return result

    return run


POINTS = {
    "cameras": ("df3d.scene.cameras.OrbitCameras.sample", 3),
    "occupancy": ("df3d_hashgrid.occupancy.OccupancyGrid.refresh", 3),
    "march": ("df3d_hashgrid.renderer.march", 3),
    "field": ("df3d_hashgrid.field.HashGridField.query", 3),
    "composite": ("df3d_hashgrid.renderer.composite", 3),
    "guidance": ("guides.Grey.step", 3),
    "outputs": ("df3d.run.stage.check_outputs", 3),
    "backward": ("torch.Tensor.backward", 3),
    "first optimiser step": ("df3d.run.recovery.torch._foreach_norm", 1),
}


@pytest.mark.parametrize("point", POINTS)
def test_memory_that_runs_out_once_changes_nothing_but_how_it_is_drawn(
    point: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same step again, the optimiser as it was: the field is that of a run that drew in tiles from that step on."""
    expected, _, _ = follow(plan(), tmp_path / "unbroken")
    where, at = POINTS[point]
    owner, name = where.rsplit(".", 1)
    target: Any = __import__(owner.split(".")[0])
    for part in owner.split(".")[1:]:
        target = getattr(target, part)
    monkeypatch.setattr(target, name, fail_once(getattr(target, name), at))
    found, events, run = follow(plan(), tmp_path / "broken")
    assert notices(events) == ["out of memory: drawing 16384 rays at a time, and the same step again"]
    assert run.recovery("coarse") == {"rung": 1, "rollbacks": 0}
    assert [event.step for event in events if isinstance(event, Stepped)] == [5, 6]
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], tensor, atol=1e-5, rtol=1e-4)


def test_the_rung_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = plan()
    run = RunDir.open(tmp_path / "run", CATALOG, prompt=Prompt("x"), plan=compose(recipe.find("toybox", CATALOG), CATALOG), seed=0)
    run.update_manifest({})
    run.remember("coarse", Recovery(rung=3).table())
    parts = build(stage, device="cpu", start_from=None, seed=0)
    Recovery(**run.recovery("coarse")).apply(parts)
    assert parts.renderer.tile == 16384 // 4  # type: ignore[attr-defined]
    assert Recovery(**run.recovery("fine")) == Recovery()


def test_without_memory_at_all_it_ends_with_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8589934592 bytes")

    monkeypatch.setattr("guides.Grey.step", never)
    with pytest.raises(RunError, match="nothing is left to save") as error:
        follow(plan(), tmp_path / "run")
    assert "--set cameras.views=1" in error.value.hint


def test_other_errors_are_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: Any, **__: Any) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr("guides.Grey.step", wrong)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        follow(plan(), tmp_path / "run")
    assert out_of_memory(MemoryError())
    assert not out_of_memory(ValueError("out of memory"))


def test_a_bad_step_is_skipped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Grey, "spoil", {1, 3})
    _, events, run = follow(plan(), tmp_path / "run")
    assert [event.stats.get("skipped") for event in events if isinstance(event, Stepped)] == [2.0, 2.0]
    assert not notices(events)
    assert run.recovery("coarse") == {}


def test_a_bad_step_leaves_parameters_and_moments_as_they_were() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = torch.optim.Adam([weight], lr=0.1, fused=True)
    for gradient, bad in (([1.0, 1.0], 0.0), ([float("nan"), 1.0], 1.0), ([float("inf"), 1.0], 1.0), ([1.0, -1.0], 0.0)):
        before = [weight.detach().clone(), *(v.clone() for v in optimizer.state.get(weight, {}).values())]
        weight.grad = torch.tensor(gradient)
        assert float(step_unless_bad(optimizer)) == bad
        after = [weight.detach(), *optimizer.state[weight].values()]
        if bad:
            assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        else:
            assert not torch.equal(before[0], after[0])


def test_many_bad_steps_go_back_with_smaller_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps 4 to 14 are bad until the stage has gone back once."""
    bad = set(range(4, 4 + SKIPS + 1))
    monkeypatch.setattr(Grey, "spoil", bad)
    remember = RunDir.remember

    def cured(run: RunDir, stage: str, table: dict[str, int]) -> None:
        bad.clear()
        remember(run, stage, table)

    monkeypatch.setattr(RunDir, "remember", cured)
    field, events, run = follow(plan("save_every=4", steps=20), tmp_path / "run")
    assert notices(events) == [f"{SKIPS} gradients in a row are not numbers: going back, with learning rates times 0.5"]
    assert run.recovery("coarse") == {"rung": 0, "rollbacks": 1}
    steps = [event.step for event in events if isinstance(event, Stepped)]
    assert steps == [5, 10, 15, 5, 10, 15, 20]  # back to the checkpoint of step 4: none is kept of bad steps
    assert all(torch.isfinite(t).all() for t in field.state_dict().values())


def test_what_stays_bad_ends_with_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Grey, "spoil", set(range(2, 100)))
    with pytest.raises(RunError, match=f"diverged: .* after {ROLLBACKS} tries with smaller steps"):
        follow(plan(steps=40), tmp_path / "run")


def test_bad_steps_that_are_not_in_a_row_do_not_go_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Grey, "spoil", set(range(1, 60, 2)))  # every other step
    _, events, run = follow(plan("save_every=4", steps=60), tmp_path / "run")
    assert notices(events) == []
    assert run.recovery("coarse") == {}
    assert [event.stats["skipped"] for event in events if isinstance(event, Stepped)][-1] > SKIPS


def test_a_stage_that_went_back_twice_goes_on_with_a_quarter_of_its_rates() -> None:
    parts = build(plan(), device="cpu", start_from=None, seed=0)
    before = [group["base_lr"] for group in parts.optimizer.param_groups]
    Recovery(rollbacks=2).apply(parts)
    assert [group["base_lr"] for group in parts.optimizer.param_groups] == [0.25 * rate for rate in before]


def test_smaller_steps_stay_smaller() -> None:
    """A rate is its base times its decay at every step: the base is what has to shrink."""
    parts = build(plan(), device="cpu", start_from=None, seed=0)
    before = [group["base_lr"] for group in parts.optimizer.param_groups]
    Recovery().go_back(parts, "coarse", 3)
    assert [group["base_lr"] for group in parts.optimizer.param_groups] == [0.5 * rate for rate in before]


def test_what_was_never_given_up_is_not_written_down() -> None:
    assert Recovery().table() == {}
    assert Recovery(rollbacks=1).table() == {"rung": 0, "rollbacks": 1}
    assert Recovery(rung=2).table() == {"rung": 2, "rollbacks": 0}


def test_ten_bad_steps_in_a_row_go_back_and_three_times_are_enough() -> None:
    assert (SKIPS, ROLLBACKS) == (10, 3)
    recovery, parts = Recovery(), build(plan(), device="cpu", start_from=None, seed=0)
    said = [recovery.go_back(parts, "coarse", step) for step in (5, 9, 11)]
    assert [text.rsplit(" ", 1)[1] for text in said] == ["0.5", "0.25", "0.125"]
    with pytest.raises(RunError, match=r"stage `coarse` diverged: .* at step 12, after 3 tries") as error:
        recovery.go_back(parts, "coarse", 12)
    assert "df3d export" in error.value.hint


@pytest.mark.parametrize(
    "words", ["CUDA out of memory. Tried", "DefaultCPUAllocator: can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED when calling"]
)
def test_running_out_of_memory_has_several_names(words: str) -> None:
    assert out_of_memory(RuntimeError(words))
    assert not out_of_memory(RuntimeError("CUDA error: device-side assert"))
    assert not out_of_memory(KeyError(words))


def test_an_optimiser_that_is_not_fused_skips_a_bad_step_too() -> None:
    weights = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    optimizer = torch.optim.SGD(weights, lr=0.5)
    assert float(step_unless_bad(optimizer)) == 0.0  # without any gradient
    weights[0].grad, weights[1].grad = torch.ones(2), torch.tensor([1.0, float("-inf")])
    assert float(step_unless_bad(optimizer)) == 1.0
    assert all(torch.equal(weight, torch.ones(2)) for weight in weights)
    weights[1].grad = torch.ones(2)
    assert float(step_unless_bad(optimizer)) == 0.0
    assert all(torch.equal(weight, torch.full((2,), 0.5)) for weight in weights)


def test_half_made_moments_and_gradients_go_when_memory_runs_out() -> None:
    parts = build(plan(), device="cpu", start_from=None, seed=0)
    first, second, *_ = (parameter for group in parts.optimizer.param_groups for parameter in group["params"])
    first.grad = torch.ones_like(first)
    parts.optimizer.state[first] = {
        "step": torch.zeros(()),
        "exp_avg": torch.zeros_like(first),
        "exp_avg_sq": torch.zeros_like(first),
    }
    parts.optimizer.state[second] = {"step": torch.zeros(())}
    recovery = Recovery()
    assert recovery.go_down(parts) == "out of memory: drawing 16384 rays at a time, and the same step again"
    assert recovery == Recovery(rung=1)
    assert first.grad is None
    assert first in parts.optimizer.state
    assert second not in parts.optimizer.state
