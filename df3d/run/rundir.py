"""The files of one run: manifest, recipe, log, and a folder of checkpoints for each stage. All are written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from df3d.errors import ConfigError, Df3dError, RunError
from df3d.events import Event
from df3d.plugin.catalog import Catalog
from df3d.plugin.records import ExporterPlugin
from df3d.prompt import Prompt
from df3d.recipe import recipe as recipes
from df3d.recipe.compose import compose
from df3d.recipe.plan import Plan
from df3d.recipe.recipe import Recipe
from df3d.run.checkpoint import Checkpoints
from df3d.run.lock import RunLock
from df3d.system.files import append_plain, is_plain, read_plain, replace_atomically
from df3d.system.text import json_line

FILES = ("run.toml", "events.jsonl", "turntable.webp", "sheet.png", "scores.json")  # of every run, run.json aside
LARGEST = 1 << 24  # bytes of run.json and run.toml
MANIFEST = {  # what run.json may say, and how
    **dict.fromkeys(("prompt", "negative", "recipe", "device", "status", "asset"), str),
    **dict.fromkeys(("seed", "peak_memory_mib"), int),
    **dict.fromkeys(("versions", "recovery", "mesh"), dict),
    **dict.fromkeys(("fit", "pictures", "files", "stages"), list),
    "seconds": float,
}


class RunDir:
    """One run folder. `open` makes or continues it and holds its lock; `existing` looks at one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = RunLock(path)

    # ------------------------------------------------------------------------------------------ opening
    @classmethod
    def existing(cls, path: Path) -> RunDir:
        """A run made before.

        Raises RunError when `path` is not one.
        """
        if not is_plain(path / "run.json"):
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
            run._lock.acquire()
            occupied = any(not _before_manifest(child) for child in path.iterdir())
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
        begun = is_plain(self.path / "run.toml")
        if fresh and begun and self._is_damaged():
            self._clear(catalog, {})
            return
        if not is_plain(self.path / "run.json") or not (begun or _is_ours(self.manifest())):
            raise RunError(f"`{self.path}` holds files that are not a run", "choose another folder with --out")
        if fresh or (begun and not self._has_checkpoints()):  # one that ended before its first step holds nothing to lose
            self._clear(catalog, self.manifest())
            return
        if not begun:
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

    def _has_checkpoints(self) -> bool:
        return any(self.checkpoints(stage).files for stage in self.manifest().get("stages") or self._usual_stages())

    def _is_damaged(self) -> bool:
        """Whether there is a run.json that cannot be read."""
        try:
            self.manifest()
        except RunError:
            return is_plain(self.path / "run.json")
        return False

    def _clear(self, catalog: Catalog, manifest: Mapping[str, Any]) -> None:
        """Remove what run.json says is the run's, or what a run usually leaves, and no link, folder or other file."""
        names = set(manifest.get("files") or self._usual_files(manifest, catalog))
        try:
            for stage in manifest.get("stages") or self._usual_stages():
                self.checkpoints(stage).clear()
            for path in list(self.path.iterdir()):
                if path.name in names or _unfinished(path.name) in names:
                    path.unlink()
            (self.path / "run.json").unlink()  # last: while it is there the folder is known to be a run
        except OSError as error:
            raise RunError(f"cannot clear `{self.path}`: {error.strerror}", "choose another folder with --out") from None

    def _usual_files(self, manifest: Mapping[str, Any], catalog: Catalog) -> list[str]:
        """The files of a run of version 0.1.0, which kept no list of them."""
        suffix = Path(manifest.get("asset", "")).suffix
        plugin = next((plugin for plugin in catalog.exporters if suffix in plugin.suffixes), None)
        return [*FILES, *(files_of(plugin) if plugin else [])]

    def _usual_stages(self) -> list[str]:
        """The stages of a run of version 0.1.0."""
        try:
            return [stage.name for stage in self.recipe().stages]
        except RunError:
            return []

    @property
    def note(self) -> str:
        """What is unusual about its folder; "" for nothing."""
        return self._lock.note

    def close(self) -> None:
        self._lock.release()

    # ------------------------------------------------------------------------------------------ manifest
    def manifest(self) -> dict[str, Any]:
        """run.json.

        Raises RunError when it is damaged.
        """
        path = self.path / "run.json"
        try:
            manifest = json.loads(read_plain(path, LARGEST))
            _check_manifest(manifest)
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"`{path}` is damaged: {error}", "start anew with --fresh") from None
        return dict(manifest)

    def asset(self) -> Path | None:
        """The asset of a finished run, a file in its folder."""
        manifest = self.manifest() if is_plain(self.path / "run.json") else {}
        asset = self.path / manifest.get("asset", "")
        return asset if manifest.get("status") == "finished" and is_plain(asset) else None

    def update_manifest(self, values: Mapping[str, Any]) -> None:
        old = self.manifest() if is_plain(self.path / "run.json") else {}
        self.write_text("run.json", json.dumps({**old, **values}, indent=2, ensure_ascii=False) + "\n")

    def recovery(self, stage: str) -> dict[str, int]:
        """What a stage had to give up in earlier sittings (`recovery.Recovery`)."""
        return dict(self.manifest().get("recovery", {}).get(stage, {}))

    def expect(self, plan: Plan) -> None:
        """Note in run.json what the run will write: that, and nothing else, goes when it is started anew."""
        self.update_manifest({"files": [*FILES, *files_of(plan.exporter)], "stages": [stage.name for stage in plan.stages]})

    def remember(self, stage: str, given_up: Mapping[str, int]) -> None:
        self.update_manifest({"recovery": {**self.manifest().get("recovery", {}), stage: dict(given_up)}})

    def recipe(self) -> Recipe:
        """The resolved recipe the run was started with."""
        path = self.path / "run.toml"
        if path.exists() and not is_plain(path):
            raise RunError(f"`{path}` is not a regular file", "start anew with --fresh")
        try:
            return recipes.read(path)
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
            append_plain(self.path / "events.jsonl", json_line(event.json()) + "\n")
        except OSError as error:
            raise RunError(f"cannot write `{self.path / 'events.jsonl'}`: {error.strerror}", "free some space") from None

    def checkpoints(self, stage: str) -> Checkpoints:
        """The checkpoints of a stage."""
        return Checkpoints(self.path / stage)


