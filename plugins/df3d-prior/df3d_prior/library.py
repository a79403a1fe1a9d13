"""A folder of meshes with captions: what a prior is trained on, and what the scorer `library` takes for true."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import df3d
from df3d.errors import ConfigError, ExportError
from df3d.types import Asset, MeshAsset
from df3d_prior.objects import Object, of_asset
from df3d_prior.reading import Index, Known

CAPTIONS = "captions.csv"
Reader = Callable[[Path], Asset]
MOST_FACES = 2_000_000
PLACEHOLDER = "{colour}"  # in a caption: the object has no colour of its own


@dataclass(frozen=True)
class Entry:
    """One object of a library, as its row of captions.csv tells it."""

    path: str  # within the library
    noun: str
    caption: str
    group: str  # entries of one group are variants of one model
    hint: str = ""  # what it is, as far as the library says: animal, person, plant, food
    word: str = ""  # the model's own word for it

    @property
    def colorless(self) -> bool:
        return PLACEHOLDER in self.caption

    @property
    def details(self) -> tuple[str, ...]:
        """The words of the caption beside the noun and articles."""
        words = re.findall(r"[a-z0-9-]+", self.caption.replace(PLACEHOLDER, "").lower())
        noun = set(self.noun.split())
        return tuple(word for word in words if word not in noun and word not in ("a", "an", "the", "and"))


def read_entries(folder: Path) -> list[Entry]:
    """The rows of a library's captions.csv, each with a word of its own.

    Raises ConfigError when there is no such file, or it lacks a column.
    """
    path = folder / CAPTIONS
    if not folder.is_dir():
        raise ConfigError(f"there is no folder `{folder}`", "give the folder of your meshes")
    if not path.is_file():
        raise ConfigError(f"there is no `{CAPTIONS}` in `{folder}`", f"make one: df3d prior check {folder} --write")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"`{path}` cannot be read: {error}", "save it as UTF-8 text") from None
    rows = csv.DictReader(io.StringIO(text, newline=""))
    missing = {"path", "noun", "caption"} - set(rows.fieldnames or ())
    if missing:
        columns = ", ".join(f"`{name}`" for name in rows.fieldnames or ()) or "nothing"
        hint = "it needs path, noun and caption, with commas between them"
        raise ConfigError(f"`{path}` has no column `{min(missing)}`: its first line holds {columns}", hint)
    entries = []
    for row in rows:
        lacking = [name for name in ("path", "noun", "caption") if not (row[name] or "").strip()]
        if lacking:
            raise ConfigError(f"line {rows.line_num} of `{path}` has no {lacking[0]}", "fill it in, or remove the line")
        cells = {
            name: (value or "").strip() for name, value in row.items() if isinstance(name, str) and not isinstance(value, list)
        }
        entries.append(
            Entry(cells["path"], cells["noun"].lower(), cells["caption"], cells.get("group") or cells["path"], _hint(cells))
        )
    return with_words(entries)


def with_words(entries: list[Entry]) -> list[Entry]:
    """Each entry with a word that no other has: its noun and a number."""
    counts: dict[str, int] = defaultdict(int)
    named = []
    for entry in entries:
        stem = entry.noun.replace(" ", "-")
        named.append(replace(entry, word=f"{stem}/{counts[stem]}"))
        counts[stem] += 1
    return named


def _check_paths(folder: Path, entries: list[Entry]) -> None:
    """Raises ConfigError for a file that is not there, is outside of the library, or has more than one row."""
    seen: set[str] = set()
    for line, entry in enumerate(entries, start=2):
        where = f"line {line} of `{folder / CAPTIONS}`"
        if entry.path in seen:
            raise ConfigError(f"{where} names `{entry.path}` a second time", "remove one of the two")
        if not (folder / entry.path).resolve().is_relative_to(folder.resolve()):
            raise ConfigError(f"{where}: `{entry.path}` leads out of the library", "keep all meshes in its folder")
        if not (folder / entry.path).is_file():
            raise ConfigError(f"{where}: there is no file `{entry.path}`", f"df3d prior check {folder} lists all that is missing")
        seen.add(entry.path)


def _hint(row: dict[str, str]) -> str:
    category = (row.get("category") or "").lower()
    return category if category in ("animal", "person", "plant", "food") else ""


def typical(entries: list[Entry]) -> list[Entry]:
    """Entries of one noun, the plainest first: with colours of their own, and few words beside the noun."""
    return sorted(entries, key=lambda entry: (entry.colorless, len(entry.details)))


def by_noun(entries: list[Entry]) -> dict[str, list[int]]:
    """For each noun the indexes of its entries."""
    found: dict[str, list[int]] = defaultdict(list)
    for index, entry in enumerate(entries):
        found[entry.noun].append(index)
    return dict(found)


@dataclass(frozen=True)
class Library:
    """Entries and their objects."""

    entries: list[Entry]
    objects: list[Object]

    def index(self) -> Index:
        """What a text can ask of it."""
        return Index(
            [
                Known(entry.word, entry.noun, entry.caption, tuple(one.main_colors), entry.hint)
                for entry, one in zip(self.entries, self.objects, strict=True)
            ]
        )

    def bases(self) -> list[bool]:
        """Whether something can stand on each object: it has a level place that is large enough."""
        found = []
        for one in self.objects:
            low, high, (_, _, _, half_width, half_length), *_ = one.shape
            found.append(4 * half_width * half_length > 0.25 * (high - low)[0] * (high - low)[2] and half_width > 0.15)
        return found


def corrected(library: Library, path: Path) -> Library:
    """A library by its right nouns, which a table of path and noun holds; an object without a noun is left out."""
    with path.open(newline="", encoding="utf-8") as file:
        right = {row["path"]: row["noun"] for row in csv.DictReader(file)}
    entries = [replace(entry, noun=right.get(entry.path, entry.noun)) for entry in library.entries]
    named = [i for i, entry in enumerate(entries) if entry.noun]
    return Library([entries[i] for i in named], [library.objects[i] for i in named])


def load(folder: Path, read: Reader | None = None) -> Library:
    """A library's entries and objects; `read` reads a mesh file, by default as `df3d.load` does.

    Raises ConfigError when there are no captions, or they are wrong, ExportError when a file cannot be read.
    """
    entries, read = read_entries(folder), read or df3d.load
    if not entries:
        raise ConfigError(f"`{folder / CAPTIONS}` has no row", f"df3d prior check {folder} --write adds one for each mesh")
    _check_paths(folder, entries)
    return Library(entries, [_object(folder / entry.path, read) for entry in entries])


def _object(path: Path, read: Reader) -> Object:
    asset = read(path)
    if not isinstance(asset, MeshAsset):
        raise ExportError(f"`{path}` is no mesh", "leave it out of captions.csv")
    if (count := len(asset.mesh.faces)) > MOST_FACES:
        raise ExportError(f"`{path}` has {count:,} faces, more than {MOST_FACES:,}", "make it simpler, or leave it out")
    one = of_asset(asset)
    if not len(one.corners):
        raise ExportError(f"`{path}` has no face with an area", "leave it out of captions.csv")
    return one
