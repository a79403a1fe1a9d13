"""df3d from Python: what the commands do, with the same names. `import df3d` brings these; torch comes when they are called."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from df3d.errors import ConfigError, Df3dError, ExportError, RunError, Stopped
from df3d.events import Event
from df3d.plugin.catalog import Catalog
from df3d.plugin.schema import parse
from df3d.prompt import Picture
from df3d.recipe.plan import ConfiguredPart
from df3d.recipe.settings import parse_setting
from df3d.run import signals
from df3d.run.job import prepare
from df3d.run.rundir import LARGEST, RunDir, default_path
from df3d.system import devices
from df3d.system.files import check_place, read_plain
from df3d.system.text import html_picture_of

if TYPE_CHECKING:
    from df3d.batches.summary import State
    from df3d.evaluation.results import Result
    from df3d.plugin.records import ScorerPlugin
    from df3d.protocols import Scorer
    from df3d.types import Asset

Settings = Mapping[str, object]
Paths = Path | str


class Run:
    """A run folder. In a notebook it shows its turntable."""

    def __init__(self, path: Paths) -> None:
        """Raises RunError when `path` is not a run folder."""
        self.path = Path(path)
        self._folder = RunDir.existing(self.path)

    @property
    def asset(self) -> Path | None:
        """The finished asset's file; None while there is none."""
        return self._folder.asset()

    @property
    def prompt(self) -> str:
        return str(self._folder.manifest().get("prompt", ""))

    def mesh(self) -> Asset:
        """The asset itself.

        Raises RunError when the run is not finished, ExportError when its file cannot be read.
        """
        return load(asset_path(self.path))

    def scores(self) -> dict[str, float]:
        """What scorers said of it, by "scorer.measure"; empty before `df3d.evaluate`."""
        import json

        path = self.path / "scores.json"
        try:
            return dict(json.loads(read_plain(path, LARGEST))["scores"]) if path.exists() else {}
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise RunError(f"`{path}` is damaged: {error}", "score the run again") from None

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, prompt={self.prompt!r}, {'finished' if self.asset else 'not finished'})"

    def _repr_mimebundle_(self, **options: object) -> dict[str, Any]:
        return shown(self.path / "turntable.webp", repr(self))


def generate(
    prompt: str,
    *,
    out: Paths | None = None,
    recipe: str = "auto",
    set: Settings | None = None,
    negative: str = "",
    pictures: Sequence[Picture] = (),
    mesh: Paths | None = None,
    seed: int = 0,
    steps: int | None = None,
    until: str | None = None,
    device: str = "auto",
    vram: str | None = None,
    resume: bool | None = None,
    on_event: Callable[[Event], object] | None = None,
) -> Run:
    """Make a 3D asset from a sentence, or go on with the run that is in `out` (by default runs/ and the prompt).

    `set` changes numbers of the recipe by their path, as in `{"field.levels": 10}`. `on_event` hears what happens. Ctrl-C
    saves a checkpoint and raises KeyboardInterrupt; the same call goes on. Raises a Df3dError for every mistake.
    """
    settings = [*as_settings(set or {}), *([f"steps={steps}"] if steps is not None else [])]
    job = prepare(
        prompt, recipe=recipe, settings=settings, negative=negative, pictures=pictures, mesh=mesh,
        device=device, vram=vram, resume=resume, until=until,
    )  # fmt: skip
    folder = Path(out) if out is not None else default_path(prompt, seed)
    try:
        with signals.listening(job.stop, lambda words: None):
            job.run(folder, seed, on_event or (lambda event: None))
    except Stopped:
        raise KeyboardInterrupt(f"stopped; the same call goes on from {folder}") from None
    return Run(folder)


def as_settings(table: Settings) -> list[str]:
    """A table of settings as texts KEY=VALUE."""
    return [f"{key}={_toml(value)}" for key, value in table.items()]


def _toml(value: object) -> str:
    """A value as it stands in TOML, in one line."""
    import json

    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool | int | float) else json.dumps(str(value))


def load(path: Paths) -> Asset:
    """The asset in a file: any that an installed importer reads.

    Raises ExportError when it cannot be read.
    """
    from df3d.mesh.files import read

    return read(Path(path), Catalog.discover())


