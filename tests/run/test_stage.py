"""One step of a stage: its rate, its weights, and who gives way first when memory runs out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from guides import Grey, stage
from PIL import Image

from df3d.events import Event, Notice, Previewed, Saved, Stepped
from df3d.prompt import Prompt
from df3d.recipe.plan import StagePlan
from df3d.run.parts import Parts, build
from df3d.run.rundir import RunDir
from df3d.run.stage import Setting, _Progress, advance, optimise, previewed
from df3d.schedule import Schedule, Step


def made(plan: StagePlan) -> Parts:
    return build(plan, device="cpu", start_from=None, seed=0)


def moved(plan: StagePlan, index: int) -> float:
    """How far the field's parameters go in one step."""
    parts = made(plan)
    before = [p.detach().clone() for p in parts.field.parameters()]  # type: ignore[attr-defined]
    advance(plan, parts, {"grey": Grey(None).encode(Prompt("x"))}, Step(index, 10, "coarse", 0), "cpu")
    after = list(parts.field.parameters())  # type: ignore[attr-defined]
    return max(float((a.detach() - b).abs().max()) for a, b in zip(after, before, strict=True))


def test_the_rate_falls_as_the_optimizers_decay_says() -> None:
    plan = stage(optimizer={"use": "adam", "decay": {"start": 1.0, "end": 0.0}})
    assert moved(plan, 0) == pytest.approx(0.01, rel=0.02)  # Adam's first step is as long as the rate: that of the grid
    assert moved(plan, 9) == pytest.approx(0.0, abs=0.0015)
    assert moved(stage(), 9) == pytest.approx(0.01, rel=0.02)


def test_losses_count_by_their_weights() -> None:
    def stats(**changes: Any) -> dict[str, float]:
        plan = stage(**changes)
        found = advance(plan, made(plan), {"grey": Grey(None).encode(Prompt("x"))}, Step(0, 10, "coarse", 0), "cpu")
        return {name: float(value) for name, value in found.items()}

    plain = stats(penalties={"opacity": 0.5})
    assert plain["penalties.opacity"] == stats(penalties={"opacity": 2.0})["penalties.opacity"]  # each as it is
    assert "penalties.opacity" not in stats(penalties={"opacity": 0.0})
    assert plain["guidance.grey"] == stats()["guidance.grey"]

    parts, plan = {}, {}
    for weight in (0.0, 1000.0):
        plan[weight] = stage(penalties={"opacity": weight}, guidance={"use": "grey", "weight": 0.0})
        parts[weight] = made(plan[weight])
        advance(plan[weight], parts[weight], {"grey": Grey(None).encode(Prompt("x"))}, Step(0, 10, "coarse", 0), "cpu")
    grads = [sum(float(p.grad.abs().sum()) for p in parts[w].field.parameters() if p.grad is not None) for w in parts]  # type: ignore[attr-defined]
    assert grads[0] == 0
    assert grads[1] > 0


class Saver:
    def __init__(self, name: str, times: int, order: list[str]) -> None:
        self.name, self.times, self.order = name, times, order

    def save_memory(self) -> str:
        if not self.times:
            return ""
        self.times -= 1
        self.order.append(self.name)
        return self.name


def test_the_renderer_gives_way_first_then_the_guidance_then_the_field() -> None:
    order: list[str] = []
    field, renderer, first, second = (Saver(name, 2, order) for name in ("field", "renderer", "first", "second"))
    guidance: Any = {"a": (first, Schedule(1.0)), "b": (second, Schedule(1.0))}
    nothing: Any = None
    parts = Parts(field, renderer, guidance, nothing, {}, torch.optim.SGD([torch.zeros(1)]))  # type: ignore[arg-type]
    while parts.save_memory():
        pass
    assert order == ["renderer", "renderer", "first", "first", "second", "second", "field", "field"]