def _decides(recipe: Recipe) -> dict[str, Any]:
    """What of a recipe decides the result."""
    table = recipe.table()
    return {"stage": table["stage"], "export": table["export"]}


def files_of(exporter: ExporterPlugin) -> list[str]:
    """The names of what an exporter leaves of a run."""
    return [f"asset{exporter.suffixes[0]}", *(name.format(stem="asset") for name in exporter.side_files)]


def _unfinished(name: str) -> str:
    """The file that a temporary one was to become, when a run was killed; "" for others."""
    found = re.fullmatch(r"\.(.+)\.[0-9a-f]+\.tmp", name)
    return found[1] if found else ""


def _before_manifest(path: Path) -> bool:
    """Whether a file may lie in a run that was ended before it had its run.json: by a full disk, or killed."""
    return path.name.startswith((".lock", ".lease")) or (path.name == "events.jsonl" and is_plain(path)) or (
        _unfinished(path.name) in ("run.json", "run.toml")
    )  # fmt: skip


def _check_manifest(manifest: object) -> None:
    """Raises ValueError when run.json says what it cannot say."""
    if not isinstance(manifest, dict):
        raise ValueError("it is not a table")
    for key, value in manifest.items():
        kind = MANIFEST.get(key)
        if (kind and not (isinstance(value, kind) or (kind is float and type(value) is int))) or (kind is int and value is True):
            raise ValueError(f"`{key}` cannot be `{value!r:.80}`")
    names = [*manifest.get("files", []), *manifest.get("stages", []), manifest.get("asset", "")]
    for name in names:
        if not isinstance(name, str) or name in (".", "..") or "\0" in name or name != re.split(r"[/\\]", name)[-1]:
            raise ValueError(f"`{name!r:.80}` is not the name of a file in it")
    for stage, table in manifest.get("recovery", {}).items():
        if not isinstance(table, dict) or not all(key in ("rung", "rollbacks") and _is_small(n) for key, n in table.items()):
            raise ValueError(f"`recovery` of `{stage:.80}` cannot be `{table!r:.80}`")
    for pair in manifest.get("fit", []):
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
            raise ValueError(f"`fit` cannot hold `{pair!r:.80}`")


def _is_small(number: object) -> bool:
    return type(number) is int and 0 <= number <= 1000


def _is_ours(manifest: Mapping[str, Any]) -> bool:
    """Whether a run.json without a run.toml beside it is of a run that was killed before it wrote one."""
    return set(manifest) <= {"fit"} or {"prompt", "seed", "recipe", "versions"} <= set(manifest)


DEVICES = {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(10))}  # no folders on Windows


def default_path(prompt: str, seed: int) -> Path:
    """`runs/a-red-car`, and `-seed1` behind it for a seed other than 0.

    A prompt that a name cannot hold, capitals aside, is told from others by a few digits of its SHA-256.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")
    if not 0 < len(slug) <= 60 or slug.replace("-", " ") != prompt.lower() or slug in DEVICES:
        slug = f"{slug[:60].strip('-') or 'run'}-{hashlib.sha256(prompt.encode()).hexdigest()[:6]}"
    return Path("runs") / (slug if seed == 0 else f"{slug}-seed{seed}")
