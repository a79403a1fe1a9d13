"""Tensors on disk: safetensors only, written whole or not at all. No pickle is ever loaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from df3d.errors import RunError


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Save `tensors` at `path`, by way of a temporary file beside it."""

    def save(temporary: Path) -> None:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, temporary, dict(metadata or {}))

    replace_atomically(path, save)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors (on the CPU) and metadata of a file that `write` made.

    Raises RunError when the file is damaged or not a safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"checkpoint `{path}` cannot be read: {error}", "delete that file to go on from the one before it, or use --fresh"
        ) from None


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's moments by parameter number, as flat tensors."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{key}": torch.as_tensor(value) for index, entry in state.items() for key, value in entry.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` took; learning rates stay as they are.

    Moments get the memory layout of their parameter: fused optimisers take for granted that they have it.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        like = parameters[int(index)]
        alike = tensor.shape == like.shape
        state.setdefault(int(index), {})[key] = torch.empty_like(like).copy_(tensor) if alike else tensor.clone()
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def replace_atomically(path: Path, save: Callable[[Path], object]) -> None:
    """Let `save` write a temporary file in the folder of `path`, then put it in place in one step.

    Raises RunError when the disk is full or the folder cannot be written; what stood at `path` is then untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(temporary)
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"cannot write `{path}`: {error}", "free some space or choose another folder with --out") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
