"""The shipped prior: that it is what its card says, and draws what it is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from df3d_prior import guidance
from df3d_prior.config import PriorConfig
from df3d_prior.guidance import load_from
from df3d_prior.prompts import index_of
from df3d_prior.sampling import Painter
from df3d_prior.sources import views_of
from df3d_prior.words import Caption, Thing
from df3d_toybox import captions
from df3d_toybox.captions import NOUN_NAMES
from df3d_toybox.prompts import FOLDER, WORLD
from df3d_toybox.world import render, scene

from df3d.prompt import Prompt

AZIMUTHS = np.array((0.0, 90.0, 180.0, -90.0))
ELEVATION = np.full(4, 20.0)


@pytest.fixture(scope="module")
def world() -> Painter:
    return Painter(FOLDER)


def test_the_card_says_how_it_was_trained_and_its_figures() -> None:
    card = json.loads((WORLD / "card.json").read_text())
    assert {"noun", "view"} <= set(card["figures"])
    pictures = 0
    while card:  # the training that it begins with has its card inside
        pictures += card["steps"] * card["batch"]
        card = card.get("start_from")
    assert pictures > 50_000


def test_the_weights_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 60e6


@pytest.mark.parametrize("noun", ["dog", "car"])
def test_the_world_is_drawn_from_the_side_that_is_asked_for(world: Painter, noun: str) -> None:
    """Each sample is nearest to the world's own picture from that side, of four."""
    parts = scene.build(captions.Caption(captions.Thing(noun)))
    drawn = render.render([render.pack(parts)] * 4, views_of(AZIMUTHS, ELEVATION, 64).pose.numpy())
    truth = torch.from_numpy(drawn[..., :3]).permute(0, 3, 1, 2) * 2 - 1
    samples = world.draw([Caption(Thing(noun))] * 4, AZIMUTHS, ELEVATION)
    assert torch.cdist(samples.flatten(1), truth.flatten(1)).argmin(1).tolist() == [0, 1, 2, 3]


def test_the_world_is_painted_in_the_colour_that_is_asked_for(world: Painter) -> None:
    asked = [Caption(Thing(noun, color)) for color in ("red", "green", "blue") for noun in ("car", "chair")]
    samples = world.draw(asked, np.full(6, 45.0), np.full(6, 20.0))
    assert [int(image.mean((1, 2)).argmax()) for image in samples] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("prompt", ["a dragon", "a blue shield", "a pumpkin wearing a hat"])
def test_the_library_is_drawn_as_its_sketches_show_it(world: Painter, prompt: str) -> None:
    """From four sides, in the colour that is asked for, alone or together; each sample beside the sketches of other objects."""
    index, prior = world.index, load_from(FOLDER, PriorConfig(), device="cpu")
    assert prior.sketches is not None
    asked = [index.read(text).caption for text in (prompt, "a well", "a red barrel", "a chest on a table")]
    sketches = [prior.sketches.of(caption, a, 20.0)[:, :3].sum(0) for caption in asked for a in AZIMUTHS]
    samples = world.draw([asked[0]] * 4, AZIMUTHS, ELEVATION, steps=8)
    small = torch.nn.functional.avg_pool2d(samples, 2)
    nearest = torch.cdist(small.flatten(1), torch.stack(sketches).flatten(1)).argmin(1)
    assert (nearest < 4).all()


def test_each_network_draws_what_it_knows() -> None:
    prior = load_from(FOLDER, PriorConfig(), device="cpu")
    prior.encode(Prompt("a dragon"))
    library = prior.denoiser
    prior.encode(Prompt("a red dog on a blue table"))
    world = prior.denoiser
    assert (library.sketches, world.sketches) == (2, 0)
    prior.encode(Prompt("a dragon on a table"))
    assert prior.denoiser is library


@pytest.mark.parametrize(("prompt", "folder"), [("a red dog", WORLD), ("a dragon", FOLDER)])
def test_a_prompt_loads_the_network_that_knows_it_and_no_other(monkeypatch: pytest.MonkeyPatch, prompt: str, folder: Path) -> None:
    loaded: list[str] = []
    load = guidance.load
    monkeypatch.setattr(guidance, "load", lambda model, **options: loaded.append(model) or load(model, **options))
    prior = load_from(FOLDER, PriorConfig(), device="cpu")
    assert loaded == []
    prior.encode(Prompt(prompt))
    assert prior.denoiser is prior.denoiser
    assert loaded == [str(folder)]


def test_each_noun_of_the_world_is_read_as_its_own_object() -> None:
    """The index and the world's own grammar agree."""
    index = index_of(FOLDER)
    for noun in NOUN_NAMES:
        for text in (f"a {noun}", f"a red {noun}", f"a purple {noun} on a brown table", f"a {noun} wearing a hat"):
            reading, own = index.read(text).caption, captions.read(text).caption
            assert reading is not None
            assert own is not None
            plain = [thing and (thing.noun, thing.color) for thing in (own.subject, own.other)]
            read = [thing and (thing.word, thing.color) for thing in (reading.subject, reading.other)]
            assert read == plain
            assert reading.relation == own.relation
