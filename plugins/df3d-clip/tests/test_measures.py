"""The measures of CLIP on numbers whose answer is known, and which settings are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from clips import tiny_clip
from df3d_clip import architecture, guidance, janus, model
from df3d_clip.config import ClipGuidanceConfig, ClipModelConfig, ClipScorerConfig, JanusConfig, folder_of, ready
from df3d_clip.consistency import sharpness
from df3d_clip.hooks import df3d_guidance, df3d_scorers
from df3d_clip.model import Clip
from df3d_clip.retrieval import beaten_by, chance, read_pool

from df3d.errors import ConfigError, ModelError
from df3d.scene.cameras import orbit
from df3d.schedule import Step
from df3d.types import RenderOutput


def test_values_are_averaged_over_so_many_degrees_either_way() -> None:
    impulse = torch.zeros(36)
    impulse[0] = 1.0
    spread = janus.smooth(impulse, 20.0)  # two of ten degrees on each side
    assert spread[[34, 35, 0, 1, 2]].tolist() == pytest.approx([0.2] * 5)
    assert float(spread.sum()) == pytest.approx(1.0)
    assert torch.equal(janus.smooth(impulse, 9.9), impulse)


@pytest.mark.parametrize(
    ("values", "peaks"),
    [
        ([1.0, 0.5, 0.0, 0.49, 0.0], 1), ([1.0, 0.0, 0.5, 0.0], 2), ([1.0, 0.0, 0.0, 1.0], 1), ([0.3] * 5, 1),
        ([0.2, 0.0, 0.2, 0.0, 0.2, 0.0], 3),
    ],
)  # fmt: skip
def test_a_face_is_a_stretch_of_at_least_half_the_highest(values: list[float], peaks: int) -> None:
    assert janus.count_peaks(torch.tensor(values)) == peaks


def test_repetition_is_worked_by_hand() -> None:
    """Half of cos 120 + cos 180 - cos 60 - cos 90, for vectors that turn once with the object; and for such that turn twice."""
    angle = torch.arange(36) * (2 * torch.pi / 36)
    once, twice = (torch.stack([(k * angle).cos(), (k * angle).sin()], -1) for k in (1, 2))
    assert float(janus.repetition(once)) == pytest.approx((-0.5 - 1 - 0.5 - 0) / 2, abs=1e-5)
    assert float(janus.repetition(twice)) == pytest.approx((-0.5 + 1 + 0.5 + 1) / 2, abs=1e-5)


def test_sharpness_of_a_single_bright_point_is_that_of_its_laplacian() -> None:
    image, whole = torch.zeros(1, 12, 10, 3), torch.ones(1, 12, 10)
    image[0, 6, 5] = 0.5  # -4 times there, once at each of four neighbours
    assert float(sharpness(image, whole)) == pytest.approx((20 * 0.25 / (10 * 8)) ** 0.5)
    image[0, 6, 5] = torch.tensor([1.5, 0.0, 0.0])  # the brightness is the mean of the channels
    assert float(sharpness(image, whole)) == pytest.approx((20 * 0.25 / (10 * 8)) ** 0.5)
    assert float(sharpness(image, 0.98 * whole)) == 0
    assert float(sharpness(image, 0.995 * whole)) > 0
    hole = whole.clone()
    hole[0, 6, 7] = 0  # two to the right of the point: nothing within two of it is inside
    counted = torch.ones(10, 8, dtype=torch.bool)
    counted[3:8, 4:] = False  # rows 4 to 8, columns 5 to 9, less one at each border
    remaining = 1.0  # the neighbour to the left alone
    assert float(sharpness(image, hole)) == pytest.approx((remaining * 0.25 / int(counted.sum())) ** 0.5)


def test_captions_as_like_share_their_places() -> None:
    assert chance(torch.tensor([0, 2, 4, 5]), torch.tensor([0, 3, 9, 0]), 5).tolist() == pytest.approx([1.0, 0.75, 0.1, 0.0])
    image, wanted = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.0]])
    others = torch.tensor([[0.5 + 5e-7, 0.0], [0.5 - 5e-7, 0.0], [0.5 + 2e-6, 0.0], [0.5 - 2e-6, 0.0]])
    above, ties = beaten_by(image, wanted, others)
    assert (above.tolist(), ties.tolist()) == ([1], [2])


def test_captions_that_differ_in_case_and_spaces_are_one(tmp_path: Path) -> None:
    (tmp_path / "pool.txt").write_text("A Red  Car\na red car\n  a dog  \n#a cat\n")
    assert read_pool(tmp_path / "pool.txt") == ["A Red  Car", "a dog"]
    with pytest.raises(ConfigError, match="cannot be read"):
        read_pool(tmp_path / "gone.txt")
    (tmp_path / "pool.txt").write_text("a dog\n  # a cat\n")
    assert read_pool(tmp_path / "pool.txt") == ["a dog", "# a cat"]


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        (JanusConfig, {"views": 18}), (JanusConfig, {"temperature": 0.0}), (JanusConfig, {"smoothing": -1.0}),
        (ClipGuidanceConfig, {"crop": 0.0}), (ClipGuidanceConfig, {"crop": 1.01}),
        (ClipScorerConfig, {"template": "a picture"}), (ClipScorerConfig, {"template": "{} {}"}),
    ],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(config: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="`"):
        config(**wrong)


def test_settings_at_the_edge_are_taken() -> None:
    assert JanusConfig(views=24, smoothing=0.0).views == 24
    assert ClipGuidanceConfig(crop=1.0).crop == 1.0
    assert ClipScorerConfig(template="a {}, drawn").template == "a {}, drawn"


def test_a_folder_is_ready_when_it_has_both_files(tmp_path: Path) -> None:
    folder = tiny_clip(tmp_path / "clip")
    assert folder_of(str(folder)) == folder
    ready(ClipModelConfig(model=str(folder)))
    ready(ClipModelConfig(model="any", weights=str(folder / "open_clip_model.safetensors")))
    shutil.copy(folder / "open_clip_model.safetensors", tmp_path / "weights.pt")
    with pytest.raises(ModelError, match=r"there is no \.safetensors file"):
        ready(ClipModelConfig(weights=str(tmp_path / "weights.pt")))
    (folder / "open_clip_config.json").unlink()
    with pytest.raises(ModelError, match="is not a CLIP of open_clip"):
        ready(ClipModelConfig(model=str(folder)))


def test_the_usual_file_is_taken_before_others(tmp_path: Path) -> None:
    folder = tiny_clip(tmp_path / "clip")
    (folder / "open_clip_aaa.safetensors").write_bytes(b"damaged")
    Clip(str(folder))
    (folder / "open_clip_model.safetensors").rename(folder / "open_clip_zzz.safetensors")
    with pytest.raises(ModelError, match="open_clip_aaa"):
        Clip(str(folder))


def test_texts_are_read_in_their_order_however_many(tmp_path: Path) -> None:
    clip = Clip(str(tiny_clip(tmp_path / "clip")))
    texts = [f"a red car number {index}" for index in range(66)]
    vectors = clip.texts(texts)
    assert vectors.shape == (66, 32)
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(66))
    torch.testing.assert_close(vectors[[0, 63, 64, 65]], clip.texts([texts[i] for i in (0, 63, 64, 65)]), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(vectors[0], vectors[64])
    assert not vectors.requires_grad


def test_pictures_are_clamped_and_their_gradient_goes_back(tmp_path: Path) -> None:
    clip = Clip(str(tiny_clip(tmp_path / "clip")))
    pixels = torch.rand(2, 20, 20, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    vectors = clip.images(pixels)
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(2))
    vectors[:, 0].sum().backward()
    assert float(pixels.grad.abs().sum()) > 0  # type: ignore[union-attr]
    white = torch.ones(1, 20, 20, 3)
    torch.testing.assert_close(clip.images(white), clip.images(3 * white))


def test_one_model_serves_all_of_a_process(tmp_path: Path) -> None:
    folder = str(tiny_clip(tmp_path / "clip"))
    assert model.load(ClipModelConfig(model=folder), "cpu") is model.load(ClipScorerConfig(model=folder), "cpu")


class Seen:
    """A CLIP to which all is alike, and which keeps what it was shown."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def images(self, images: torch.Tensor) -> torch.Tensor:
        self.sizes.append(images.shape[1])
        return images.mean((1, 2))[:, :1].expand(-1, 2)


