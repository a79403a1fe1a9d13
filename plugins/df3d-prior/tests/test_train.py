"""Training: that it goes on bit for bit, that it learns, what it leaves behind, and what is said of bad input."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import shelf
import torch
from command import df3d
from df3d_diffusion.conditioning import SKETCH, SKETCH_CHANNELS, with_sketches
from df3d_prior import figures, lesson, model, train
from df3d_prior.cli import _pictures_in
from df3d_prior.config import PriorConfig, TrainConfig
from df3d_prior.guidance import from_config
from df3d_prior.library import load
from df3d_prior.memory import MemorySource
from df3d_prior.sources import LibrarySource
from df3d_prior.train import batches, draw_batch
from df3d_prior.words import BLANK, EMPTY, RELATIONS, VIEWS
from df3d_toybox.world.source import WorldSource

from df3d.errors import ConfigError, ModelError, RunError, Stopped
from df3d.prompt import Prompt
from df3d.scene.cameras import orbit
from df3d.system.tensors import read_tensors

TINY = TrainConfig(images=6 * 4, batch=4, warmup=2, memories=2)


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Networks of a tenth of the size: what is tested here does not depend on it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "CHANNELS", (32, 32, 64))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shelf.make(tmp_path_factory.mktemp("library"))


@pytest.fixture
def prepared(folder: Path) -> lesson.Lesson:
    return lesson.prepare(load(folder), "none", TINY)


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prior of a few steps."""
    out = tmp_path_factory.mktemp("prior")
    begun = lesson.prepare(load(folder), "none", TINY)
    list(
        train.train(
            TINY, begun.mix, begun.model, out, card=begun.card, compiled=False, also=lambda place: lesson.finish(begun, place)
        )
    )
    return out


def run(folder: Path, out: Path, stop: int | None = None) -> list[train.Progress]:
    begun = lesson.prepare(load(folder), "none", TINY)
    reports = []
    for report in train.train(TINY, begun.mix, begun.model, out, compiled=False, report_every=1, save_every=3):
        reports.append(report)
        if report.step == stop:
            break
    return reports


