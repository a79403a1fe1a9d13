"""Tensors on disk, as safetensors; an optimiser's moments among them. No pickle is ever loaded."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from df3d.errors import RunError
from df3d.system.files import replace_atomically
from df3d.types import TensorRule


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Save `tensors` at `path`, by way of a temporary file beside it."""

    def save(temporary: Path) -> None:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, temporary, dict(metadata or {}))

    replace_atomically(path, save)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors (on the CPU) and metadata of a file that `write_tensors` made.

    Raises RunError when the file is damaged or not a safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"checkpoint `{path}` cannot be read: {error}", "delete that file to go on from the one before it, or use --fresh"
        ) from None


class Stateful(Protocol):
    """A part with tensors that a file keeps."""

    def state_dict(self) -> dict[str, Tensor]: ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> Any: ...


def load_state(part: Stateful, state: Mapping[str, Tensor]) -> None:
    """Put tensors of a file into a part, once they are known to fit it.

    Raises ValueError with the tensor that does not.
    """
    rules: Mapping[str, TensorRule] = getattr(part, "state_rules", {})
    check_tensors(state, {name: (value.dtype, tuple(value.shape)) for name, value in part.state_dict().items()}, rules)
    part.load_state_dict(state)


def check_tensors(
    tensors: Mapping[str, Tensor],
    expected: Mapping[str, tuple[torch.dtype, tuple[int, ...]]],
    rules: Mapping[str, TensorRule],
    optional: Container[str] = (),
) -> None:
    """Compare tensors of a file with the types and shapes that are expected, and with rules, which may let rows differ.

    Raises ValueError with the tensor that does not fit.
    """
    if strange := [name for name in tensors if name not in expected]:
        raise ValueError(f"`{min(strange)}` is not expected")
    for name, (dtype, shape) in expected.items():
        if name in tensors:
            _check_tensor(name, tensors, dtype, shape, rules.get(name, TensorRule()))
        elif name not in optional:
            raise ValueError(f"`{name}` is missing")


def _check_tensor(name: str, tensors: Mapping[str, Tensor], dtype: torch.dtype, shape: tuple[int, ...], rule: TensorRule) -> None:
    tensor = tensors[name]
    if rule.rows:
        like = tensors.get(rule.rows)
        shape = (max(len(like), 1) if like is not None and like.dim() else 1, *shape[1:])
    if tensor.dtype != dtype or tuple(tensor.shape) != shape:
        wanted, found = (f"{str(kind).removeprefix('torch.')} {list(size)}" for kind, size in ((dtype, shape), _kind(tensor)))
        raise ValueError(f"`{name}` is {found}, not {wanted}")
    if not tensor.numel() or tensor.dtype == torch.bool:
        return
    low, high = (float(value) for value in torch.aminmax(tensor))
    if not math.isfinite(low + high):
        raise ValueError(f"`{name}` holds what is no number")
    most = len(tensors[rule.indexes]) - 1 if rule.indexes and rule.indexes in tensors else rule.high
    least = 0 if rule.indexes else rule.low
    if (least is not None and low < least) or (most is not None and high > most):
        raise ValueError(f"`{name}` holds {low if least is not None and low < least else high:g}, which it cannot")


def _kind(tensor: Tensor) -> tuple[torch.dtype, tuple[int, ...]]:
    return tensor.dtype, tuple(tensor.shape)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's moments by parameter number, as flat tensors."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{key}": torch.as_tensor(value) for index, entry in state.items() for key, value in entry.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` took; learning rates stay as they are.

    Moments get the memory layout of their parameter: fused optimisers take for granted that they have it. Raises ValueError
    when a tensor fits no parameter.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    of_torch = type(optimizer).__module__.startswith("torch.")  # their kernels believe that moments have their parameter's shape
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        if not index.isascii() or not index.isdigit() or int(index) >= len(parameters):
            raise ValueError(f"optimizer tensor `{name}` belongs to no parameter")
        like = parameters[int(index)]
        alike = tensor.shape == like.shape
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()) or (key == "step" and float(tensor.min()) < 0):
            raise ValueError(f"optimizer tensor `{name}` holds what it cannot")
        if not alike and tensor.dim() and (of_torch or tensor.numel() > like.numel()):
            raise ValueError(f"optimizer tensor `{name}` is {list(tensor.shape)}, not {list(like.shape)}")
        state.setdefault(int(index), {})[key] = torch.empty_like(like).copy_(tensor) if alike else tensor.clone()
    moments = {"step", "exp_avg", "exp_avg_sq"} if isinstance(optimizer, torch.optim.Adam | torch.optim.AdamW) else set()
    if any(not moments <= set(entry) for entry in state.values()):
        raise ValueError("the optimizer lacks moments")
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
