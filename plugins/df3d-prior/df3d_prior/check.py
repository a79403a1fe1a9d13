"""Looks at a library before anything is trained on it: what cannot be used, what is doubtful, and captions for what has none."""

from __future__ import annotations

import base64
import csv
import html
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from df3d.errors import ConfigError, Df3dError
from df3d.types import MeshAsset
from df3d_prior import meaning, raster, sides
from df3d_prior.library import CAPTIONS, MOST_FACES, Entry, Reader, read_entries
from df3d_prior.objects import Object, of_asset
from df3d_prior.sources import views_of

ARTICLES = frozenset("the an my your our his her their of and".split())
OF_FILES = frozenset(  # words that say nothing of what is in a file
    "asset baked export exported fbx file final glb gltf highpoly lod low lowpoly main".split()
    + "mesh model obj object poly scene source textured untitled".split()
)
PICTURE = 96  # pixels
DOUBLE = 1e-5  # mean squared difference of sketches up to which two objects look the same


@dataclass(frozen=True)
class Checked:
    """One object of a library, and what was found."""

    entry: Entry
    problem: str = ""  # why it cannot be used; nothing where it can
    doubts: tuple[str, ...] = ()  # what somebody should look at
    faces: int = 0
    colors: tuple[str, ...] = ()
    written: bool = True  # whether its caption is in captions.csv, and not from its file name
    drawn: np.ndarray | None = field(default=None, repr=False)  # (4, PICTURE, PICTURE, 3) from the four sides


def check(folder: Path, endings: Collection[str], read: Reader) -> list[Checked]:
    """Every mesh file of a folder, those with these endings, and every row of its captions.csv; `read` reads a file.

    Raises ConfigError when there is no mesh in the folder, or captions.csv cannot be read.
    """
    if not folder.is_dir():
        raise ConfigError(f"there is no folder `{folder}`", "give the folder of your meshes")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in endings and path.is_file())
    rows = read_entries(folder) if (folder / CAPTIONS).is_file() else []
    if not files and not rows:
        raise ConfigError(f"there is no mesh in `{folder}`", f"known are {', '.join(sorted(endings))}")
    told = {(folder / entry.path).resolve() for entry in rows}
    found = [_look(folder, entry, read) for entry in rows]
    for path in files:
        if path.resolve() not in told:
            one = _look(folder, Entry(str(path.relative_to(folder)), "", "", str(path.relative_to(folder))), read)
            found.append(replace(one, entry=captioned(one), written=False))
    return list(_doubles(_same_paths(found)))


def captioned(one: Checked) -> Entry:
    """An entry whose caption comes of its file name and colours; of its folder's, where the file is one of many `scene.gltf`."""
    path = Path(one.entry.path)
    names = [path.stem, *(folder.name for folder in path.parents)]
    noun, details = from_name(next((name for name in names if _words(name)), path.stem))
    told = " and ".join(one.colors[:2])
    words = " ".join(word for word in (told, *(detail for detail in details if detail not in one.colors), noun) if word)
    article = "an" if words[:1] in tuple("aeiou") else "a"
    return replace(one.entry, noun=noun, caption=f"{article} {words}")


def from_name(stem: str) -> tuple[str, tuple[str, ...]]:
    """The noun in a file's name, and the other words of it: `Treasure_Chest-02` is a treasure chest.

    Numbers, single letters, words that are doubled and words such as `my` and `mesh` are left out. The noun is the last word that
    names a thing, with the one before it where both are a noun together: a `Ferris_wheel` is no wheel.
    """
    words = _words(stem)
    nouns = [i for i, word in enumerate(words) if meaning.senses(meaning.singular(word))]
    if not words:
        return "object", ()
    at = nouns[-1] if nouns else len(words) - 1
    noun, first = meaning.singular(words[at]), at
    if at and meaning.senses(f"{words[at - 1]} {noun}"):
        noun, first = f"{words[at - 1]} {noun}", at - 1
    return noun, (*words[:first], *words[at + 1 :])


