"""The real loader on a small CLIP, and R-Precision on vectors whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from clips import CONFIG, tiny_clip
from command import TINY, df3d
from df3d_clip import janus
from df3d_clip.config import ClipModelConfig, ClipScorerConfig, JanusConfig, ready
from df3d_clip.consistency import ConsistencyScorer, sharpness
from df3d_clip.janus import JanusScorer
from df3d_clip.model import Clip
from df3d_clip.retrieval import ClipScorer, beaten_by, chance, read_pool

from df3d.errors import ConfigError, ModelError, PromptError
from df3d.evaluation.subject import TargetSubject
from df3d.evaluation.targets import Target
from df3d.plugin.catalog import Catalog
from df3d.types import Material, Mesh, MeshAsset


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def subject() -> TargetSubject:
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    mesh = Mesh(corners, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]), colors=np.eye(4, 3, dtype=np.float32))
    asset = MeshAsset(mesh, Material(np.ones((1, 1, 3), np.float32)))
    return TargetSubject(Target(Path(), "a red car"), Catalog.discover(), views=4, asset=asset)


def test_pictures_are_read_as_open_clip_reads_them(folder: Path) -> None:
    import open_clip
    from PIL import Image

    clip = Clip(str(folder))
    network, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    network.eval()
    picture = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8).repeat(16, 0).repeat(16, 1))
    with torch.no_grad():
        theirs = network.encode_image(preprocess(Image.fromarray(picture.numpy()))[None])
        ours = clip.images(picture[None].float() / 255)
        texts = network.encode_text(open_clip.get_tokenizer(f"local-dir:{folder}")(["a red car"]))
    assert torch.cosine_similarity(theirs, ours).item() > 0.999
    torch.testing.assert_close(clip.texts(["a red car"]), texts / texts.norm())


def test_r_precision_equals_the_value_worked_by_hand() -> None:
    wanted = torch.tensor([[1.0, 0.0]])
    others = torch.tensor([[0.0, 1.0], [0.6, 0.8], [1.0, 0.0]])  # the last one is the same to CLIP: a tie
    images = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    above, ties = beaten_by(images, wanted, others)
    assert above.tolist() == [0, 1, 2]
    assert ties.tolist() == [1, 1, 1]
    assert chance(above, ties, 1).tolist() == [0.5, 0.0, 0.0]
    assert chance(above, ties, 2).tolist() == [1.0, 0.5, 0.0]
    assert chance(above, ties, 5).tolist() == [1.0, 1.0, 1.0]
    alone = beaten_by(images, wanted, others[:0])
    assert chance(*alone, 1).tolist() == [1.0, 1.0, 1.0]


def test_a_pool_has_each_caption_once_and_may_lack_the_prompt(folder: Path, subject: TargetSubject, tmp_path: Path) -> None:
    pool = tmp_path / "pool.txt"
    pool.write_text("# a comment\na red car\na red car\n\na blue chair\na cat\n")
    assert read_pool(pool) == ["a red car", "a blue chair", "a cat"]
    with_it = ClipScorer(ClipScorerConfig(model=str(folder), pool=str(pool)))
    pool.write_text("a blue chair\na cat\n")
    without = ClipScorer(ClipScorerConfig(model=str(folder), pool=str(pool)))
    assert with_it.score(subject) == without.score(subject)
    pool.write_text("a red car\n")
    only = ClipScorer(ClipScorerConfig(model=str(folder), pool=str(pool))).score(subject)
    assert (only["r1"], only["rank"]) == (1.0, 1.0)
    pool.write_text("A  red CAR\n")  # the prompt, as far as anybody minds
    assert ClipScorer(ClipScorerConfig(model=str(folder), pool=str(pool))).score(subject) == only
    pool.write_text("a red car\na blue chair\n", encoding="utf-8-sig")
    assert read_pool(pool) == ["a red car", "a blue chair"]


def test_captions_that_are_the_same_to_the_model_are_ties(folder: Path, subject: TargetSubject, tmp_path: Path) -> None:
    """Read one by one and in batches, they differ by rounding."""
    pool = tmp_path / "pool.txt"
    pool.write_text("a cat &amp; a dog\n" + "".join(f"caption {i}\n" for i in range(70)))
    subject.prompt = "a cat & a dog"
    scorer = ClipScorer(ClipScorerConfig(model=str(folder), pool=str(pool)))
    with_it = scorer.score(subject)
    subject.prompt = "a cat &amp; a dog"
    alone = scorer.score(subject)
    assert with_it["rank"] == alone["rank"] + 0.5


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("pool.txt", "\n# nothing\n", "is empty"),
        ("pool.csv", "path,prompt\n", "is not plain text"),
        ("pool.txt", 'a cat\n{"caption": "a dog"}\n', "line 2 of .* is no caption"),
    ],
)
def test_a_pool_in_a_wrong_format_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_pool(tmp_path / name)


def test_an_architecture_of_open_clip_takes_its_weights_from_a_file(folder: Path, tmp_path: Path) -> None:
    import open_clip

    (tmp_path / "tiny-for-tests.json").write_text(json.dumps(CONFIG))
    open_clip.add_model_config(tmp_path)
    named, found = Clip("tiny-for-tests", str(folder / "open_clip_model.safetensors")), Clip(str(folder))
    torch.testing.assert_close(named.texts(["a red car"]), found.texts(["a red car"]))
    with pytest.raises(ModelError, match="no architecture `tiny-for-test`"):
        Clip("tiny-for-test", str(folder / "open_clip_model.safetensors"))
    with pytest.raises(ModelError, match="no .safetensors file `here.pt`"):
        ready(ClipModelConfig(weights="here.pt"))


def test_the_shipped_pool_is_large_and_has_no_caption_twice() -> None:
    text = (Path(janus.__file__).parent / "pool.txt").read_text().splitlines()
    captions = [line for line in text if line and not line.startswith("#")]
    assert len(captions) >= 150
    assert captions == read_pool(None)


def test_scores_are_of_colour_and_of_shape(folder: Path, subject: TargetSubject) -> None:
    found = ClipScorer(ClipScorerConfig(model=str(folder))).score(subject)
    clip = Clip(str(folder))
    with torch.no_grad():
        expected = 100 * (clip.images(subject.geometry) @ clip.texts(["a red car"]).T).mean()
    assert found["score_geo"] == pytest.approx(float(expected), abs=1e-4)
    assert found["score"] != found["score_geo"]
    assert 1 <= found["rank"] <= len(read_pool(None)) + 1
    subject.prompt = ""
    with pytest.raises(PromptError, match="no prompt to score against"):
        ClipScorer(ClipScorerConfig(model=str(folder))).score(subject)


def test_faces_are_peaks_and_copies_are_repetition() -> None:
    angle = torch.arange(36) * (2 * torch.pi / 36)
    for faces in (1, 2, 3):
        front = (1 + torch.cos(faces * angle)) / 2
        assert janus.count_peaks(janus.smooth(front, 20.0)) == faces
        assert janus.count_peaks(0.2 * janus.smooth(front, 20.0)) == faces  # however sure the model is of any
    ring = torch.stack([angle.cos(), angle.sin()], -1)  # one face: opposite views are opposite vectors
    twice = torch.stack([(2 * angle).cos(), (2 * angle).sin()], -1)
    assert janus.repetition(ring) < 0 < janus.repetition(twice)


def test_janus_and_consistency_run_on_a_real_loader(folder: Path, subject: TargetSubject) -> None:
    found = JanusScorer(JanusConfig(model=str(folder), views=12)).score(subject)
    assert all(np.isfinite(value) for value in found.values())
    found = ConsistencyScorer(ClipModelConfig(model=str(folder))).score(subject)
    assert found["guarded"] == pytest.approx(found["neighbours"] * min(1.0, found["sharpness"] / 0.02))
    once = TargetSubject(subject.target, Catalog.discover(), views=1, asset=subject.asset)
    assert set(ConsistencyScorer(ClipModelConfig(model=str(folder))).score(once)) == {"sharpness"}


def test_blur_lowers_sharpness_whatever_the_outline() -> None:
    image, opacity = torch.rand(1, 64, 64, 3), torch.zeros(1, 64, 64)
    opacity[:, 16:48, 16:48] = 1
    blurred = torch.nn.functional.avg_pool2d(image.permute(0, 3, 1, 2), 5, 1, 2).permute(0, 2, 3, 1)
    on_white = [torch.lerp(torch.ones_like(picture), picture, opacity[..., None]) for picture in (image, blurred)]
    assert sharpness(on_white[1], opacity) < 0.3 * sharpness(on_white[0], opacity)
    assert sharpness(torch.lerp(torch.ones_like(image), torch.zeros_like(image), opacity[..., None]), opacity) == 0


@pytest.mark.parametrize("damage", ["weights", "config", "empty", "absent"])
def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path, damage: str) -> None:
    folder = tiny_clip(tmp_path / "clip")
    if damage == "weights":
        (folder / "open_clip_model.safetensors").write_bytes(b"damaged")
    elif damage == "config":
        (folder / "open_clip_config.json").write_text("{}")
    elif damage == "empty":
        (folder / "open_clip_model.safetensors").unlink()
    name = str(folder) if damage != "absent" else "nobody/nothing"
    with pytest.raises(ModelError, match="cannot be loaded|is not a CLIP|is not on this machine"):
        Clip(name)


CODE = "import pathlib; pathlib.Path('ran').touch()"


@pytest.mark.parametrize(
    ("where", "key", "value", "reason"),
    [
        ("text_cfg", "tokenizer_kwargs", {"trust_remote_code": True}, "unknown key `model_cfg.text_cfg.tokenizer_kwargs`"),
        ("text_cfg", "hf_tokenizer_name", "./tokenizer", "unknown key `model_cfg.text_cfg.hf_tokenizer_name`"),
        ("text_cfg", "hf_model_name", "nobody/nothing", "unknown key `model_cfg.text_cfg.hf_model_name`"),
        ("vision_cfg", "timm_model_name", "vit_base", "unknown key `model_cfg.vision_cfg.timm_model_name`"),
        ("vision_cfg", "layers", 10**9, "`model_cfg.vision_cfg.layers` must be between"),
        ("vision_cfg", "width", 4096, "holds .* numbers, and its architecture has"),
        ("text_cfg", "vocab_size", 1_000_000, "holds .* numbers, and its architecture has"),
        ("text_cfg", "heads", 7, "cannot be loaded"),
        ("vision_cfg", "image_size", "large", "`model_cfg.vision_cfg.image_size` must be"),
    ],
)
def test_a_folder_runs_no_code_and_takes_no_more_than_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, key: str, value: object, reason: str
) -> None:
    folder = tiny_clip(tmp_path / "clip")
    monkeypatch.chdir(folder)
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "code.py").write_text(CODE)
    (folder / "tokenizer" / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["code.Tokenizer", null]}}')
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"][where][key] = value
    path.write_text(json.dumps(config))
    with pytest.raises(ModelError, match=reason):
        Clip(str(folder))
    assert not (folder / "ran").exists()


def test_a_run_is_guided_and_scored(folder: Path, tmp_path: Path) -> None:
    settings = ("--guidance", "clip", f"--set=guidance.model={folder}", "--set=guidance.augmentations=1")
    done = df3d("generate", "a red car", *TINY, *settings, "--out", "car", "--quiet", where=tmp_path)
    assert done.returncode == 0, done.stderr
    done = df3d("eval", "car", "--scorer", "clip", f"--set=clip.model={folder}", "--json", "--views", "2", where=tmp_path)
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout.splitlines()[0])
    assert set(line["scores"]) >= {"clip.score", "clip.r1", "clip.r1_geo", "clip.view_r1"}
    assert json.loads((tmp_path / "car" / "scores.json").read_text())["scores"] == line["scores"]