def export(
    run: Run | Paths,
    format: str | None = None,
    *,
    out: Paths | None = None,
    stage: str | None = None,
    device: str = "auto",
    on_event: Callable[[Event], object] | None = None,
    catalog: Catalog | None = None,
    **options: object,
) -> Path:
    """Write a run's asset from its newest checkpoint, in any format, with other `options` of the recipe's `[export]`.

    Returns the file: `out`, or `asset.*` in the run's folder, or `export.*` beside its own. Raises a Df3dError when it cannot.
    """
    from df3d.run.export import export_again

    catalog = catalog or Catalog.discover()
    folder = RunDir.existing(run.path if isinstance(run, Run) else Path(run))
    story = export_again(
        folder, catalog, format=format, out=Path(out) if out else None, stage=stage, device=device, options=options
    )
    while True:
        try:
            event = next(story)
        except StopIteration as end:
            return Path(end.value)
        if on_event:
            on_event(event)


def render(
    asset: Run | Paths,
    out: Paths | None = None,
    *,
    views: int = 24,
    size: int = 256,
    elevation: float = 15.0,
    shading: str = "lit",
    background: tuple[float, float, float] = (1.0, 1.0, 1.0),
    device: str = "auto",
    catalog: Catalog | None = None,
    on_note: Callable[[str], object] | None = None,
) -> Path:
    """Draw a turntable of a file or a finished run; returns the picture: a film (.webp, .gif, .mp4) or a sheet (.png).

    `shading`: "lit", "albedo", or "geometry", the shape alone in white; `background` is sRGB in [0, 1]. `on_note` hears what of
    the file is not drawn.
    """
    source = asset_path(asset.path if isinstance(asset, Run) else Path(asset))
    path = Path(out) if out is not None else source.with_name(f"{source.stem}-turntable.webp")
    if shading not in ("lit", "albedo", "geometry"):
        raise ConfigError(f"there is no shading `{shading}`", "choose from lit, albedo, geometry")
    if not source.is_file():
        raise ExportError(f"there is no file `{source}`", "check the path")
    check_place(path)
    if path.suffix.lower() not in (".png", ".webp", ".gif", ".mp4"):
        raise ConfigError(f"`{path}` is neither a sheet (.png) nor a film (.webp, .gif, .mp4)", "give --out one of these endings")
    where, catalog = devices.check_device(device), catalog or Catalog.discover()

    from df3d.mesh.files import read
    from df3d.mesh.finished import FinishedField, drawable, fitted_asset
    from df3d.run.pictures import around, save
    from df3d.scene.cameras import orbit
    from df3d.types import MeshAsset

    loaded = fitted_asset(read(source, catalog))
    for note in loaded.notes:
        (on_note or (lambda text: None))(f"{source}: {note}")
    lit = 0.0 if shading == "albedo" else 1.0
    light = {"albedo_until": 0.0, "lambertian": lit, "ambient": 0.4, "diffuse": 0.6, "light": "head"}
    field, renderer = drawable(loaded, catalog, {"background_color": list(background), "shading": light}, device=where)
    if shading == "geometry" and isinstance(loaded, MeshAsset):
        field = FinishedField(loaded, device=where, textureless=True)
    save(around(field, renderer, orbit(views, size=size, elevation=elevation), device=where), path)
    return path


def evaluate(
    targets: Sequence[Run | Paths],
    *,
    scorers: Sequence[str] = (),
    set: Settings | None = None,
    prompt: str | None = None,
    device: str = "auto",
) -> list[Result]:
    """Score runs, files, or folders of either, by the `scorers` named or all that can work here; each run keeps its scores.

    `set` changes options of scorers, as in `{"clip.pool": "captions.txt"}`.
    """
    catalog = Catalog.discover()
    where = devices.check_device(device)
    chosen, _ = choose_scorers(scorers, as_settings(set or {}), catalog)

    from df3d.evaluation.evaluate import evaluate as story
    from df3d.evaluation.targets import find_targets

    built, _ = build_scorers(chosen, scorers, device=where)
    paths = [target.path if isinstance(target, Run) else Path(target) for target in targets]
    return list(story(find_targets(paths, catalog, prompt=prompt), built, catalog, device=where))