def _words(name: str) -> list[str]:
    """The words of a name that may say what it names."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    words = [word for word in re.findall(r"[^\W\d_]+", spaced.lower()) if len(word) > 1]
    return [word for word in dict.fromkeys(words) if word not in ARTICLES and word.removesuffix("s") not in OF_FILES]


def _look(folder: Path, entry: Entry, read: Reader) -> Checked:
    path = folder / entry.path
    if not path.is_file():
        return Checked(entry, f"there is no file `{entry.path}`")
    if not entry.path or not path.resolve().is_relative_to(folder.resolve()):
        return Checked(entry, f"`{entry.path}` leads out of the library")
    try:
        asset = read(path)
    except Df3dError as error:
        return Checked(entry, error.message)
    if not isinstance(asset, MeshAsset) or not len(asset.mesh.faces):
        return Checked(entry, "there is no surface in it")
    count = len(asset.mesh.faces)
    if count > MOST_FACES:
        return Checked(entry, f"it has {count:,} faces, more than {MOST_FACES:,}: make it simpler", faces=count)
    one = of_asset(asset)
    if not len(one.corners):
        return Checked(entry, "all its faces are without area")
    return Checked(
        entry, "", tuple(_doubts(entry, asset, one)), count, tuple(one.main_colors), drawn=sides.pictures([one], PICTURE)[0]
    )


def _doubts(entry: Entry, asset: MeshAsset, one: Object) -> Iterator[str]:
    yield from asset.notes
    if (parts := apart(one)) > 1:
        yield f"it looks like {parts} objects in one file"
    if turned(one):
        yield "its front may be at its side: it is more alike left and right when seen from there"
    if entry.caption and not meaning.senses(meaning.singular(entry.noun.split()[-1])) and not meaning.senses(entry.noun):
        yield f"`{entry.noun}` is no thing that a dictionary knows"


def apart(one: Object) -> int:
    """How many objects lie side by side in one: groups of triangles with wide gaps between them, seen from above."""
    low, high = one.bounds()
    cells = 24
    size = float((high - low)[[0, 2]].max()) or 1.0
    taken = np.zeros((cells, cells), bool)
    at = ((one.corners[..., [0, 2]] - low[[0, 2]]) / size * (cells - 1)).astype(int).clip(0, cells - 1)
    for x, z, last_x, last_z in np.unique(np.concatenate([at.min(1), at.max(1)], axis=1), axis=0):  # the box of each triangle
        taken[x : last_x + 1, z : last_z + 1] = True
    from scipy.ndimage import binary_dilation, label

    _, count = label(binary_dilation(taken, iterations=2), structure=np.ones((3, 3)))
    return int(count)


def turned(one: Object) -> bool:
    """Whether an object is far more symmetric seen from its side than from its front: most things are so from the front."""
    views = views_of(np.array((0.0, 90.0)), np.zeros(2), 32)
    front, side = raster.render([one, one], views.pose.numpy(), size=32)
    unlike = [float(np.abs(picture - picture[:, ::-1]).mean()) for picture in (front, side)]
    return unlike[0] > 0.03 and unlike[1] < 0.3 * unlike[0]


def _same_paths(found: list[Checked]) -> list[Checked]:
    seen: set[str] = set()
    checked = []
    for one in found:
        twice = one.entry.path in seen
        seen.add(one.entry.path)
        checked.append(replace(one, problem=one.problem or f"`{one.entry.path}` has more than one row") if twice else one)
    return checked


def _doubles(found: list[Checked]) -> Iterator[Checked]:
    usable = [one for one in found if one.drawn is not None]
    small = np.array([one.drawn[:, ::6, ::6].ravel() for one in usable if one.drawn is not None]) if usable else np.zeros((0, 1))
    small = small - 0.5
    squares = (small**2).sum(1)
    place = {id(one): i for i, one in enumerate(usable)}
    for one in found:
        i = place.get(id(one))
        if i:
            near = (squares[:i] + squares[i] - 2 * small[:i] @ small[i]) / small.shape[1]
            first = int(near.argmin())
            other = usable[first].entry
            if near[first] < DOUBLE and other.group != one.entry.group:
                yield replace(one, doubts=(*one.doubts, f"it looks the same as `{other.path}`"))
                continue
        yield one


def record(one: Checked) -> dict[str, object]:
    """What was found of an object, as JSON holds it."""
    return {
        "path": one.entry.path, "noun": one.entry.noun, "caption": one.entry.caption, "written": one.written,
        "problem": one.problem, "doubts": list(one.doubts), "faces": one.faces, "colors": list(one.colors),
    }  # fmt: skip


def add_captions(folder: Path, found: list[Checked]) -> str:
    """Add a row to captions.csv for each usable file that had none, and say so; what is there stays as it is, to the byte.

    Raises ConfigError when it cannot be written.
    """
    path = folder / CAPTIONS
    new = [one for one in found if not one.problem and not one.written]
    if not new:
        return f"{path} has a row for each mesh already"
    before = path.read_text(encoding="utf-8-sig") if path.is_file() else ""
    columns = next(csv.reader(io.StringIO(before, newline="")), None) or ["path", "noun", "caption", "category", "group"]
    text = io.StringIO()
    rows = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    if not before:
        rows.writeheader()
    elif not before.endswith(("\n", "\r")):
        text.write("\n")
    for one in new:
        rows.writerow({"path": one.entry.path, "noun": one.entry.noun, "caption": one.entry.caption, "group": one.entry.group})
    try:
        with path.open("a", newline="", encoding="utf-8") as file:
            file.write(text.getvalue())
    except OSError as error:
        raise ConfigError(f"`{path}` cannot be written: {error.strerror}", "make room, or change its permissions") from None
    return f"added {len(new)} rows to {path}"


def page(found: list[Checked]) -> str:
    """An HTML page of all objects from four sides, those with problems and doubts first."""
    cards = []
    for one in sorted(found, key=lambda c: (not c.problem, not c.doubts)):
        picture = f'<img loading="lazy" alt="front, right, back, left" src="{_strip(one.drawn)}">' if one.drawn is not None else ""
        notes = "".join(f"<p class=problem>{html.escape(one.problem)}</p>" * bool(one.problem))
        notes += "".join(f"<p class=doubt>{html.escape(doubt)}</p>" for doubt in one.doubts)
        told = html.escape(one.entry.caption) + ("" if one.written else " <i>(from the file name)</i>")
        name, path = html.escape(one.entry.noun), html.escape(one.entry.path)
        cards.append(f"<figure>{picture}<figcaption><b>{name}</b> {told}<br><code>{path}</code>{notes}</figcaption></figure>")
    return _PAGE.format(count=len(found), usable=sum(not one.problem for one in found), cards="\n".join(cards))


def _strip(drawn: np.ndarray) -> str:
    image = Image.fromarray((np.concatenate(list(drawn), axis=1) * 255).clip(0, 255).astype(np.uint8))
    data = io.BytesIO()
    image.save(data, "WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode()


_PAGE = """<!doctype html>
<meta charset="utf-8"><title>Library check</title>
<style>
body {{ font: 15px system-ui, sans-serif; margin: 2em; background: Canvas; color: CanvasText; color-scheme: light dark }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(390px, 1fr)); gap: 1em }}
figure {{ margin: 0; border: 1px solid #8886; border-radius: 6px; padding: 6px }}
img {{ width: 100%; display: block }} code {{ font-size: 12px; opacity: .7; overflow-wrap: anywhere }}
p {{ margin: .2em 0 }} .problem {{ color: #d33 }} .doubt {{ color: #b70 }}
</style>
<h1>{usable} of {count} objects can be used</h1>
<p>Each from its front, right, back and left. Problems come first, then doubts.</p>
<main>
{cards}
</main>
"""
