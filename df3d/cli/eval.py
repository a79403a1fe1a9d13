"""`df3d eval`: how good assets are, in numbers."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from df3d.cli.context import Debug, Device, Offline, Quiet, catalog_of, go_offline, put_json, say, show, table
from df3d.errors import ConfigError
from df3d.plugin.catalog import Catalog
from df3d.plugin.records import ScorerPlugin
from df3d.plugin.schema import hints
from df3d.system.text import csv_cell, json_line

if TYPE_CHECKING:
    from df3d.evaluation.results import Result
    from df3d.evaluation.statistics import Interval
    from df3d.evaluation.targets import Target
    from df3d.protocols import Scorer
    from df3d.recipe.plan import ConfiguredPart


def evaluate(
    context: typer.Context,
    targets: list[Path] = typer.Argument(..., metavar="TARGET...", help="Runs, mesh files, or folders of them."),
    scorer: list[str] = typer.Option([], "--scorer", help="Scorers to use; by default all that can work here. Repeatable."),
    prompt: str | None = typer.Option(None, help="What all targets should show; by default what they were made from."),
    prompts: Path | None = typer.Option(None, help="CSV or JSON lines with `path` and `prompt` of each target."),
    pool: Path | None = typer.Option(None, help="Text file of captions, a line each, to retrieve prompts among (CLIP)."),
    set_: list[str] = typer.Option([], "--set", "-s", metavar="SCORER.KEY=VALUE", help="Change an option of a scorer; repeatable."),
    views: int = typer.Option(12, min=1, max=360, help="Pictures of each target; another number is another protocol."),
    compare: bool = typer.Option(
        False, "--compare", help="Two targets: mean differences over the prompts of both, second less first."
    ),
    json: bool = typer.Option(False, "--json", help="JSON lines on stdout: each target, then the summary."),
    csv_file: Path | None = typer.Option(None, "--csv", help="CSV file to write."),
    html_file: Path | None = typer.Option(None, "--html", help="HTML report to write."),
    offline: Offline = False,
    device: Device = "auto",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Score assets: shape, likeness to the prompt, number of faces.

    Beside each run its scores are left in scores.json. The exit code is 1 when no target could be scored.
    """
    from df3d.api import build_scorers, choose_scorers
    from df3d.system.devices import check_device
    from df3d.system.files import check_place

    go_offline(offline)
    catalog = catalog_of(context)
    if compare and len(targets) != 2:
        raise ConfigError("--compare takes two targets", "give two runs, or two folders of runs of the same prompts")
    for path in filter(None, (csv_file, html_file)):
        check_place(path)
    settings = [*(_pool_settings(pool, scorer, catalog) if pool else []), *set_]
    plugins, notes = choose_scorers(scorer, settings, catalog)
    where = check_device(device)
    from df3d.evaluation import statistics
    from df3d.evaluation.targets import find_targets

    groups = [[path] for path in targets] if compare else [targets]
    sides = [find_targets(group, catalog, prompt=prompt, prompts=prompts) for group in groups]
    scorers, more = build_scorers(plugins, scorer, device=where)
    for note in () if quiet else (*notes, *more):
        say(f"note: {note}")
    found = _score(sides, scorers, catalog, device=where, views=views, json=json, quiet=quiet)
    results = [result for side in found for result in side]
    if csv_file is not None:
        _write_csv(csv_file, results)
    means = statistics.compare(*found) if compare else statistics.summary(results)
    headline, lower = headlines(plugins)
    if html_file is not None:
        from df3d.evaluation.report import write

        write(html_file, results, means, headline=headline, lower=lower, catalog=catalog, compared=compare)
    if json:
        _print_json(means, views, compare=compare)
    else:
        _print(results, means, headline, compare=compare)
    if not any(result.scores for result in results):
        raise typer.Exit(1)