def batch(
    prompts: Sequence[str | Mapping[str, Any]],
    *,
    out: Paths,
    seeds: Sequence[int] = (0,),
    recipe: str = "auto",
    set: Settings | None = None,
    device: str = "auto",
    launcher: str = "local",
    launch: Settings | None = None,
    workers: int = 1,
    retries: int = 0,
    timeout: float | None = None,
    best_by: str | None = None,
) -> list[Run]:
    """Make many assets, each prompt with each seed, in folders below `out`; returns the finished runs, or with `best_by`, a
    scorer or one of its measures, the best of each prompt.

    A prompt is a text, or a table with `prompt` and, for itself alone, `negative`, `seed`, `recipe`, `set` or `out`, the name of
    its folder. What is finished is left alone: the same call does what is left. `launcher`, with its options `launch`, starts the
    `workers` (0: as many as it finds right); a run that fails, or is not made in `timeout` seconds, is tried again up to `retries`
    times. Left in `out` are batch.json, batch.csv and a gallery, index.html. Ctrl-C saves what is in work and raises
    KeyboardInterrupt. Raises ConfigError when something is wrong with any row, before the first begins, and RunError when a run
    failed, once all have been tried.
    """
    from df3d.batches.lists import Mistakes, entries
    from df3d.batches.make import check_all_done, crew, make
    from df3d.batches.plan import planned

    catalog, mistakes = Catalog.discover(), Mistakes("the list")
    told = crew(catalog, launcher, as_settings(launch or {}), workers=workers, retries=retries, timeout=timeout)
    listed = planned(entries(prompts, mistakes), seeds, recipe, as_settings(set or {}), device, catalog, mistakes)
    choose = chooser(best_by, Path(out), catalog, device=device)
    stop = threading.Event()
    try:
        with signals.listening(stop, lambda words: None):
            found = make(listed, Path(out), told, choose=choose, stop=stop)
    except Stopped:
        raise KeyboardInterrupt(f"stopped; the same call goes on in {out}") from None
    if not best_by:
        check_all_done(found)
    return [Run(Path(out) / state.row.folder) for state in found if (state.best if best_by else state.state == "done")]


def chooser(best_by: str | None, folder: Path, catalog: Catalog, *, device: str) -> Callable[[list[State]], list[State]]:
    """What marks the best runs of a batch by `SCORER` or `SCORER.MEASURE`; nothing without one.

    Raises PluginError or ModelError when there is no such scorer, or it cannot work here.
    """
    if not best_by:
        return lambda found: found
    scorers, _ = choose_scorers([best_by.partition(".")[0]], [], catalog)
    where = devices.check_device(device)

    def choose(found: list[State]) -> list[State]:
        from df3d.batches.best import choose, judge

        return choose(folder, found, judge(best_by, scorers), catalog, device=where)

    return choose


def choose_scorers(
    names: Sequence[str], settings: Sequence[str], catalog: Catalog
) -> tuple[dict[str, ConfiguredPart[ScorerPlugin]], list[str]]:
    """Scorers by name with their options: those asked for, or all that are ready; and notes on those that are not.

    Raises PluginError, ConfigError or ModelError when one that is asked for is not there, is set wrongly, or cannot work.
    """
    tables: dict[str, dict[str, Any]] = {}
    for path, value in map(parse_setting, settings):
        name, _, key = path.partition(".")
        catalog.scorers.get(name)
        tables.setdefault(name, {})[key] = value
    chosen, notes = {}, []
    for name in names or catalog.scorers.names():
        plugin = catalog.scorers.get(name)
        config: Any = parse(plugin.config, tables.get(name, {}), name)
        try:
            plugin.ask("ready", config)
        except Df3dError as error:
            if names or name in tables:
                raise
            notes.append(f"without scorer `{name}`: {error.message}")
            continue
        chosen[name] = ConfiguredPart(plugin, config)
    return chosen, notes


def build_scorers(
    chosen: Mapping[str, ConfiguredPart[ScorerPlugin]], names: Sequence[str], *, device: str
) -> tuple[dict[str, Scorer], list[str]]:
    """The scorers themselves, and notes on those that cannot be built; one that is named in `names` raises instead."""
    built: dict[str, Scorer] = {}
    notes: list[str] = []
    for name, part in chosen.items():
        try:
            built[name] = part.plugin.build(part.config, device=device)
        except Df3dError as error:
            if name in names:
                raise
            notes.append(f"without scorer `{name}`: {error.message}")
    return built, notes


def asset_path(target: Path) -> Path:
    """The file that a person means: the file itself, or the asset of a finished run.

    Raises RunError when a run has none yet.
    """
    if not target.is_dir():
        return target
    asset = RunDir.existing(target).asset()
    if asset is None:
        raise RunError(f"`{target}` has no asset yet", "let `df3d generate` finish it, or use `df3d export`")
    return asset


def shown(picture: Path, text: str) -> dict[str, Any]:
    """What a notebook shows: an animated picture, where there is one, and a text."""
    bundle: dict[str, Any] = {"text/plain": text}
    if found := html_picture_of(picture, text):
        bundle["text/html"] = found
    return bundle
