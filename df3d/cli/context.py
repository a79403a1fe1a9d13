"""What commands share: options, errors for people, the device, and the choice of a recipe."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from df3d import recipe as recipes
from df3d.catalog import Catalog
from df3d.compose import Chosen, check_ready, compose
from df3d.config import parse, parse_setting
from df3d.errors import ConfigError, Df3dError, RunError
from df3d.plugin import ScorerPlugin, load_target
from df3d.recipe import Recipe
from df3d.rundir import RunDir

# Options that commands have in common.
Device = Annotated[str, typer.Option("--device", help="`cpu`, `cuda`, `cuda:1`, or `auto`.")]
Offline = Annotated[bool, typer.Option("--offline", help="Ask no model hub for anything, as with HF_HUB_OFFLINE=1.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Nothing on stderr but errors.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]  # `main` looks for it


def fail(error: Df3dError) -> int:
    """Say what went wrong and what to do, on stderr; returns the exit code."""
    print(f"error: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
    return 1


def nobody_listens() -> None:
    """Drop what stdout still holds, and all that follows: else Python's last flush complains to a reader who has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def catalog_of(context: typer.Context) -> Catalog:
    catalog = context.obj
    assert isinstance(catalog, Catalog)
    return catalog


def asset_path(target: Path) -> Path:
    """The mesh file that a person means: the file itself, or the asset of a finished run.

    Raises RunError when a run has none yet.
    """
    if not target.is_dir():
        return target
    asset = RunDir.existing(target).asset()
    if asset is None:
        raise RunError(f"`{target}` has no asset yet", "let `df3d generate` finish it, or use `df3d export`")
    return asset


def check_place(path: Path) -> None:
    """Raises ConfigError when no file can be written at `path`, for its folder is not there or it is one itself."""
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder `{path.parent}`", "make it first")
    if path.is_dir():
        raise ConfigError(f"`{path}` is a folder", "name a file in it")


def choose_recipe(name: str, settings: list[str], steps: int | None, catalog: Catalog, *, device: str) -> tuple[Recipe, str]:
    """The recipe with `--set` and `--steps` applied, and a note on what `auto` picked for the device."""
    overrides = [parse_setting(text) for text in settings]
    if steps is not None:
        overrides.append(("steps", steps))

    def read(name: str) -> Recipe:
        return recipes.override(recipes.find(name, catalog), overrides, catalog)

    if name != "auto":
        return read(name), ""
    if device == "cpu" or not gpu_is_there():
        why = "it is for a CPU" if device == "cpu" else "there is no GPU"
        return read("toybox"), f"recipe `toybox`: the embedded model, since {why}"
    try:
        chosen = read("dreamfusion")
        check_ready(compose(chosen, catalog)[0])
    except Df3dError as error:
        return read("toybox"), f"recipe `toybox`: the embedded model, since {error.message}; {error.hint}"
    if check_device(device) == "cpu":
        return read("toybox"), "recipe `toybox`: the embedded model, since torch finds no GPU"
    return chosen, "recipe `dreamfusion`: there is a GPU, and its model is on disk"


def choose_scorers(names: Sequence[str], settings: Sequence[str], catalog: Catalog, *, quiet: bool) -> dict[str, Chosen]:
    """Scorers by name with their options: those asked for, or all that are ready.

    Raises PluginError, ConfigError or ModelError when one that is asked for is not there, is set wrongly, or cannot work.
    """
    tables: dict[str, dict[str, Any]] = {}
    for path, value in map(parse_setting, settings):
        name, _, key = path.partition(".")
        catalog.get("scorer", name)
        tables.setdefault(name, {})[key] = value
    chosen = {}
    for name in names or catalog.names("scorer"):
        plugin = catalog.get("scorer", name)
        assert isinstance(plugin, ScorerPlugin)
        config: Any = parse(plugin.config, tables.get(name, {}), name)
        try:
            if plugin.ready:
                load_target(plugin.ready, f"scorer `{name}`")(config)
        except Df3dError as error:
            if names or name in tables:
                raise
            if not quiet:
                print(f"note: without scorer `{name}`: {error.message}", file=sys.stderr)
            continue
        chosen[name] = Chosen(plugin, config)
    return chosen


def gpu_is_there() -> bool:
    """Whether there seems to be a GPU, without importing torch."""
    return which("nvidia-smi") is not None or any(Path(device).exists() for device in ("/dev/nvidia0", "/dev/kfd"))


def memory_budget(size: str | None, device: str) -> float | None:
    """Bytes to fit into: `size` as in 8G, 7.5GB or 6000M; without it what is free on the GPU, and None on a CPU.

    Raises ConfigError when `size` is not one.
    """
    if size is not None:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([GM])B?", size.strip(), re.IGNORECASE)
        if not found or not float(found[1]):
            raise ConfigError(f"`{size}` is not a size of memory", "write for example --vram 8G")
        return float(found[1]) * (1e9 if found[2].upper() == "G" else 1e6)
    if not device.startswith("cuda"):
        return None
    import torch

    return float(torch.cuda.mem_get_info(torch.device(device))[0])


def check_device(name: str) -> str:
    """`auto`, `cpu`, or `cuda[:N]` as torch calls it, which becomes the current one; torch is imported only for a GPU.

    Raises ConfigError when there is no such device.
    """
    if name == "cpu" or (name == "auto" and find_spec("torch") is None):
        return "cpu"
    if name != "auto" and not re.fullmatch(r"cuda(:\d+)?", name):
        raise ConfigError(f"there is no device `{name}`", "choose from `auto`, `cpu`, `cuda`, `cuda:1`, ...")
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    number = name.removeprefix("cuda:") if ":" in name else "0"
    if not torch.cuda.is_available() or int(number) >= torch.cuda.device_count():
        raise ConfigError(f"there is no device `{name}` on this machine", "use --device cpu; `df3d doctor` shows what is there")
    torch.cuda.set_device(int(number))  # kernels of Triton and tinycudann run on the current one
    return name


def table(*columns: str) -> Table:
    return Table(*columns, box=None, pad_edge=False, header_style="bold")


def show(*things: object) -> None:
    """Print tables and text for people to stdout, whole lines where it is not a terminal."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    for thing in things:
        console.print(thing)
