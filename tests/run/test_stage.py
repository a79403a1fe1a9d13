"""One step of a stage: its rate, its weights, and who gives way first when memory runs out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from guides import Grey

from df3d import GuidancePlugin, hookimpl
from df3d.plugin.catalog import Catalog
from df3d.prompt import Prompt
from df3d.recipe.compose import compose
from df3d.recipe.plan import StagePlan
from df3d.recipe.recipe import from_table
from df3d.run.parts import Parts, build
from df3d.run.stage import advance
from df3d.schedule import Schedule, Step


class Guides:
    @hookimpl
    def df3d_guidance(self) -> Iterator[GuidancePlugin]:
        yield GuidancePlugin(name="grey", summary="Wants every render grey", target="guides:Grey")


def stage(**changes: Any) -> StagePlan:
    catalog = Catalog.discover()
    catalog.add(Guides())
    table: dict[str, Any] = {
        "name": "coarse", "steps": 10, "field": {"use": "hashgrid", "levels": 2, "log2_table": 8, "hidden": 8},
        "renderer": {"use": "raymarch", "samples": 16, "occupancy": 8}, "guidance": {"use": "grey"},
        "cameras": {"use": "orbit", "views": 1, "size": 16}, **changes,
    }  # fmt: skip
    return compose(from_table({"stage": [table]}), catalog).stages[0]


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
