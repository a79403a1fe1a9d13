"""What a stage is built from, and in which order its parts are asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from guides import Grey, stage

from df3d.run.parts import Parts, _trainable, build
from df3d.schedule import Schedule, Step


def test_each_group_keeps_the_rate_that_it_begins_with() -> None:
    parts = build(stage(group=2, optimizer={"use": "adam", "learning_rate": 0.125}), device="cpu", start_from=None, seed=0)
    rates = [group["base_lr"] for group in parts.optimizer.param_groups]
    assert rates == [group["lr"] for group in parts.optimizer.param_groups]
    own = [group.get("lr", 0.125) for group in [*parts.field.parameter_groups(), *parts.renderer.parameter_groups()]]
    assert rates == own


def test_cameras_come_in_the_groups_that_the_guidance_judges() -> None:
    cameras = build(stage(group=2), device="cpu", start_from=None, seed=0).cameras.sample(Step(0, 10))
    apart = (cameras.azimuth[1] - cameras.azimuth[0]) % 360
    assert abs(float(apart) - 180.0) < 1e-3


def test_a_penalty_is_asked_for_its_outputs_while_it_has_a_weight() -> None:
    plan = stage(group=2, penalties={"orientation": {"start": 0.0, "end": 1.0, "since": 0.5}})
    parts = build(plan, device="cpu", start_from=None, seed=0)
    always = frozenset({"rgb"})
    assert parts.needs(Step(0, 11), always) == {"rgb"}
    assert parts.needs(Step(5, 11), always) == {"rgb"}
    assert parts.needs(Step(6, 11), always) == {"rgb", "normal", "samples"}


def test_a_checkpoint_calls_one_guidance_that_and_several_by_their_names() -> None:
    class Learning(Grey):
        parameter_groups = before_step = state_dict = load_state_dict = lambda self, *given: []

    field: Any = Learning(None)
    one, two = Learning(None), Learning(None)
    assert list(_trainable(field, field, {"a": one})) == ["field", "renderer", "guidance"]  # type: ignore[dict-item]
    assert list(_trainable(field, field, {"a": one, "b": two})) == ["field", "renderer", "guidance-a", "guidance-b"]  # type: ignore[dict-item]
    assert list(_trainable(field, field, {"a": Grey(None), "b": two})) == ["field", "renderer", "guidance-b"]  # type: ignore[dict-item]


def test_notes_of_all_parts_are_heard_in_their_order() -> None:
    def part(*notes: str) -> Any:
        return SimpleNamespace(notes=notes)

    guidance: Any = {"a": (part("third"), Schedule(1.0)), "b": (object(), Schedule(1.0)), "c": (part("last"), Schedule(1.0))}
    nothing: Any = None
    parts = Parts(part("first"), part("second"), guidance, nothing, {}, torch.optim.SGD([torch.zeros(1)]))
    assert parts.notes() == ["first", "second", "third", "last"]