def test_another_seed_is_another_field_and_the_same_seed_the_same() -> None:
    plan = stage()
    first, again, other = (build(plan, device="cpu", start_from=None, seed=seed).field.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def gradient(**changes: Any) -> torch.Tensor:
    """Of the field's parameters, together, at one step."""
    plan = stage(**changes)
    parts = made(plan)
    stale = list(parts.field.parameters())  # type: ignore[attr-defined]
    for parameter in stale:
        parameter.grad = torch.full_like(parameter, 1e3)  # of a step before
    advance(plan, parts, {"grey": Grey(None).encode(Prompt("x"))}, Step(5, 11, "coarse", 0), "cpu")
    return torch.cat([p.grad.flatten() for p in stale if p.grad is not None])


def test_the_gradient_is_that_of_the_sum_of_all_losses_by_their_weights() -> None:
    grey, opacity = gradient(), gradient(guidance={"use": "grey", "weight": 0.0}, penalties={"opacity": 1.0})
    both = gradient(guidance={"use": "grey", "weight": {"start": 1.0, "end": 3.0}}, penalties={"opacity": 0.5})
    torch.testing.assert_close(both, 2.0 * grey + 0.5 * opacity, atol=1e-7, rtol=1e-3)
    assert float(grey.abs().sum()) > 0
    assert float(opacity.abs().sum()) > 0


def test_the_rate_of_a_step_does_not_depend_on_the_steps_before() -> None:
    plan = stage(optimizer={"use": "adam", "decay": {"start": 1.0, "end": 0.0}})
    parts = made(plan)
    for index in (2, 4, 4):  # one is done twice
        advance(plan, parts, {"grey": Grey(None).encode(Prompt("x"))}, Step(index, 11, "coarse", 0), "cpu")
    for group in parts.optimizer.param_groups:
        assert group["lr"] == pytest.approx(0.6 * group["base_lr"])


def test_parts_are_told_of_a_step_before_it_and_the_renderer_looks_at_the_field_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = stage()
    parts, told = made(plan), list[tuple[str, int]]()
    for name, part, method in (("field", parts.field, "before_step"), ("renderer", parts.renderer, "before_step")):
        monkeypatch.setattr(type(part), method, lambda self, step, name=name: told.append((name, step.index)))
    monkeypatch.setattr(type(parts.renderer), "refresh", lambda self, field, step: told.append(("refresh", step.index)))
    advance(plan, parts, {"grey": Grey(None).encode(Prompt("x"))}, Step(3, 10, "coarse", 0), "cpu")
    assert told == [("field", 3), ("renderer", 3), ("refresh", 3)]


def follow(folder: Path, steps: int, *, watch: Any = None, **changes: Any) -> list[Event]:
    plan = stage(steps=steps, **changes)
    run = RunDir(folder)
    run.update_manifest({})
    return list(optimise(plan, None, Setting(run, Prompt("x"), "cpu", 0, watch=watch)))


def test_every_fifth_step_and_the_last_are_reported_and_each_is_watched(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    events = follow(tmp_path, 7, watch=lambda field, renderer, device: seen.append((type(field).__name__, device)))
    stepped = [event for event in events if isinstance(event, Stepped)]
    assert [(event.step, event.of) for event in stepped] == [(5, 7), (7, 7)]
    assert all("skipped" not in event.stats for event in stepped)
    assert {"opacity", "guidance.grey"} <= stepped[0].stats.keys()
    assert seen == [("HashGridField", "cpu")] * 7


def test_a_time_per_step_is_that_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    at = _Progress(5, 0, *torch.zeros(2), mark=100.0)
    monkeypatch.setattr("df3d.run.stage.time.perf_counter", lambda: 110.0)
    assert at.seconds_per_step() == 2.0
    assert (at.mark, at.reported) == (110.0, 5)
    assert at.seconds_per_step() == 0.0  # no step since, and no division by nothing


def test_checkpoints_and_pictures_come_when_they_are_due_and_at_the_end(tmp_path: Path) -> None:
    events = follow(tmp_path, 5, save_every=2, preview_every=3)
    assert [event.step for event in events if isinstance(event, Saved)] == [2, 4, 5]
    pictures = [event.path for event in events if isinstance(event, Previewed)]
    assert [path.name for path in pictures] == ["preview-000003.png", "preview-000005.png"]
    with Image.open(pictures[0]) as picture:
        assert picture.size == (4 * 128, 128)
    assert not [event for event in follow(tmp_path / "none", 3, preview_every=0) if isinstance(event, Previewed)]


def test_a_picture_that_does_not_fit_into_memory_is_left_out_and_said() -> None:
    def short() -> list[Path]:
        raise MemoryError

    def wrong() -> list[Path]:
        raise RuntimeError("shapes do not fit")

    assert previewed(short) == [Notice("out of memory: a picture is left out", instead=True)]
    assert previewed(lambda: [Path("a.png")]) == [Previewed(Path("a.png"))]
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        previewed(wrong)


def test_what_parts_do_instead_is_said_even_when_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Grey, "notes", ["the moon judges"], raising=False)
    assert Notice("the moon judges", instead=True) in follow(tmp_path, 1)
