"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError

from df3d.errors import ConfigError, RunError


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


def check_place(path: Path) -> None:
    """Raises ConfigError when no file can be written at `path`, for its folder is not there or it is one itself."""
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder `{path.parent}`", "make it first")
    if path.is_dir():
        raise ConfigError(f"`{path}` is a folder", "name a file in it")
