"""What the measures say of known objects, with a CLIP that knows colours: red is the front, green a side, blue the back."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from df3d_clip import consistency, guidance, janus, retrieval
from df3d_clip.config import ClipGuidanceConfig, ClipModelConfig, ClipScorerConfig, JanusConfig
from torch import Tensor
from torch.nn import functional

from df3d.evaluation.subject import TargetSubject
from df3d.evaluation.targets import Target
from df3d.plugin.catalog import Catalog
from df3d.prompt import Prompt
from df3d.scene.cameras import orbit
from df3d.schedule import Step
from df3d.types import Material, Mesh, MeshAsset, RenderOutput

AXES = {"red": 0, "front view": 0, "green": 1, "side view": 1, "blue": 2, "back view": 2}


class Colours:
    """A picture is the mean colour of what is not white; a text, the axis of the word that it ends in."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def images(self, images: Tensor) -> Tensor:
        weight = (1 - images.amin(-1, keepdim=True)).clamp_min(1e-4)
        return functional.normalize((images * weight).sum((1, 2)) / weight.sum((1, 2)), dim=-1)

    def texts(self, texts: list[str]) -> Tensor:
        self.read += texts
        return torch.eye(3)[[next(axis for word, axis in AXES.items() if text.lower().endswith(word)) for text in texts]]


@pytest.fixture
def clip(monkeypatch: pytest.MonkeyPatch) -> Colours:
    known = Colours()
    for module in (consistency, guidance, janus, retrieval):
        monkeypatch.setattr(module, "load", lambda config, device: known)
    return known


def painted(front: str, right: str, back: str, left: str) -> TargetSubject:
    """A box with a colour on each of its four sides, and the top and bottom in green."""
    box = trimesh.creation.box()
    sides = {(0, 0, 1): front, (1, 0, 0): right, (0, 0, -1): back, (-1, 0, 0): left}
    names = [sides.get(tuple(normal.round().astype(int)), "green") for normal in box.face_normals]
    colors = np.repeat(np.eye(3)[[AXES[name] for name in names]], 3, axis=0).astype(np.float32)
    vertices = box.vertices[box.faces].reshape(-1, 3).astype(np.float32)
    mesh = Mesh(vertices, np.arange(len(vertices)).reshape(-1, 3), colors=colors)
    asset = MeshAsset(mesh, Material(np.ones((1, 1, 3), np.float32)))
    return TargetSubject(Target(Path(), "red"), Catalog.discover(), views=8, asset=asset)


def test_one_face_is_one_and_leaks_little_and_two_are_two(clip: Colours) -> None:
    scorer = janus.JanusScorer(JanusConfig(model="x", temperature=0.2, views=24))
    one = scorer.score(painted("red", "green", "blue", "green"))
    two = scorer.score(painted("red", "green", "red", "green"))
    none = scorer.score(painted("green", "green", "red", "green"))  # its front behind
    assert (one["faces"], two["faces"]) == (1, 2)
    assert one["leakage"] < 0.3
    assert two["leakage"] == pytest.approx(1, abs=0.1)
    assert none["leakage"] > 3
    assert one["repetition"] < 0.2 < two["repetition"]
    assert {"red, front view", "red, side view", "red, back view"} <= set(clip.read)


def test_the_mean_of_the_views_is_looked_up_and_each_alone(clip: Colours, tmp_path: Path) -> None:
    (tmp_path / "pool.txt").write_text("green\nblue\n")
    scorer = retrieval.ClipScorer(ClipScorerConfig(model="x", pool=str(tmp_path / "pool.txt"), template="see {}"))
    mostly_blue = scorer.score(painted("red", "blue", "blue", "blue"))
    assert {"see red", "see green", "see blue"} <= set(clip.read)
    assert mostly_blue["r1"] == 0
    assert mostly_blue["rank"] == 2
    assert mostly_blue["r5"] == 1
    assert 0 < mostly_blue["view_r1"] < 0.5
    red = scorer.score(painted("red", "red", "red", "red"))
    assert (red["r1"], red["rank"], red["view_r1"]) == (1, 1, 1)
    assert red["score"] > mostly_blue["score"] > 10
    assert red["score"] > 85  # of a hundred
    assert red["score_geo"] == pytest.approx(100 / 3**0.5, abs=0.5)  # white is as like any colour


def test_the_prompt_itself_is_no_rival_however_it_is_written(clip: Colours, tmp_path: Path) -> None:
    (tmp_path / "pool.txt").write_text("RED\ngreen\n")
    found = retrieval.ClipScorer(ClipScorerConfig(model="x", pool=str(tmp_path / "pool.txt"))).score(
        painted("red", "red", "red", "red")
    )
    assert (found["r1"], found["rank"]) == (1, 1)


