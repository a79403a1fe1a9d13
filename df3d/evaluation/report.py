"""The HTML page of an evaluation: turntables, a table that sorts, best and worst, means with their intervals. One file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, nan
from pathlib import Path

from df3d.evaluation.results import Result
from df3d.evaluation.statistics import Interval, standard_error
from df3d.evaluation.subject import TargetSubject
from df3d.plugin.catalog import Catalog
from df3d.run import pictures
from df3d.scene.cameras import orbit
from df3d.system.files import is_plain, replace_atomically
from df3d.system.text import html_picture, html_picture_of, html_text

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100% } th, td { padding: .4rem .6rem; border-bottom: 1px solid #ddd; text-align: left }
th { cursor: pointer; white-space: nowrap } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
.number small { white-space: nowrap }
td:nth-child(2) { min-width: 12rem }
img { width: 112px; height: 112px; object-fit: cover; border-radius: 6px; background: #eee } .problem { color: #a00 }
td.best { background: #dff3df } td.worst { background: #f8e0dd } tfoot td { font-weight: 600; border-top: 2px solid #888 }
"""
SORT = """
for (const head of document.querySelectorAll('thead th')) head.onclick = () => {
  const column = head.cellIndex, body = document.querySelector('tbody'), up = head.dataset.up = head.dataset.up === '1' ? '0' : '1';
  const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const rows = [...body.rows].sort((a, b) => {
    const x = key(a), y = key(b), n = Number(x) - Number(y);
    if (!x || !y) return !x - !y;  // rows without a value come last
    return (Number.isNaN(n) ? x.localeCompare(y) : n) * (up === '1' ? 1 : -1);
  });
  body.append(...rows);
};
"""


def write(
    path: Path,
    results: Sequence[Result],
    means: Mapping[str, Interval],
    *,
    headline: Sequence[str],
    lower: frozenset[str],
    catalog: Catalog,
    compared: bool = False,
) -> None:
    """Write the page; `headline` are its columns, `lower` those where less is better; `means` are differences when `compared`."""
    columns = [measure for measure in headline if measure in means]
    best, worst = {}, {}
    for measure in columns:
        values = sorted(value for result in results if isfinite(value := result.scores.get(measure, nan)))
        if values and values[0] != values[-1]:
            best[measure], worst[measure] = (values[0], values[-1]) if measure in lower else (values[-1], values[0])
    body = "".join(_row(result, columns, best, worst, catalog) for result in results)
    what = "second less first" if compared else "mean"
    protocol = html_text(", ".join(sorted({result.protocol for result in results})))
    heads = "".join(f'<th class="number">{html_text(measure).replace(".", "<br>")}</th>' for measure in columns)
    feet = "".join(f'<td class="number">{_interval(means[measure])}</td>' for measure in columns)
    text = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>df3d eval</title><style>{STYLE}</style>"
        f"<h1>{len(results)} asset{'s' * (len(results) != 1)}</h1>"
        f"<p>Protocol {protocol}. Below: {what}, with 95 % bootstrap intervals. {'' if compared else standard_error(means)} "
        f"Click a column to sort by it. Green is the best, red the worst of a column.</p>"
        f"<table><thead><tr><th></th><th>prompt</th>{heads}</tr></thead><tbody>{body}</tbody>"
        f"<tfoot><tr><td></td><td>{what}</td>{feet}</tr></tfoot></table><script>{SORT}</script></html>"
    )
    replace_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _row(result: Result, columns: Sequence[str], best: Mapping[str, float], worst: Mapping[str, float], catalog: Catalog) -> str:
    cells = ""
    for measure in columns:
        value = result.scores.get(measure)
        if value is None:
            cells += '<td class="number"></td>'
            continue
        kind = " best" if value == best.get(measure) else " worst" if value == worst.get(measure) else ""
        cells += f'<td class="number{kind}" data-value="{value}">{value:.4g}</td>'
    problems = "".join(f'<br><span class="problem">{html_text(f"{k}: {v}")}</span>' for k, v in result.problems.items())
    name = f"{html_text(result.target.prompt)}<br><small>{html_text(result.target.name)}</small>{problems}"
    return f"<tr><td>{_picture(result, catalog)}</td><td>{name}</td>{cells}</tr>"


def _picture(result: Result, catalog: Catalog) -> str:
    """A turntable: the run's, or one that is drawn of the mesh."""
    path = result.target.run and result.target.run / "turntable.webp"
    if path and is_plain(path):
        return html_picture_of(path, "")
    if "asset" in result.problems:
        return ""
    return html_picture(pictures.film(TargetSubject(result.target, catalog).draw(orbit(8, size=112))[..., :3], "webp"), "")


def _interval(value: Interval) -> str:
    return f"{value.mean:.3g}<br><small>{value.low:.3g} to {value.high:.3g}</small>"