def _score(
    sides: Sequence[Sequence[Target]],
    scorers: Mapping[str, Scorer],
    catalog: Catalog,
    *,
    device: str,
    views: int,
    json: bool,
    quiet: bool,
) -> list[list[Result]]:
    """Score all targets, and say what becomes of each as it is done."""
    from df3d.evaluation.evaluate import evaluate as story

    found: list[list[Result]] = []
    with _progress(sum(map(len, sides)), quiet=quiet) as advance:
        for side in sides:
            found.append([])
            for result in story(side, scorers, catalog, device=device, views=views):
                found[-1].append(result)
                advance()
                if json:
                    put_json(result.json())
                for note in () if quiet else result.notes:
                    say(f"note: {result.target.name}: {note}")
                for name, problem in result.problems.items() if not quiet else ():
                    say(f"note: {result.target.name}: {name}: {problem}")
    return found


def _print_json(means: Mapping[str, Interval], views: int, *, compare: bool) -> None:
    """The last line of `--json`."""
    from df3d.evaluation.protocol import protocol
    from df3d.evaluation.results import finite

    summary = {name: finite(vars(value)) for name, value in means.items()}
    put_json({"protocol": protocol(views), "compare" if compare else "summary": summary})


def _pool_settings(pool: Path, names: Sequence[str], catalog: Catalog) -> list[str]:
    """The pool for every scorer that has one.

    Raises ConfigError when none of them has.
    """
    having = [plugin.name for plugin in catalog.scorers if "pool" in hints(plugin.config) and (not names or plugin.name in names)]
    if not having:
        raise ConfigError("no scorer retrieves prompts among captions", "leave out --pool, or name another --scorer")
    return [f"{name}.pool={json_line(str(pool))}" for name in having]


@contextmanager
def _progress(count: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """A bar on stderr, if that is a terminal; what comes back is called after each target."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=quiet or not console.is_terminal, transient=True) as progress:
        task = progress.add_task("scoring", total=count)
        yield lambda: progress.advance(task)


def headlines(plugins: dict[str, ConfiguredPart[ScorerPlugin]]) -> tuple[list[str], frozenset[str]]:
    """The measures that tables show, and those of them where less is better."""
    shown, lower = [], set()
    for name, chosen in plugins.items():
        shown += [f"{name}.{measure}" for measure in chosen.plugin.headline]
        lower |= {f"{name}.{measure}" for measure in chosen.plugin.lower}
    return shown, frozenset(lower)


def _print(results: Sequence[Result], means: dict[str, Interval], headline: Sequence[str], *, compare: bool) -> None:
    """The table for people; on stdout, for it is what was asked for."""
    from df3d.evaluation.statistics import standard_error

    columns = [measure for measure in headline if measure in means]
    if compare:
        rows = table("measure", "difference", "from", "to", "prompts")
        for measure, value in means.items():
            rows.add_row(measure, f"{value.mean:+.4g}", f"{value.low:+.4g}", f"{value.high:+.4g}", str(value.count))
        show(rows, _basis(results))
        return
    rows = table("target", "prompt", *(measure.replace(".", "\n") for measure in columns))
    for result in results:
        rows.add_row(
            result.target.name,
            result.target.prompt,
            *(f"{result.scores[measure]:.3g}" if measure in result.scores else "" for measure in columns),
        )
    if len(results) > 1:
        cells = [Text(f"{means[m].mean:.3g}\n{means[m].low:.2g} to {means[m].high:.2g}") for m in columns]
        rows.add_row("mean", "", *cells)
    show(rows, f"{_basis(results)}. {standard_error(means)}".strip())


def _basis(results: Sequence[Result]) -> str:
    """What the numbers rest on."""
    return f"protocol {', '.join(sorted({result.protocol for result in results}))}; 95 % bootstrap intervals"


def _write_csv(path: Path, results: Sequence[Result]) -> None:
    from df3d.system.files import replace_atomically

    measures = list(dict.fromkeys(measure for result in results for measure in result.scores))

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["protocol", "target", "prompt", "seed", *map(csv_cell, measures)])
            for result in results:
                seed = "" if result.target.seed is None else result.target.seed
                texts = [csv_cell(text) for text in (result.protocol, result.target.name, result.target.prompt)]
                rows.writerow([*texts, seed, *(result.scores.get(measure, "") for measure in measures)])

    replace_atomically(path, write)
