"""What parts promise that are trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from df3d.system.tensors import load_state
from df3d.types import TensorRule


def assert_wrong_states_are_refused(make: Callable[[], Any]) -> None:
    """A checkpoint may come from a stranger: what does not fit is a ValueError of df3d, and never reaches a kernel."""
    part = make()
    right = {name: tensor.clone() for name, tensor in part.state_dict().items()}
    rules: dict[str, TensorRule] = getattr(part, "state_rules", {})
    wrong = [("has a strange tensor", {**right, "strange": torch.zeros(1)})]
    for name, tensor in right.items():
        wrong.append((f"lacks `{name}`", {key: value for key, value in right.items() if key != name}))
        grows = rules.get(name, TensorRule()).rows == name
        wrong += [(f"has a `{name}` that {how}", {**right, name: bad}) for how, bad in _spoilt(tensor, grows=grows)]
    for how, state in wrong:
        try:
            load_state(part, state)
        except ValueError:
            continue
        raise AssertionError(f"it took a state that {how}")


def _spoilt(tensor: Tensor, *, grows: bool) -> Iterator[tuple[str, Tensor]]:
    """Versions of a tensor that no part can use."""
    yield "has one axis more", tensor[None]
    yield "has no numbers", tensor.new_zeros(0)
    yield "is complex", tensor.to(torch.complex64)
    if tensor.dim() and not grows:
        yield "has a row more", torch.cat([tensor, tensor[:1]]) if len(tensor) else tensor.new_zeros(1, *tensor.shape[1:])
    if tensor.dim() > 1:
        yield "has a column more", torch.cat([tensor, tensor[:, :1]], dim=1)
    if tensor.is_floating_point():
        for number in (float("nan"), float("inf"), float("-inf")):
            yield f"holds {number}", torch.full_like(tensor, number)
    elif tensor.dtype != torch.bool:
        for number in (-1, torch.iinfo(tensor.dtype).max, torch.iinfo(tensor.dtype).min):
            yield f"holds {number}", torch.full_like(tensor, number)


def parameters_of(part: Any) -> list[Tensor]:
    return [parameter for group in part.parameter_groups() for parameter in group["params"]]


def assert_trained(part: Any) -> None:
    for parameter in parameters_of(part):
        assert parameter.grad is not None
        assert bool(torch.isfinite(parameter.grad).all())