def test_the_rank_among_captions_as_like_is_the_middle_one(clip: Colours, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind three that are more like, beside two that are as like."""
    (tmp_path / "pool.txt").write_text("green\n")
    scorer = retrieval.ClipScorer(ClipScorerConfig(model="x", pool=str(tmp_path / "pool.txt")))
    monkeypatch.setattr(retrieval, "beaten_by", lambda *_: (torch.tensor([3]), torch.tensor([2])))
    found = scorer.score(painted("red", "red", "red", "red"))
    assert (found["rank"], found["r1"], found["r5"], found["r10"]) == (5.0, 0.0, pytest.approx(2 / 3), 1.0)


def test_guidance_goes_towards_the_text(clip: Colours) -> None:
    part = guidance.ClipGuidance(ClipGuidanceConfig(model="x", scale=10.0, augmentations=4))
    pixels = torch.full((1, 16, 16, 3), 0.5, requires_grad=True)
    encoded = part.encode(Prompt("red"))
    losses = []
    for index in range(20):
        render = RenderOutput(pixels, torch.ones(1, 16, 16, 1))
        found = part.step(render, orbit(1, size=16), encoded, Step(index, 20))
        losses.append(float(found.loss.detach()))
        assert found.loss.item() == pytest.approx(10 * (1 - float(found.stats["similarity"])), abs=1e-4)
        (gradient,) = torch.autograd.grad(found.loss, pixels)
        pixels = (pixels - 2.0 * gradient).clamp(0, 1).detach().requires_grad_()
    assert losses[-1] < 0.7 * losses[0]
    red, green, blue = pixels.detach().mean((0, 1, 2)).tolist()
    assert red > max(green, blue) + 0.1


def test_neighbours_that_differ_are_told_from_those_that_do_not(clip: Colours) -> None:
    scorer = consistency.ConsistencyScorer(ClipModelConfig(model="x"))
    same, other = scorer.score(painted("red", "red", "red", "red")), scorer.score(painted("red", "green", "blue", "green"))
    assert same["neighbours"] > other["neighbours"] + 0.02
    for found in (same, other):
        assert found["guarded"] == pytest.approx(found["neighbours"] * min(1.0, found["sharpness"] / consistency.SHARP))
    assert same["guarded"] < 0.9 * same["neighbours"]  # one flat colour has no detail that could be blurred


def test_more_than_sharp_is_no_better_than_sharp(clip: Colours) -> None:
    noise = torch.rand(3, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    subject: Any = SimpleNamespace(color=noise, opacity=torch.ones(3, 32, 32))
    found = consistency.ConsistencyScorer(ClipModelConfig(model="x")).score(subject)
    assert found["sharpness"] > 2 * consistency.SHARP
    assert found["guarded"] == pytest.approx(found["neighbours"])


def test_neighbours_are_those_next_to_each_other(monkeypatch: pytest.MonkeyPatch, clip: Colours) -> None:
    """Views that are alike in turn: every neighbour differs, and every other view is the same."""
    monkeypatch.setattr(Colours, "images", lambda self, images: torch.eye(3)[[0, 1] * (len(images) // 2)])
    found = consistency.ConsistencyScorer(ClipModelConfig(model="x")).score(painted("red", "green", "blue", "green"))
    assert found["neighbours"] == 0


def test_crops_lie_anywhere_and_are_square(monkeypatch: pytest.MonkeyPatch, clip: Colours) -> None:
    seen = []
    whole = Colours.images
    monkeypatch.setattr(Colours, "images", lambda self, images: seen.append(images.detach()) or whole(self, images))
    part = guidance.ClipGuidance(ClipGuidanceConfig(model="x", augmentations=8, crop=0.5))
    row, column = torch.meshgrid(torch.linspace(0, 0.9, 16), torch.linspace(0, 0.9, 16), indexing="ij")
    pixels = torch.stack([row, column, 0 * row], dim=-1)[None].requires_grad_()
    for index in range(6):
        part.step(RenderOutput(pixels, torch.ones(1, 16, 16, 1)), orbit(1, size=16), part.encode(Prompt("red")), Step(index, 6))
    corners = [(round(float(crop[0, 0, 0, 0]), 3), round(float(crop[0, 0, 0, 1]), 3)) for crop in seen]
    assert all(crop.shape[1] == crop.shape[2] >= 8 for crop in seen)
    assert len({top for top, _ in corners}) > 3
    assert len({left for _, left in corners}) > 3
    assert sum(top != left for top, left in corners) > len(corners) / 2
