"""The files of one run: manifest, recipe, log, and a folder of checkpoints for each stage. All are written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from df3d.errors import ConfigError, Df3dError, RunError
from df3d.events import Event
from df3d.plugin.catalog import Catalog
from df3d.prompt import Prompt
from df3d.recipe import recipe as recipes
from df3d.recipe.compose import compose
from df3d.recipe.plan import Plan
from df3d.recipe.recipe import Recipe
from df3d.run.checkpoint import Checkpoints
from df3d.system.files import replace_atomically

# What a run leaves in its folder, run.json and what exporters write aside.
FILES = ("turntable.webp", "sheet.png", "events.jsonl", "scores.json", "run.toml", ".*.tmp")
STAGE_FILES = ("*/step-*.safetensors", "*/preview-*.png", "*/.*.tmp")
STEMS = ("asset", "export")  # names of exported files


class RunDir:
    """One run folder. `open` makes or continues it and holds its lock; `existing` looks at one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / ".lock")

    # ------------------------------------------------------------------------------------------ opening
    @classmethod
    def existing(cls, path: Path) -> RunDir:
        """A run made before.

        Raises RunError when `path` is not one.
        """
        if not (path / "run.json").is_file():
            raise RunError(f"`{path}` is not a run folder: it has no run.json", "give a folder that `df3d generate` made")
        return cls(path)

    @classmethod
    def open(cls, path: Path, catalog: Catalog, *, prompt: Prompt, plan: Plan, seed: int, fresh: bool = False) -> RunDir:
        """Make the folder, or go on in it when it holds the same prompt, seed and recipe; takes its lock.

        Raises RunError when it is in use, holds something else, or cannot be written.
        """
        run = cls(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            run._lock.acquire(timeout=0)
            occupied = any(child.name != ".lock" for child in path.iterdir())
        except Timeout:
            raise RunError(f"`{path}` is in use by another df3d", "wait for it, or choose another folder with --out") from None
        except OSError as error:
            raise RunError(f"cannot write to `{path}`: {error.strerror}", "choose another folder with --out") from None
        try:
            if occupied:
                run._claim(catalog, prompt, plan, seed, fresh)
        except BaseException:
            run.close()
            raise
        return run

    def _claim(self, catalog: Catalog, prompt: Prompt, plan: Plan, seed: int, fresh: bool) -> None:
        begun = (self.path / "run.toml").is_file()
        if not (self.path / "run.json").is_file() or not (begun or _is_ours(self.manifest())):
            raise RunError(f"`{self.path}` holds files that are not a run", "choose another folder with --out")
        if fresh:
            self._clear(catalog)
        if fresh or not begun:
            return
        manifest = self.manifest()
        for what, new in ({"pictures": None, "mesh": None} | prompt.record() | {"seed": seed}).items():
            old = manifest.get(what)
            if old != new:
                raise RunError(
                    f"`{self.path}` holds a run with {what} `{old}`, not `{new}`",
                    "choose another folder with --out, or start it anew with --fresh",
                )
        if _decides(self.full_recipe(catalog)) != _decides(plan.recipe):
            raise RunError(
                f"`{self.path}` holds a run with other settings (run.toml differs)",
                f"repeat it with --recipe {self.path / 'run.toml'}, choose another --out, or start anew with --fresh",
            )

    def _clear(self, catalog: Catalog) -> None:
        """Remove what a run leaves. Other files stay."""
        beside = {side.format(stem=stem) for plugin in catalog.exporters for side in plugin.side_files for stem in STEMS}
        own = {f"{stem}{suffix}" for plugin in catalog.exporters for suffix in plugin.suffixes for stem in STEMS}
        try:
            for path in [path for pattern in (*STAGE_FILES, *FILES, *sorted(beside | own)) for path in self.path.glob(pattern)]:
                path.unlink()
                if path.parent != self.path and not any(path.parent.iterdir()):
                    path.parent.rmdir()
            (self.path / "run.json").unlink()  # last: while it is there the folder is known to be a run
        except OSError as error:
            raise RunError(f"cannot clear `{self.path}`: {error.strerror}", "choose another folder with --out") from None

    def close(self) -> None:
        self._lock.release()

    # ------------------------------------------------------------------------------------------ manifest
    def manifest(self) -> dict[str, Any]:
        """run.json.

        Raises RunError when it is damaged.
        """
        try:
            manifest = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"`{self.path / 'run.json'}` is damaged: {error}", "start anew with --fresh") from None
        if not isinstance(manifest, dict):
            raise RunError(f"`{self.path / 'run.json'}` is damaged: not a table", "start anew with --fresh")
        return manifest

    def asset(self) -> Path | None:
        """The asset of a finished run."""
        manifest = self.manifest() if (self.path / "run.json").exists() else {}
        asset = self.path / str(manifest.get("asset", ""))
        return asset if manifest.get("status") == "finished" and asset.is_file() else None

    def update_manifest(self, values: Mapping[str, Any]) -> None:
        old = self.manifest() if (self.path / "run.json").exists() else {}
        self.write_text("run.json", json.dumps({**old, **values}, indent=2, ensure_ascii=False) + "\n")

    def recovery(self, stage: str) -> dict[str, int]:
        """What a stage had to give up in earlier sittings (`recovery.Recovery`)."""
        return dict(self.manifest().get("recovery", {}).get(stage, {}))

    def remember(self, stage: str, given_up: Mapping[str, int]) -> None:
        self.update_manifest({"recovery": {**self.manifest().get("recovery", {}), stage: dict(given_up)}})

    def recipe(self) -> Recipe:
        """The resolved recipe the run was started with."""
        try:
            return recipes.read(self.path / "run.toml")
        except ConfigError as error:
            raise RunError(error.message, "start anew with --fresh") from None

    def full_recipe(self, catalog: Catalog) -> Recipe:
        """The same as this version writes it, every default included.

        Raises RunError when it names what is not there any more.
        """
        try:
            return compose(self.recipe(), catalog).recipe
        except Df3dError as error:
            raise RunError(
                f"the run in `{self.path}` cannot go on with what is installed: {error.message}", "start anew with --fresh"
            ) from None

    def write_text(self, name: str, text: str) -> None:
        replace_atomically(self.path / name, lambda temporary: temporary.write_text(text, encoding="utf-8"))

    def log(self, event: Event) -> None:
        """Append one line to events.jsonl."""
        try:
            with (self.path / "events.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(event.json(), ensure_ascii=False) + "\n")
        except OSError as error:
            raise RunError(f"cannot write `{self.path / 'events.jsonl'}`: {error.strerror}", "free some space") from None

    def checkpoints(self, stage: str) -> Checkpoints:
        """The checkpoints of a stage."""
        return Checkpoints(self.path / stage)


def _decides(recipe: Recipe) -> dict[str, Any]:
    """What of a recipe decides the result."""
    table = recipe.table()
    return {"stage": table["stage"], "export": table["export"]}


def _is_ours(manifest: Mapping[str, Any]) -> bool:
    """Whether a run.json without a run.toml beside it is of a run that was killed before it wrote one."""
    return set(manifest) <= {"fit"} or {"prompt", "seed", "recipe", "versions"} <= set(manifest)


def default_path(prompt: str, seed: int) -> Path:
    """`runs/a-red-car`, and `-seed1` behind it for a seed other than 0.

    A prompt that a name cannot hold, capitals aside, is told from others by a few digits of its SHA-256.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")
    if not 0 < len(slug) <= 60 or slug.replace("-", " ") != prompt.lower():
        slug = f"{slug[:60].strip('-') or 'run'}-{hashlib.sha256(prompt.encode()).hexdigest()[:6]}"
    return Path("runs") / (slug if seed == 0 else f"{slug}-seed{seed}")