def test_training_goes_on_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    whole = run(folder, tmp_path / "whole")
    assert [report.step for report in whole] == list(range(1, 7))
    run(folder, tmp_path / "broken", stop=5)  # the checkpoint is that of step 3
    resumed = run(folder, tmp_path / "broken")
    assert [report.loss for report in resumed] == [report.loss for report in whole[3:]]
    first, second = (read_tensors(tmp_path / name / "checkpoint.safetensors")[0] for name in ("whole", "broken"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_training_that_is_stopped_is_saved_and_goes_on_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    whole, stop = run(folder, tmp_path / "whole"), Event()
    begun = lesson.prepare(load(folder), "none", TINY)
    reports = train.train(TINY, begun.mix, begun.model, tmp_path / "stopped", compiled=False, stop=stop, report_every=1)
    next(reports)
    stop.set()
    with pytest.raises(Stopped, match="step 1 of 6"):
        next(reports)
    assert [report.loss for report in run(folder, tmp_path / "stopped")] == [report.loss for report in whole[1:]]


def test_a_training_of_another_library_does_not_go_on(folder: Path, tmp_path: Path) -> None:
    library, less = load(folder), load(folder)
    del less.entries[-1], less.objects[-1]
    begun = lesson.prepare(library, "none", TINY)
    list(train.train(TINY, begun.mix, begun.model, tmp_path, compiled=False, about=lesson.about(library, "none")))
    train.check_folder(tmp_path, lesson.about(load(folder), "none"))
    for other, start in ((less, "none"), (library, "shipped")):
        with pytest.raises(ConfigError, match="is of another library, or began with another prior"):
            train.check_folder(tmp_path, lesson.about(other, start))


@pytest.mark.parametrize("name", ["model/level1.txt", "samples.png"])
def test_what_no_training_left_is_not_written_over(name: str, tmp_path: Path) -> None:
    shelf.make(tmp_path / "library")
    mine = tmp_path / "game" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    done = df3d("prior", "train", "library", "--images", "64", "--out", "game", where=tmp_path)
    assert done.returncode != 0
    assert "and no training that left it" in done.stderr
    assert mine.read_text() == "mine"


def test_training_lowers_the_loss(folder: Path, tmp_path: Path) -> None:
    config = replace(TINY, images=24 * 4, learning_rate=1e-3, warmup=3)
    begun = lesson.prepare(load(folder), "none", config)
    reports = list(train.train(config, begun.mix, begun.model, tmp_path, compiled=False, report_every=6, save_every=100))
    assert reports[-1].loss < 0.85 * reports[0].loss


def test_a_batch_holds_what_the_model_is_to_learn(prepared: lesson.Lesson) -> None:
    config = replace(TINY, images=640, batch=64, small=0.5)
    mix = train.Mix((*prepared.mix.sources, WorldSource()), (0.5, 0.5), prepared.mix.sketches)
    drawn = [draw_batch(config, mix, step) for step in (0, 8, 9)]
    assert torch.equal(drawn[0].images, draw_batch(config, mix, 0).images)
    assert [batch.images.shape[-1] for batch in drawn] == [32, 64, 64]
    words = [caption for batch in drawn for caption in batch.captions]
    rays, codes, sketches = (torch.cat([getattr(batch, name) for batch in drawn[1:]]) for name in ("rays", "views", "sketches"))
    unknown = rays[:, 2:].abs().sum((1, 2, 3)) == 0
    assert torch.equal(unknown, codes.abs().sum(1) == 0)
    assert not (unknown & (sketches.abs().sum((1, 2, 3, 4)) > 0)).any()  # a sketch is seen from somewhere
    assert 0.02 < sum(word == EMPTY for word in words) / len(words) < 0.2
    relations = {word.split()[2] for word in words}
    assert relations >= {BLANK, "on", "beside"}
    assert relations <= {BLANK, *RELATIONS}
    assert {word.split()[-1] for word in words} <= {BLANK, *VIEWS}
    assert all(batch.images.min() >= -1 and batch.images.max() <= 1 for batch in drawn)


def test_pictures_that_are_drawn_ahead_are_the_same(prepared: lesson.Lesson) -> None:
    ahead = list(batches(TINY, prepared.mix, 1, workers=2))
    assert len(ahead) == TINY.steps - 1
    for step, batch in enumerate(ahead, start=1):
        expected = draw_batch(TINY, prepared.mix, step)
        assert batch.captions == expected.captions
        assert torch.equal(batch.images, expected.images)
        assert torch.equal(batch.sketches, expected.sketches)


def test_what_is_left_can_be_asked_and_loads_as_any_pixel_model(trained: Path) -> None:
    guidance = from_config(PriorConfig(model=str(trained), dtype="float32"))
    assert guidance.index.nouns == [noun for _, noun, *_ in shelf.OBJECTS]
    encoded = guidance.encode(Prompt("a yellow ball on a table"))
    views = orbit(3, size=64)
    texts = guidance.texts(views, encoded, told=True).text
    assert texts.shape == (3, 6 + 64, 128)
    assert not torch.equal(texts[0], texts[1])  # each camera has its own sketch
    noisy = torch.randn(3, 3, 64, 64)
    predicted = guidance.denoiser.predict(noisy, torch.tensor([500] * 3), texts, views)
    assert predicted.shape == noisy.shape
    assert torch.isfinite(predicted).all()
    card = json.loads((trained / "model" / "card.json").read_text())
    assert (card["steps"], card["library"]) == (6, len(shelf.OBJECTS))
    assert not [path for path in (trained / "model").rglob("*.json") if str(trained) in path.read_text()]


def test_a_prior_is_trained_further_and_keeps_what_it_knew(trained: Path, tmp_path: Path) -> None:
    more = shelf.make(tmp_path / "more")
    (more / "captions.csv").write_text("path,noun,caption\nred_box.glb,chest,a red chest\n")
    config = replace(TINY, images=64, memories=4)
    begun = lesson.prepare(load(more), str(trained), config)
    assert begun.index.nouns == ["chest", *(noun for _, noun, *_ in shelf.OBJECTS)]
    assert begun.card["start_from"]["steps"] == 6
    library, *_, memory = begun.mix.sources
    assert isinstance(library, LibrarySource)
    assert isinstance(memory, MemorySource)
    drawn = memory.draw(np.random.default_rng(0), 5, 32)
    assert drawn.images.shape == (5, 32, 32, 3)
    assert {caption.subject.word for caption in drawn.captions} <= set(begun.mix.sketches.objects)


def test_own_objects_take_the_place_of_others(trained: Path, folder: Path) -> None:
    begun = lesson.prepare(load(folder), str(trained), TINY)
    assert begun.index.nouns == [noun for _, noun, *_ in shelf.OBJECTS]
    assert len(begun.index.objects) == len(shelf.OBJECTS)
    assert not set(begun.mix.sketches.objects) & {"box/0", "ball/0"}  # new words for new objects


def test_what_is_remembered_has_not_been_replaced(trained: Path, tmp_path: Path) -> None:
    """A box of one's own takes the place of the prior's, which then is none of its memories."""
    folder = shelf.make(tmp_path / "more")
    (folder / "captions.csv").write_text("path,noun,caption\nred_box.glb,box,a red box\n")
    config = replace(TINY, images=512, memories=32)
    begun = lesson.prepare(load(folder), str(trained), config)
    for step in range(20):
        draw_batch(config, begun.mix, step)
    memory = begun.mix.sources[-1]
    assert isinstance(memory, MemorySource)
    assert {caption.subject.word for caption in memory.drawn.captions} == {"ball/0", "post/0", "table/0"}


def test_the_world_alone_is_learned_from_nothing() -> None:
    begun = lesson.prepare(None, "none", TINY)
    assert [type(source) for source in begun.mix.sources] == [WorldSource]
    assert {"dog", "surfboard"} <= set(begun.model.words)
    assert all(one.own for one in begun.index.objects)
    words = {word for step in range(4) for caption in draw_batch(TINY, begun.mix, step).captions for word in caption.split()}
    assert words <= set(begun.model.words)


def test_an_untrained_prior_knows_little(folder: Path, tmp_path: Path) -> None:
    begun = lesson.prepare(load(folder), "none", TINY)
    begun.model.save(tmp_path, card={})
    lesson.finish(begun, tmp_path)
    found = figures.measure(tmp_path, begun, picture=tmp_path / "samples.png")
    assert set(found) == {"learned"}
    assert found["learned"] < 0.7
    assert (tmp_path / "samples.png").is_file()


def test_one_object_is_a_library_too(tmp_path: Path) -> None:
    folder = shelf.make(tmp_path / "one")
    (folder / "captions.csv").write_text("path,noun,caption\nred_box.glb,box,a red box\n")
    begun = lesson.prepare(load(folder), "none", TINY)
    batch = draw_batch(TINY, begun.mix, 0)
    assert torch.isfinite(batch.images).all()
    assert torch.isfinite(batch.sketches).all()


def test_another_training_does_not_go_on_in_the_same_folder(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path)
    begun = lesson.prepare(load(folder), "none", TINY)
    with pytest.raises(ConfigError, match="has batch 4, and not 2"):
        next(train.train(replace(TINY, batch=2), begun.mix, begun.model, tmp_path, compiled=False))


def test_a_damaged_checkpoint_and_a_damaged_prior_are_said_to_be_so(folder: Path, trained: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "run")
    state = tmp_path / "run" / "checkpoint.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(RunError, match="cannot be read"):
        run(folder, tmp_path / "run")
    with pytest.raises(ModelError, match="no prior"):
        lesson.prepare(load(folder), str(tmp_path / "nowhere"), TINY)
    torn = Path(shutil.copytree(trained, tmp_path / "torn"))
    weights = torn / "model" / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(ModelError, match="cannot be read"):
        lesson.prepare(load(folder), str(torn), TINY)


def test_a_full_disk_costs_nothing_that_was_saved(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(folder, tmp_path, stop=4)
    kept = read_tensors(tmp_path / "checkpoint.safetensors")[1]["step"]

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model.Model, "save", full)
    with pytest.raises(RunError, match="No space left") as error:
        run(folder, tmp_path)
    assert error.value.hint
    monkeypatch.undo()
    assert int(read_tensors(tmp_path / "checkpoint.safetensors")[1]["step"]) >= int(kept)
    assert (tmp_path / "model" / "model_index.json").is_file()
    assert run(folder, tmp_path)[-1].step == TINY.steps


def test_a_training_whose_first_checkpoint_did_not_fit_can_begin_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same folder: nothing half done is left in it."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(train, "write_tensors", full)
    with pytest.raises(RunError, match="No space left"):
        run(folder, tmp_path)
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    assert run(folder, tmp_path)[-1].step == TINY.steps


def test_a_finished_training_whose_model_is_gone_writes_it_again(folder: Path, tmp_path: Path) -> None:
    """As one does that was killed before it could."""
    run(folder, tmp_path)
    before = {path.name: path.read_bytes() for path in (tmp_path / "model" / "unet").iterdir()}
    shutil.rmtree(tmp_path / "model")
    assert not run(folder, tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / "model" / "unet").iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("library", "--minutes", "0"), "`--minutes 0` is no time to learn anything"),
        (("library", "--minutes", "1", "--images", "64"), "say the same thing twice"),
        (("empty",), "there is no `captions.csv`"),
        (("nowhere",), "there is no folder `nowhere`"),
        (("header",), "has no row"),
        (("semicolons",), "has no column `caption`: its first line holds `path;noun;caption`"),
        (("library", "--images", "32", "--batch", "64"), "a batch must be at least 1 and at most the number of images"),
        (("library", "--start-from", "nowhere"), "there is no prior `nowhere`"),
        (("library", "--out", "library/captions.csv"), "is a file"),
    ],
)
def test_bad_input_gets_one_sentence(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    shelf.make(tmp_path / "library")
    (tmp_path / "empty").mkdir()
    for name, text in (("header", "path,noun,caption\n"), ("semicolons", "path;noun;caption\na.glb;box;a box\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "captions.csv").write_text(text)
    done = df3d("prior", "train", *arguments, where=tmp_path)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "hint:" in done.stderr


def test_the_command_trains_draws_and_makes(folder: Path, tmp_path: Path) -> None:
    done = df3d(
        "prior", "train", str(folder), "--start-from", "none", "--images", "32", "--batch", "8", "--device", "cpu", where=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "prior/model"
    assert "4 objects, 4 nouns" in done.stderr
    assert "no caption" not in done.stderr
    assert "learned 0." in done.stderr or "learned 1." in done.stderr
    assert (tmp_path / "prior" / "samples.png").is_file()
    drawn = df3d("prior", "draw", "a ball on a table", "--prior", "prior", "--device", "cpu", where=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "prior.png").is_file()
    refused = df3d("generate", "the of", "--prior", "prior", "--recipe", "toybox", where=tmp_path)
    assert "the prior knows no object" in refused.stderr
    (tmp_path / "list.txt").write_text("a yellow box\na katana\n")
    batch = df3d("batch", "list.txt", "--out", "many", "--prior", "prior", "--recipe", "toybox", "--dry-run", where=tmp_path)
    assert "line 2: the prior knows no object in `a katana`" in batch.stderr  # the shipped one knows it
    made = df3d(
        "generate", "a yellow box", "--prior", "prior", "--recipe", "toybox", "--steps", "1", "--out", "run", where=tmp_path
    )
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "run" / "asset.glb").is_file()


def test_minutes_for_a_training_that_is_finished_say_how_to_train_further(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "card.json").write_text('{"images": 4160}')
    prepared = lesson.prepare(load(folder), "none", TINY)
    assert _pictures_in(30.0, TINY, prepared, tmp_path, "cpu", False) == 4160
    said = capsys.readouterr().err
    assert f"the training in {tmp_path} is finished, with 4,160 pictures" in said
    assert f"--start-from {tmp_path} --out ANOTHER" in said


def test_four_views_of_an_object_are_learned_together(tmp_path: Path) -> None:
    """They have one caption, dropped or not, and one timestep; what is left denoises them together."""
    config = replace(TINY, images=16, batch=8, drop_camera=0.0, drop_text=0.5)
    begun = lesson.prepare(None, "none", config)
    begun.model.join(4)
    mix = replace(begun.mix, sources=(WorldSource(views=4),), shares=(1.0,), views=4)
    batches = [draw_batch(config, mix, step) for step in range(8)]
    captions = [batch.captions[i : i + 4] for batch in batches for i in (0, 4)]
    dropped = [[caption == EMPTY for caption in four] for four in captions]
    assert {tuple(four) for four in dropped} == {(True,) * 4, (False,) * 4}
    also = partial(lesson.finish, begun)
    list(train.train(config, mix, begun.model, tmp_path, also=also, compiled=False))
    assert model.read(tmp_path / "model").views == 4
    denoiser = from_config(PriorConfig(model=str(tmp_path / "model"), dtype="float32")).denoiser
    assert denoiser.group == 4
    text = with_sketches(denoiser.encode_text([EMPTY] * 4), torch.zeros(4, model.SKETCHES, SKETCH_CHANNELS, SKETCH, SKETCH))
    noisy, cameras = torch.randn(4, 3, 64, 64), orbit(4, size=64)
    changed = torch.cat([noisy[:3], torch.randn(1, 3, 64, 64)])
    with torch.no_grad():
        told = [denoiser.predict(rows, torch.full((4,), 500), text, cameras)[0] for rows in (noisy, changed)]
        untold = [denoiser.predict(rows, torch.full((4,), 500), text, None)[0] for rows in (noisy, changed)]
    assert not torch.equal(*told)  # the first view has looked at the fourth
    assert torch.equal(*untold)
