"""The model: that it trains, that training resumes, and that what is shipped is what its card says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from df3d_diffusion.loading import load
from df3d_diffusion.pixel import PixelDenoiser
from df3d_toybox import evaluate, train
from df3d_toybox.captions import read
from df3d_toybox.config import TrainConfig
from df3d_toybox.guidance import wording
from df3d_toybox.model import FOLDER, create
from df3d_toybox.train import EMPTY, batches, draw_batch
from df3d_toybox.world import render, scene

from df3d.scene.cameras import orbit
from df3d.system.tensors import read_tensors

TINY = TrainConfig(images=8 * 4, batch=4, warmup=2)


def test_training_resumes_where_it_stopped(tmp_path: Path) -> None:
    def run(folder: Path, stop: int | None = None) -> list[train.Progress]:
        reports = []
        for report in train.train(TINY, folder, compiled=False, report_every=1, save_every=4):
            reports.append(report)
            if report.step == stop:
                break
        return reports

    whole = run(tmp_path / "whole")
    assert [report.step for report in whole] == list(range(1, 9))
    run(tmp_path / "broken", stop=6)  # the checkpoint is that of step 4
    resumed = run(tmp_path / "broken")
    assert [report.step for report in resumed] == [5, 6, 7, 8]
    assert [report.loss for report in resumed] == [report.loss for report in whole[4:]]
    first, second = (read_tensors(tmp_path / name / "checkpoint.safetensors")[0] for name in ("whole", "broken"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    averaged = load(str(tmp_path / "whole" / "model"), device="cpu", dtype="float32").unet.state_dict()
    last = {name.removeprefix("network.unet."): value for name, value in first.items() if name.startswith("network.unet.")}
    kept = {name.removeprefix("average.unet."): value for name, value in first.items() if name.startswith("average.unet.")}
    assert kept
    assert not all(torch.equal(last[name], value) for name, value in kept.items())
    for name, value in kept.items():
        torch.testing.assert_close(averaged[name].float(), value, atol=1e-3, rtol=1e-2)  # the average is what is shipped, in half
    card = json.loads((tmp_path / "whole" / "model" / "card.json").read_text())
    assert card["steps"] == 8
    assert card["batch"] == 4


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    config = TrainConfig(images=20 * 4, batch=4, warmup=3, learning_rate=1e-3)
    reports = list(train.train(config, tmp_path, compiled=False, report_every=5, save_every=100))
    assert reports[-1].loss < 0.85 * reports[0].loss


def test_training_can_start_from_another_model(tmp_path: Path) -> None:
    torch.manual_seed(5)
    create().save(tmp_path / "old", card={"steps": 3})
    config = TrainConfig(images=4, batch=4, learning_rate=0.0)
    list(train.train(config, tmp_path / "new", start_from=tmp_path / "old", compiled=False))
    old, new = (load(str(tmp_path / name), device="cpu", dtype="float32") for name in ("old", "new/model"))
    assert isinstance(old, PixelDenoiser)
    assert isinstance(new, PixelDenoiser)
    assert all(torch.equal(a, b) for a, b in zip(old.unet.parameters(), new.unet.parameters(), strict=True))
    assert json.loads((tmp_path / "new" / "model" / "card.json").read_text())["start_from"] == {"steps": 3}
    assert not [path for path in (tmp_path / "new" / "model").rglob("*.json") if str(tmp_path) in path.read_text()]


def test_what_is_saved_loads_as_any_pixel_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = create()
    model.save(tmp_path, card={"steps": 0})
    denoiser = load(str(tmp_path), device="cpu", dtype="float32")
    assert isinstance(denoiser, PixelDenoiser)
    assert denoiser.knows_cameras
    text = denoiser.encode_text([wording("a red car", None), wording("a red car", "back"), wording("", None)])
    assert text.shape == (3, 6, 128)
    assert not torch.equal(text[0], text[1])
    camera = orbit(1, size=64)
    noisy = torch.randn(1, 3, 64, 64)
    known, unknown = (denoiser.predict(noisy, torch.tensor([500]), text[:1], c) for c in (camera, None))
    assert known.shape == noisy.shape
    assert not torch.equal(known, unknown)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*")) < 30e6


def test_batches_hold_what_the_model_is_to_learn() -> None:
    config = TrainConfig(batch=64)
    drawn = [draw_batch(config, step) for step in range(8)]
    assert torch.equal(drawn[0].images, draw_batch(config, 0).images)
    words = [caption for batch in drawn for caption in batch.captions]
    rays, codes = (torch.cat([getattr(batch, name) for batch in drawn]) for name in ("rays", "views"))
    unknown = rays[:, 2:].abs().sum((1, 2, 3)) == 0
    assert torch.equal(unknown, codes.abs().sum(1) == 0)
    assert 0.05 < sum(word == EMPTY for word in words) / len(words) < 0.2
    assert 0.25 < float(unknown.float().mean()) < 0.45
    named = [word.split()[-1] for word in words if word != EMPTY]
    assert {"front", "side", "back", "overhead", "_"} == set(named)
    assert all(batch.images.min() >= -1 and batch.images.max() <= 1 for batch in drawn)


def test_pictures_that_workers_draw_are_the_same() -> None:
    config = TrainConfig(images=12, batch=4)
    drawn = list(batches(config, 1, workers=1))
    assert len(drawn) == 2
    for step, batch in enumerate(drawn, start=1):
        expected = draw_batch(config, step)
        assert batch.captions == expected.captions
        assert torch.equal(batch.images, expected.images)


def test_an_empty_prompt_is_six_blanks() -> None:
    assert wording("", None) == EMPTY
    assert wording("a red car", "side") == "red car _ _ _ side"


@pytest.fixture(scope="module")
def shipped() -> PixelDenoiser:
    denoiser = load(str(FOLDER), device="cpu")
    assert isinstance(denoiser, PixelDenoiser)
    return denoiser


def test_the_shipped_model_has_a_card_with_its_figures() -> None:
    card = json.loads((FOLDER / "card.json").read_text())
    assert {"noun", "view"} <= set(card["figures"])
    pictures = 0
    while card:  # the training that it begins with has its card inside
        pictures += card["steps"] * card["batch"]
        card = card.get("start_from")
    assert pictures > 50_000


def test_the_shipped_model_draws_the_side_it_is_asked_for(shipped: PixelDenoiser) -> None:
    """Each sample is nearest to the world's own picture from that side, of four."""
    azimuth, elevation = torch.tensor(evaluate.AZIMUTHS), torch.full((4,), evaluate.ELEVATION)
    for noun in ("dog", "car"):
        caption = read(f"a {noun}").caption
        assert caption is not None
        truth = train.draw([render.pack(scene.build(caption))] * 4, azimuth, elevation)
        samples = evaluate.sample(shipped, [caption] * 4, azimuth, elevation, seed=0)
        assert torch.cdist(samples.flatten(1), truth.flatten(1)).argmin(1).tolist() == [0, 1, 2, 3]


def test_the_shipped_model_paints_the_colour_it_is_asked_for(shipped: PixelDenoiser) -> None:
    captions = [read(f"a {color} {noun}").caption for color in ("red", "green", "blue") for noun in ("car", "chair")]
    azimuth = torch.full((6,), 45.0)
    samples = evaluate.sample(shipped, [c for c in captions if c], azimuth, torch.full((6,), 20.0), seed=0)
    brightest = [int((image.mean((1, 2))).argmax()) for image in samples]
    assert brightest == [0, 0, 1, 1, 2, 2]
