"""What a training begins with: nothing, the world's prior, the shipped one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import shelf
import torch
from df3d_diffusion.conditioning import with_sketches
from df3d_diffusion.loading import load as load_denoiser
from df3d_diffusion.pixel import PixelDenoiser
from df3d_prior import figures, lesson
from df3d_prior.config import PriorConfig, TrainConfig
from df3d_prior.guidance import from_config
from df3d_prior.library import load
from df3d_prior.memory import MemorySource
from df3d_prior.sources import LibrarySource
from df3d_toybox.prompts import WORLD
from df3d_toybox.world.source import WorldSource

from df3d.prompt import Prompt
from df3d.scene.cameras import orbit

TINY = TrainConfig(images=6 * 4, batch=4, warmup=2, memories=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shelf.make(tmp_path_factory.mktemp("library"))


def test_the_world_begins_as_it_was(tmp_path: Path, folder: Path) -> None:
    """A model that takes over the world's weights predicts what they predict, where there is no sketch."""
    begun = lesson.prepare(load(folder), str(WORLD), TINY)
    begun.model.save(tmp_path, card={})
    old, new = (load_denoiser(str(place), device="cpu", dtype="float32") for place in (WORLD, tmp_path))
    assert isinstance(old, PixelDenoiser)
    assert isinstance(new, PixelDenoiser)
    assert (old.sketches, new.sketches) == (0, 2)
    text = "red dog on blue table front"
    noisy, time, views = torch.randn(1, 3, 64, 64), torch.tensor([600]), orbit(1, size=64)
    seen = with_sketches(new.encode_text([text]), torch.zeros(1, 2, 4, 32, 32))
    predicted = new.predict(noisy, time, seen, views) - old.predict(noisy, time, old.encode_text([text]), views)
    assert predicted.std() < 0.03  # its weights are bytes


def test_the_prior_of_the_world_is_trained_further_with_the_world(folder: Path) -> None:
    begun = lesson.prepare(load(folder), str(WORLD), TINY)
    library, world = begun.mix.sources
    assert isinstance(library, LibrarySource)
    assert isinstance(world, WorldSource)
    assert begun.mix.shares == (1 - TINY.known, TINY.known)
    assert begun.world is None
    assert {"peacock", "post"} <= set(begun.index.nouns)


def test_the_shipped_prior_keeps_its_objects_and_the_world(folder: Path, tmp_path: Path) -> None:
    """The world's own nouns stay with their own prior, which goes along; the others are drawn from memory."""
    begun = lesson.prepare(load(folder), "shipped", replace(TINY, images=64))
    library, memory = begun.mix.sources
    assert isinstance(library, LibrarySource)
    assert isinstance(memory, MemorySource)
    assert begun.mix.shares == (1 - TINY.known, TINY.known)
    assert {"peacock", "post", "dragon"} <= set(begun.index.nouns)
    assert {entry.noun for entry in library.props.entries} >= {"hat", "table"}
    assert begun.index.read("a dog").things[0].known.own
    assert begun.index.read("a dog beside a box").things[0].known.spare
    assert {word for word, _ in begun.nouns} <= set(begun.mix.sketches.objects)
    begun.model.save(tmp_path / "model", card={})
    lesson.finish(begun, tmp_path / "model")
    kept = from_config(PriorConfig(model=str(tmp_path)))
    kept.encode(Prompt("a dog"))
    assert kept.denoiser.sketches == 0
    kept.encode(Prompt("a post"))
    assert kept.denoiser.sketches == 2


def test_the_world_s_prior_knows_its_world_by_its_own_samples() -> None:
    begun = lesson.prepare(None, "shipped", TINY)
    assert not begun.mix.sketches.objects
    few = replace(begun, nouns=[thing for thing in begun.nouns if thing[0] in ("dog", "car", "tree", "mug", "house")])
    assert figures.measure(WORLD, few) == {"kept": pytest.approx(1.0, abs=0.1)}
