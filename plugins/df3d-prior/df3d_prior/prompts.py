"""What a prior says of a prompt before a run: refused, understood in part, or understood. Imports nothing heavy."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from df3d.errors import ModelError, PromptError
from df3d_prior import meaning
from df3d_prior.config import PriorConfig
from df3d_prior.reading import COLORS, FILE, NUMBERS, Index

WORLD = "world"  # within a prior's folder: another prior, which draws the nouns that are marked as the world's own
FEW = 20  # nouns that a message names
OPEN = "for anything else use a Stable Diffusion model: --recipe dreamfusion"


def check(text: str, config: PriorConfig) -> list[str]:
    """Notes on a prompt.

    Raises PromptError when it names nothing that could be made, ModelError when there is no prior.
    """
    return notes(text, index_of(folder_of(config)))


def folder_of(config: PriorConfig) -> Path:
    """The folder of the prior that a configuration names.

    Raises ModelError when it names none.
    """
    if not config.model:
        raise ModelError("no prior is named", "train one: df3d prior train FOLDER, then --prior PRIOR")
    return folder_of_path(Path(config.model).expanduser())


def folder_of_path(path: Path) -> Path:
    """The folder of a finished prior: a training's own, or the one that it left in it."""
    return path / "model" if (path / "model" / FILE).is_file() else path


def world_of(folder: Path) -> Path:
    """The folder of the prior that draws the world's own nouns for the one in a folder: one within it, or itself."""
    return folder / WORLD if (folder / WORLD).is_dir() else folder


def index_of(folder: Path) -> Index:
    """What a prior has words for.

    Raises ModelError when there is no prior in the folder.
    """
    if not folder.is_dir():
        raise ModelError(f"there is no prior `{folder}`", "check the path, or train one: df3d prior train FOLDER")
    try:
        return _index(folder, (folder / FILE).stat().st_mtime_ns)
    except (OSError, KeyError, ValueError, UnicodeDecodeError) as error:
        missing = isinstance(error, FileNotFoundError)
        what = f"`{folder}` is no prior: it has no {FILE}" if missing else f"`{folder / FILE}` cannot be read: {error}"
        raise ModelError(what, "train it again: df3d prior train FOLDER") from None


@lru_cache(maxsize=4)
def _index(folder: Path, _: int) -> Index:
    """A prior's index, read once: a list of prompts asks for it with every row. Nobody may change it."""
    return Index.load(folder)


def notes(text: str, index: Index) -> list[str]:
    """Notes on a prompt for a prior with this index.

    Raises PromptError when it names nothing.
    """
    reading = index.read(text)
    if not reading.things:
        raise PromptError(f"the prior knows no object in `{text}`", f"{_suggestion(reading.unknown, index)}; {OPEN}")
    reasons = [f"`{thing.noun}` stands for `{thing.asked}`" for thing in reading.things if _other(thing.asked, thing.noun)]
    if reading.unknown:
        reasons.append("it leaves out " + ", ".join(f"`{word}`{_nearest(word, index)}" for word in reading.unknown))
    return [f"understood as `{reading}`: {'; '.join(reasons)}; {OPEN}"] if reasons else []


def _other(asked: str, noun: str) -> bool:
    return asked != noun and noun not in asked.split()


def _suggestion(words: tuple[str, ...], index: Index) -> str:
    near = [found for word in words if (found := _close(word, index))]
    if near:
        return f"did you mean {' or '.join(f'`{word}`' for word in near)}?"
    every = sorted(index.nouns)
    some = ", ".join(every[:: -(-len(every) // FEW)])
    return f"it knows {some}" if len(every) <= FEW else f"it knows {len(every)} nouns, among them {some}"


def _nearest(word: str, index: Index) -> str:
    near = _close(word, index)
    return f" (did you mean `{near}`?)" if near else ""


def _close(word: str, index: Index) -> str:
    """The known word that is spelled most like one; nothing where none is."""
    if (
        len(word) < 3
        or word.isdigit()
        or word in index.nouns
        or word.removesuffix("s") in index.nouns
        or word in COLORS
        or word in NUMBERS
        or meaning.senses(meaning.singular(word))
    ):
        return ""
    return _spelled_like(word, (*index.nouns, *COLORS))


@lru_cache(maxsize=4096)
def _spelled_like(word: str, known: tuple[str, ...]) -> str:
    return next(iter(get_close_matches(word, known, n=1, cutoff=0.75)), "")