@pytest.mark.parametrize(("crop", "smallest"), [(1.0, 20), (0.5, 10), (0.9, 18)])
def test_crops_are_no_smaller_than_asked_and_as_many(monkeypatch: pytest.MonkeyPatch, crop: float, smallest: int) -> None:
    seen = Seen()
    monkeypatch.setattr(guidance, "load", lambda config, device: seen)
    part = guidance.ClipGuidance(ClipGuidanceConfig(crop=crop, augmentations=5, scale=3.0))
    render = RenderOutput(torch.full((2, 20, 20, 3), 0.25), torch.ones(2, 20, 20, 1))
    for index in range(30):
        found = part.step(render, orbit(2, size=20), torch.tensor([[0.5, 0.5]]), Step(index, 30))
        assert float(found.loss) == pytest.approx(3.0 * (1 - 0.25))  # a mean, whatever the views and crops
        assert float(found.stats["similarity"]) == pytest.approx(0.25)
    assert len(seen.sizes) == 150
    assert min(seen.sizes) == smallest
    assert max(seen.sizes) == 20


def test_the_records_say_where_less_is_better() -> None:
    lower = {plugin.name: plugin.lower for plugin in df3d_scorers()}
    assert lower == {"clip": {"rank", "rank_geo"}, "janus": {"faces", "leakage", "repetition"}, "consistency": set()}
    assert [plugin.accepts for plugin in df3d_guidance()] == [{"text"}]


def test_pictures_are_prepared_as_the_folder_says_and_else_as_openais(tmp_path: Path) -> None:
    folder = tiny_clip(tmp_path / "clip")
    path = folder / "open_clip_config.json"
    shape, prepared = architecture.read(path)
    assert (shape.embed_dim, shape.vision_cfg.image_size, shape.text_cfg.heads) == (32, 64, 2)
    assert (prepared.mean, prepared.std) == ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    clip = Clip(str(folder))
    assert (clip._mean.flatten().tolist(), clip._std.flatten().tolist()) == ([0.5] * 3, [0.25] * 3)
    path.write_text(json.dumps({"model_cfg": json.loads(path.read_text())["model_cfg"]}))
    _, usual = architecture.read(path)
    assert usual.mean == (0.48145466, 0.4578275, 0.40821073)
    assert usual.std == (0.26862954, 0.26130258, 0.27577711)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("[]", "it has no table `model_cfg`"), ('{"model_cfg": 3}', "it has no table `model_cfg`"), ("{", "is damaged")],
)
def test_a_file_that_describes_no_clip_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "open_clip_config.json").write_text(text)
    with pytest.raises(ModelError, match=reason):
        architecture.read(tmp_path / "open_clip_config.json")
