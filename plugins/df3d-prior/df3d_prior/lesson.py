"""What a training is about: which model it begins with, which pictures it sees, and what the finished prior can be asked for."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch

from df3d.errors import ConfigError, ModelError
from df3d_prior import colors, sketches
from df3d_prior.config import TrainConfig
from df3d_prior.library import Entry, Library
from df3d_prior.memory import remember
from df3d_prior.model import Model, create, read, take_over
from df3d_prior.objects import Object
from df3d_prior.prompts import WORLD as WORLD_FOLDER
from df3d_prior.prompts import folder_of_path, index_of, world_of
from df3d_prior.reading import Index
from df3d_prior.sketches import Sketched, Sketches
from df3d_prior.sources import LibrarySource, Source
from df3d_prior.train import Mix
from df3d_prior.words import BLANK, RELATIONS, THING, VIEWS, WORLD

SHIPPED, NONE = "shipped", "none"


@dataclass(frozen=True)
class Origin:
    """A prior that a plugin ships, and the world that it was trained on; an entry point of the group `df3d_prior` names one."""

    folder: Path
    world: Source
    index: Index  # of the world's nouns
    nouns: tuple[tuple[str, Object], ...]  # the world's words, and an object of each


@dataclass(frozen=True)
class Lesson:
    """A training that can begin."""

    model: Model
    mix: Mix
    index: Index
    card: dict[str, Any]
    nouns: list[tuple[str, Object]]  # words of the world's nouns that the model knows, and an object of each
    world: Path | None = None  # a prior that draws the world's own nouns; None: this one does, or none


def prepare(library: Library | None, start_from: str, config: TrainConfig) -> Lesson:
    """A training on a library or, without one, on the shipped world, that begins with the shipped prior, none, or one in a folder.

    Raises ConfigError where there is nothing to learn, ModelError where the start is no prior.
    """
    origin = shipped_origin()
    torch.manual_seed(config.seed)
    start = None if start_from == NONE else origin.folder if start_from == SHIPPED and origin else folder_of_path(Path(start_from))
    if library is None and origin is None:
        raise ConfigError("there is nothing to learn", "give a folder of meshes")
    if library is None and start:
        start = world_of(start)
    model, index, known = _begin(start) if start else _nothing(origin if library is None else None)
    knows_world, before = index.owns, index.sketched
    world = world_of(start) if start and world_of(start) != start else None
    sources: list[Source] = []
    if library is not None:
        library = _renamed(library, index)
        props = props_of(origin) if origin and knows_world else Library([], [])
        index, known = _added(index, known or Sketches({}), library, props)
        sources.append(LibrarySource(library, props))
    old: list[Source] = [origin.world] if origin and knows_world and not world else []
    memory = None
    if start is not None and library is not None and known is not None:
        memory = remember(start, [word for word in before if word in known.objects], config)
    old += [memory] if memory else []
    share = config.known if sources else 1.0  # of pictures of what was known before
    shares = [1.0 - share * bool(old)] * len(sources) + [share / len(old) for _ in old]
    sources += old
    card: dict[str, Any] = {"objects": len(index.objects), "library": len(library.entries) if library else 0}
    if start is not None:
        card["start_from"] = _card(start)
    known = known or Sketches({})
    spare = WORLD if world else ""  # a network that draws no nouns of its own knows them by their sketches
    words = set(known.objects) | {one.word for one in index.objects if one.own}
    nouns = [(noun + spare, one) for noun, one in origin.nouns if noun + spare in words] if origin else []
    return Lesson(model, Mix(tuple(sources), tuple(shares), known), index, card, nouns, world)


def about(library: Library | None, start_from: str) -> str:
    """What tells one training from another: a digest of what the library says of its objects, and what the training begins with."""
    told = [(entry.path, entry.noun, entry.caption, entry.group) for entry in library.entries] if library else []
    start = start_from if start_from in (SHIPPED, NONE) else "a folder"
    return hashlib.sha256(json.dumps([told, start]).encode()).hexdigest()


def shipped_origin() -> Origin | None:
    """The shipped prior, where a plugin that has one is installed."""
    found = list(entry_points(group="df3d_prior"))
    origin: Origin | None = found[0].load()() if found else None
    return origin


def shipped() -> Path:
    """The folder of the shipped prior.

    Raises ModelError where no plugin ships one.
    """
    origin = shipped_origin()
    if origin is None:
        raise ModelError("no plugin that is installed ships a prior", "name one with --prior, or install df3d-toybox")
    return origin.folder


def _nothing(origin: Origin | None) -> tuple[Model, Index, None]:
    """An untrained model, with words for the nouns of a world."""
    nouns = [noun for noun, _ in origin.nouns] if origin else []
    return create([*colors.NAMES, *nouns, *RELATIONS, *VIEWS, THING]), origin.index if origin else Index([]), None


def _begin(start: Path) -> tuple[Model, Index, Sketches | None]:
    """The model to train, what it can be asked for at the start, and its sketches."""
    index = index_of(start)
    try:
        old = read(start)
        known = Sketches.load(start, index.sketched) if (start / sketches.FILE).is_file() else None
    except (ModelError, OSError, ValueError, RuntimeError, KeyError) as error:
        raise ModelError(f"the prior in `{start}` cannot be read: {str(error).splitlines()[0]}", "start from another one") from None
    words = [word for word in old.words if word != BLANK]
    missing = [word for word in (*RELATIONS, THING) if word not in words]
    if not missing:
        return old, index, known
    model = create([*words, *missing])
    take_over(model, old)
    return model, index, known


def _renamed(library: Library, index: Index) -> Library:
    """A library whose words differ from those of an index."""
    taken = {one.word for one in index.objects}
    entries = []
    for entry in library.entries:
        word = entry.word
        while word in taken:
            word += "+"
        entries.append(replace(entry, word=word))
    return Library(entries, library.objects)


def props_of(origin: Origin) -> Library:
    """The world's nouns as objects of a library, for captions that put them beside others."""
    entries = [Entry("", noun, f"a {noun}", f"{noun}{WORLD}", word=f"{noun}{WORLD}") for noun, _ in origin.nouns]
    return Library(entries, [one for _, one in origin.nouns])


def _added(index: Index, known: Sketches, library: Library, props: Library) -> tuple[Index, Sketches]:
    """What can be asked for after a training on a library: its own objects take the place of others of the same noun."""
    own = library.index()
    old = [one for one in index.objects if one.noun and (one.noun not in own.nouns or one.spare)]
    kept = {one.word for one in old}
    added = [one for one in props.index().objects if one.word not in kept]
    whole = Index([*own.objects, *old, *added])
    there = {entry.word: one for entry, one in zip(library.entries + props.entries, library.objects + props.objects, strict=True)}
    wanted = [word for word in whole.sketched if word not in known.objects]
    objects = known.objects | dict(zip(wanted, Sketched.all([there[word] for word in wanted]), strict=True))
    return whole, Sketches({word: objects[word] for word in whole.sketched})


def finish(lesson: Lesson, folder: Path) -> None:
    """Put what a prior needs beside its weights into its folder, which is new."""
    lesson.index.save(folder)
    lesson.mix.sketches.save(folder)
    if lesson.world:
        shutil.copytree(lesson.world, folder / WORLD_FOLDER)


def _card(folder: Path) -> dict[str, Any]:
    path = folder / "card.json"
    card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return card
