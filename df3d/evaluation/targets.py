"""What `df3d eval` is given: runs, mesh files, folders of them, and lists that say what each should show."""

from __future__ import annotations

import csv
import dataclasses
import errno
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from df3d.errors import ConfigError, Df3dError, RunError
from df3d.mesh.files import readable
from df3d.plugin.catalog import Catalog
from df3d.run.rundir import RunDir
from df3d.system.files import is_plain, read_text
from df3d.system.text import one_line

LISTS = ("prompts.csv", "prompts.jsonl")
DEEPEST = 50  # folders in folders that are looked into


@dataclass(frozen=True)
class Target:
    """Something to score: a mesh file, the run it belongs to if there is one, and what it should show."""

    path: Path
    prompt: str
    run: Path | None = None
    seed: int | None = None
    problem: str = ""  # why it cannot be scored, when that is known before it is read

    @property
    def name(self) -> str:
        return str(self.run or self.path)


def find_targets(
    paths: Sequence[Path], catalog: Catalog, *, prompt: str | None = None, prompts: Path | None = None
) -> list[Target]:
    """Run folders, mesh files, and folders of either (with a prompts.csv or prompts.jsonl of `path` and `prompt`), each once.

    A prompt comes from `prompt`, the list, or the run; "" where it may stand in the file itself. What is none of these is a
    target with a problem. Raises RunError when there is nothing else, and ConfigError when a list cannot be read.
    """
    listed = read_prompts(prompts) if prompts is not None else {}
    for path in paths:
        if path.name in LISTS and path.is_file():
            listed = {**read_prompts(path), **listed}
    known, found = readable(catalog), dict[str, Target]()
    seen: set[str] = set()
    for path in paths:
        for target in _targets(path, known, listed, seen, given=True) if path.name not in LISTS else ():
            place = os.path.realpath(target.run or target.path)
            if place not in found or (target.prompt and not found[place].prompt):
                found[place] = target
    targets = list(found.values())
    if not targets:
        raise RunError(f"there is nothing to score in {', '.join(f'`{path}`' for path in paths)}", "give runs or mesh files")
    if all(target.problem for target in targets) and not any(target.run for target in targets):
        raise RunError(targets[0].problem, f"give runs, folders, or {', '.join(known)} files")
    return [dataclasses.replace(target, prompt=one_line(target.prompt if prompt is None else prompt)) for target in targets]


def _targets(
    path: Path, known: Sequence[str], listed: Mapping[str, str], seen: set[str], *, given: bool = False, depth: int = 0
) -> list[Target]:
    """What a path means; `known` are the file name endings that can be read.

    `seen` are the folders that were looked into: links may lead back to them. `given`: a person named it, so that it means
    something even if it cannot be scored.
    """
    try:
        if is_plain(path / "run.json"):
            return [_of_run(path, listed)]
        if path.is_dir():
            place = os.path.realpath(path)
            if place in seen and not given:
                return []
            if depth > DEEPEST:
                raise OSError(errno.ELOOP, f"it lies more than {DEEPEST} folders deep", str(path))
            seen.add(place)
            for name in LISTS:
                if (path / name).is_file():
                    listed = {**read_prompts(path / name), **listed}
            return [target for child in sorted(path.iterdir()) for target in _targets(child, known, listed, seen, depth=depth + 1)]
        if path.suffix.lower() in known:
            return [Target(path, _listed(path, listed))]
    except OSError as error:
        return [Target(path, "", problem=f"`{path}` cannot be read: {error.strerror}")]
    return [Target(path, "", problem=f"`{path}` is neither a run nor a mesh file")] if given else []


def _of_run(path: Path, listed: Mapping[str, str]) -> Target:
    run = RunDir(path)
    try:
        manifest, asset = run.manifest(), run.asset()
    except Df3dError as error:
        return Target(path / "asset.glb", _listed(path, listed), run=path, problem=error.message)
    prompt = _listed(path, listed) or str(manifest.get("prompt", ""))
    return Target(asset or path / "asset.glb", prompt, run=path, seed=manifest.get("seed"))


def _listed(path: Path, listed: Mapping[str, str]) -> str:
    """The prompt of a list's row for a path, or for its name; "" without one."""
    return listed.get(os.path.normpath(path)) or listed.get(path.name) or ""


def read_prompts(path: Path) -> dict[str, str]:
    """Prompts by file or run, from CSV with the columns `path` and `prompt`, or JSON lines with these keys.

    A path may be as one would type it, or seen from the list's own folder. Raises ConfigError with the row that is wrong.
    """
    if path.suffix.lower() not in (".csv", ".jsonl"):
        raise ConfigError(f"prompts cannot be read from `{path}`", "give a .csv file, or a .jsonl file of JSON lines")
    try:
        text = read_text(path)
        rows = _json_lines(text) if path.suffix.lower() == ".jsonl" else list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        raise ConfigError(f"prompts cannot be read from `{path}`: {error}", "give CSV or JSON lines") from None
    found: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not row.get("path") or not row.get("prompt"):
            raise ConfigError(f"row {number} of `{path}` lacks `path` or `prompt`", "give both in every row")
        prompt = " ".join(str(row["prompt"]).split())
        for place in (os.path.normpath(str(row["path"])), os.path.normpath(path.parent / str(row["path"]))):
            if found.setdefault(place, prompt) != prompt:
                raise ConfigError(f"row {number} of `{path}` has another prompt for `{row['path']}`", "give each path once")
    return found


def _json_lines(text: str) -> list[object]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            rows += [json.loads(line)] if line.strip() else []
        except ValueError as error:
            raise ValueError(f"line {number} is not JSON: {error}") from None
    return rows
