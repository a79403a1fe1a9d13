"""Lists of prompts: text, CSV or JSON lines, with every mistake in them found at once."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from df3d.errors import ConfigError, Df3dError, did_you_mean
from df3d.schedule import LARGEST_SEED

KEYS = ("prompt", "negative", "seed", "recipe", "set", "out")
SHOWN = 10  # mistakes that are told one by one


@dataclass(frozen=True)
class Entry:
    """What one row of a list asks for; what it leaves out is the batch's."""

    line: int
    prompt: str
    negative: str = ""
    seed: int | None = None
    recipe: str = ""
    settings: tuple[str, ...] = ()  # KEY=VALUE
    out: str = ""  # the run's folder, inside the batch's


class Mistakes:
    """What is wrong with the rows of a list, so that all of it is told at once."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._told: dict[int, str] = {}
        self._hints: set[str] = set()

    @contextmanager
    def in_line(self, line: int) -> Iterator[None]:
        """Note an error of df3d's, the first of a line, and go on."""
        try:
            yield
        except Df3dError as error:
            hint = f" ({error.hint})" if error.hint and error.hint not in self._hints else ""  # once is enough
            self._hints.add(error.hint)
            self._told.setdefault(line, f"line {line}: {error.message}{hint}")

    def tell(self) -> None:
        """Raises ConfigError with every line that is wrong."""
        if self._told:
            lines = [self._told[line] for line in sorted(self._told)]
            told = "; ".join(lines[:SHOWN]) + (f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else "")
            count = "1 row" if len(lines) == 1 else f"{len(lines)} rows"
            raise ConfigError(f"{count} of `{self.source}` cannot be made: {told}", "mend them: nothing was begun")


def read(text: str, mistakes: Mistakes) -> list[Entry]:
    """The rows of a list that are right in themselves. The source's ending says what it is; "-" is told by its first line.

    Text has a prompt a line, and comments behind `#`; CSV and JSON lines have the keys of KEYS. Raises ConfigError when it holds
    no row at all.
    """
    rows = _rows(text, mistakes.source) if text.strip() else []
    if not rows:
        raise ConfigError(f"the list `{mistakes.source}` holds no prompt", "write a prompt a line")
    return _entries(rows, mistakes)


def entries(prompts: Sequence[str | Mapping[str, Any]], mistakes: Mistakes) -> list[Entry]:
    """Texts, and tables with the keys of KEYS, as entries."""
    return _entries([(n, {"prompt": told} if isinstance(told, str) else told) for n, told in enumerate(prompts, start=1)], mistakes)


def _entries(rows: Sequence[tuple[int, Any]], mistakes: Mistakes) -> list[Entry]:
    found = []
    for line, row in rows:
        with mistakes.in_line(line):
            found.append(_entry(line, row))
    return found


def _rows(text: str, source: str) -> list[tuple[int, dict[str, Any] | str]]:
    """The rows and their lines."""
    text = text.lstrip("\ufeff")
    kind, first = PurePath(source).suffix.lower(), text.lstrip().split("\n", 1)[0].strip()
    if kind == ".jsonl" or (kind != ".csv" and first.startswith("{")):
        return [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if kind == ".csv" or "prompt" in first.split(","):
        return list(_of_csv(text, source))
    plain = [(number, " ".join(line.split())) for number, line in enumerate(text.splitlines(), start=1)]
    return [(number, {"prompt": line}) for number, line in plain if line and not line.startswith("#")]


def _of_csv(text: str, source: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="more")
    names = [name.strip() for name in reader.fieldnames or []]
    if "prompt" not in names:
        raise ConfigError(f"`{source}` has no column `prompt`", f"its first line names the columns: {', '.join(KEYS)}")
    try:
        for row in reader:
            if any(value for value in row.values()):
                yield reader.line_num, {str(key).strip(): value for key, value in row.items() if value not in (None, "")}
    except csv.Error as error:
        raise ConfigError(f"`{source}` is no CSV: line {reader.line_num}: {error}", "write it anew") from None


def _entry(line: int, row: Mapping[str, Any] | str) -> Entry:
    """Raises ConfigError when a row is wrong."""
    if isinstance(row, str):
        try:
            row = json.loads(row)
        except (ValueError, RecursionError):
            raise ConfigError("it is no JSON") from None
        if not isinstance(row, dict):
            raise ConfigError("it is no object of JSON")
    for key in row:
        if key not in KEYS:
            raise ConfigError(f"unknown key `{str(key)[:40]}`", did_you_mean(str(key), KEYS))
    texts = {key: row.get(key, "") for key in ("prompt", "negative", "recipe", "out")}
    for key, value in texts.items():
        if not isinstance(value, str):
            raise ConfigError(f"`{key}` is no text")
    if not texts["prompt"].strip():
        raise ConfigError("it has no prompt")
    out = texts["out"].strip()
    if out and (PurePath(out).name != out or out.startswith(".") or "\\" in out):
        raise ConfigError(f"`out` is the name of a folder inside the batch's, not `{out[:80]}`")
    return Entry(line, texts["prompt"].strip(), texts["negative"].strip(), _seed(row.get("seed")), texts["recipe"].strip(),
                 _settings(row.get("set", [])), out)  # fmt: skip


def _seed(told: object) -> int | None:
    if told is None:
        return None
    if isinstance(told, str) and told.strip().isdecimal():
        told = int(told)
    if not isinstance(told, int) or isinstance(told, bool) or not 0 <= told <= LARGEST_SEED:
        raise ConfigError(f"`seed` is a whole number from 0 to {LARGEST_SEED:,}, not `{told!s:.40}`")
    return told


def _settings(told: object) -> tuple[str, ...]:
    """KEY=VALUE, in one text or several, or a table."""
    if isinstance(told, str):
        try:
            return tuple(shlex.split(told))
        except ValueError as error:
            raise ConfigError(f"`set` cannot be read: {error}") from None
    if isinstance(told, dict):
        return tuple(f"{key}={json.dumps(value)}" for key, value in told.items())
    if isinstance(told, list) and all(isinstance(text, str) for text in told):
        return tuple(told)
    raise ConfigError("`set` is neither KEY=VALUE nor a list of these")
