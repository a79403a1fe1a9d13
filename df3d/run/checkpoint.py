"""The checkpoints of one stage, from the newest of which a run goes on. No torch at the top."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from df3d.errors import RunError
from df3d.system.files import is_plain

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from df3d.protocols import Trainable
    from df3d.types import Asset

KEEP = 2  # files that are kept
NAME = re.compile(r"step-([0-9]{6,9})\.safetensors")
OTHERS = re.compile(r"preview-[0-9]{6,9}\.png|\.(step|preview)-[0-9]{6,9}\.(safetensors|png)\.[0-9a-f]+\.tmp")


class Checkpoints:
    """The files `step-NNNNNN.safetensors` in a stage's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def files(self) -> list[Path]:
        """Oldest first; links do not count.

        Raises RunError when the folder is a link, which a run never makes.
        """
        return sorted((path for path in self._inside() if NAME.fullmatch(path.name)), key=_steps)

    @property
    def steps_done(self) -> int:
        """How many steps the newest had done, by its name; 0 without one."""
        found = self.files
        return _steps(found[-1]) if found else 0

    def clear(self) -> None:
        """Remove checkpoints and previews, and the folder if nothing else is in it."""
        for path in self._inside():
            if NAME.fullmatch(path.name) or OTHERS.fullmatch(path.name):
                path.unlink()
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()

    def _inside(self) -> list[Path]:
        if self._folder.is_symlink():
            raise RunError(f"`{self._folder}` is a link, which df3d never makes", "remove it, or choose another folder with --out")
        return [path for path in self._folder.iterdir() if is_plain(path)] if self._folder.is_dir() else []

    def save(self, step: int, parts: Mapping[str, Trainable], optimizer: torch.optim.Optimizer | None) -> Path:
        """Keep the state after `step` steps; older files than the last few go."""
        from df3d.system.tensors import optimizer_tensors

        tensors = {f"{name}.{k}": v for name, part in parts.items() for k, v in part.state_dict().items()}
        if optimizer is not None:
            tensors |= {f"optimizer.{k}": v for k, v in optimizer_tensors(optimizer).items()}
        return self._keep(step, tensors, {})

    def restore(self, parts: Mapping[str, Trainable], optimizer: torch.optim.Optimizer | None = None) -> int:
        """Put the newest into the parts; returns how many steps it had done, 0 without one."""
        from df3d.system.tensors import load_state, restore_optimizer

        if not self.files:
            return 0
        with self._newest() as (tensors, _):
            for name, part in parts.items():
                load_state(part, _under(name, tensors))
            if optimizer is not None:
                restore_optimizer(optimizer, _under("optimizer", tensors))
            return self.steps_done

    def save_asset(self, asset: Asset) -> None:
        """Keep what a source made, if it is of a kind that can be kept; else it is made again when it is wanted again."""
        from df3d.run.asset_tensors import asset_tensors

        if (found := asset_tensors(asset)) is not None:
            self._keep(1, *found)

    def restore_asset(self) -> Asset | None:
        """What a source made; None when it was not kept."""
        from df3d.run.asset_tensors import asset_from

        if not self.files:
            return None
        with self._newest() as (tensors, metadata):
            return asset_from(tensors, metadata)

    def _keep(self, step: int, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Path:
        from df3d.system.tensors import write_tensors

        path = self._folder / f"step-{step:06d}.safetensors"
        write_tensors(path, tensors, {"step": str(step), **metadata})
        for old in self.files[:-KEEP]:
            old.unlink()
        return path

    @contextmanager
    def _newest(self) -> Iterator[tuple[dict[str, Tensor], dict[str, str]]]:
        """The newest file; what goes wrong in putting it back is a RunError."""
        from df3d.system.tensors import read_tensors

        path = self.files[-1]
        tensors, metadata = read_tensors(path)
        try:
            yield tensors, metadata
        except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise RunError(
                f"checkpoint `{path}` does not fit this recipe: {str(error).splitlines()[0]}",
                "delete that file to go on from the one before it, or use --fresh",
            ) from None


def _steps(path: Path) -> int:
    found = NAME.fullmatch(path.name)
    return int(found[1]) if found else 0


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(f"{prefix}."): value for name, value in tensors.items() if name.startswith(f"{prefix}.")}
