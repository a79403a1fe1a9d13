"""The planner on pipelines of known size: what it counts, what it gives up first, and that it never does so for nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from command import TINY, df3d
from df3d_diffusion import memory
from df3d_diffusion.config import SdsConfig
from df3d_diffusion.loading import load
from df3d_diffusion.sds import from_config

from df3d import Workload
from df3d.errors import ModelError
from df3d.plugin.catalog import Catalog
from df3d.recipe import recipe
from df3d.recipe.compose import compose
from df3d.recipe.memory import applied, fit_into, need, total
from df3d.recipe.plan import Plan
from df3d.recipe.settings import override, parse_setting


def planned(model: Path, *changes: str) -> Plan:
    catalog = Catalog.discover()
    settings = map(parse_setting, (f"guidance.model={model}", *changes))
    return compose(override(recipe.find("dreamfusion", catalog), settings, catalog), catalog)


def needed(plan: Plan) -> float:
    return total(need(plan.stages[0]))


def stage(model: Path, *changes: str) -> tuple[SdsConfig, Workload]:
    first = planned(model, *changes).stages[0]
    return first.guidance[0].config, first.cameras.plugin.ask("workload", first.cameras.config)  # type: ignore[return-value]


def test_weights_are_counted_from_the_files(stable_diffusion: Path) -> None:
    denoiser = load(str(stable_diffusion), device="cpu", dtype="float32")
    assert memory.parameters(stable_diffusion / "unet") == sum(p.numel() for p in denoiser.unet.parameters())


def test_with_enough_memory_nothing_is_given_up(stable_diffusion: Path) -> None:
    assert fit_into(planned(stable_diffusion), 80e9) == ([], [])


def test_renders_that_change_count_where_they_are_largest(stable_diffusion: Path) -> None:
    largest = needed(planned(stable_diffusion, "cameras.size=256"))
    assert needed(planned(stable_diffusion, "cameras.size={start=32,end=256}")) == largest
    assert needed(planned(stable_diffusion, "cameras.size={start=256,end=32}")) == largest
    assert needed(planned(stable_diffusion, "cameras.size=128")) < largest


def test_the_cheapest_is_given_up_first_and_only_as_much_as_needed(stable_diffusion: Path) -> None:
    plan = planned(stable_diffusion, "cameras.views=4", "cameras.size=256")
    budgets, found = [needed(plan)], []
    while True:
        try:
            settings, words = fit_into(plan, budgets[-1] * 0.999)
        except ModelError:
            break
        fitted = needed(applied(plan, settings))
        assert fitted <= budgets[-1]
        assert len(words) == len({word.split(":")[1] for word in words})
        found.append(dict(settings))
        budgets.append(fitted)
    assert found[0] == {"coarse.renderer.tile": 16384}
    assert [len(settings) for settings in found] == sorted(len(settings) for settings in found)
    last = {"renderer.tile": 1024, "guidance.sds.checkpoint_vae": True, "guidance.sds.at_once": 1}
    assert found[-1] == {f"coarse.{path}": value for path, value in last.items()}


def test_more_views_need_more_and_tiles_need_less(stable_diffusion: Path) -> None:
    few, many = (needed(planned(stable_diffusion, f"cameras.views={n}")) for n in (1, 8))
    assert many > few
    whole, tiled = (need(planned(stable_diffusion, "cameras.size=512", *more).stages[0]) for more in ((), ("renderer.tile=1024",)))
    assert tiled["renderer"].bytes < 0.1 * whole["renderer"].bytes
    assert tiled["guidance.sds"].bytes == whole["guidance.sds"].bytes


def test_the_estimate_for_stable_diffusion_is_what_is_known_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1.72 GB of UNet and 34 million parameters of encoder: 4.2 to 6 GB for one view at 64 x 64 (threestudio says 6)."""
    (tmp_path / "unet").mkdir()
    (tmp_path / "vae").mkdir()
    (tmp_path / "unet" / "config.json").write_text(json.dumps({"sample_size": 64, "block_out_channels": [320]}))
    (tmp_path / "vae" / "config.json").write_text(json.dumps({"block_out_channels": [128]}))
    sizes = {"unet": 859_520_964, "vae": 83_653_863}
    monkeypatch.setattr(memory, "parameters", lambda folder: sizes[folder.name])
    plan = planned(tmp_path)
    assert 4.2e9 < needed(plan) < 6e9
    settings, _ = fit_into(plan, 4e9)
    assert needed(applied(plan, settings)) <= 4e9


def test_a_surface_needs_its_grid_and_its_pixels_and_no_samples() -> None:
    """The fine stage of `magic3d` ran within 7.5 GB on a GPU, Stable Diffusion included."""
    catalog = Catalog.discover()

    def without_model(*settings: tuple[str, object]) -> float:
        plan = compose(override(recipe.find("magic3d", catalog), [*settings, ("guidance.use", "toybox")], catalog), catalog)
        return total(need(plan["fine"]))

    whole = without_model()
    assert 1e9 < whole < 4e9
    assert without_model(("fine.field.resolution", 64)) < 0.6 * whole


def test_a_run_fits_itself_and_goes_on_without_being_told_again(stable_diffusion: Path, tmp_path: Path) -> None:
    small = [setting for setting in TINY if "field.resolution" not in setting and "fit_steps" not in setting]
    run = ["generate", "a red car", "--recipe=dreamfusion", f"--set=guidance.model={stable_diffusion}", *small, "--out=run"]
    bytes_ = needed(planned(stable_diffusion, *(s.removeprefix("--set=") for s in small if s.startswith("--set="))))
    done = df3d(*run, f"--vram={bytes_ * 0.9999 / 1e6:.6f}M", where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "note: stage coarse, to fit into" in done.stderr
    assert "tile = 1024" in (tmp_path / "run" / "run.toml").read_text()
    again = df3d(*run, where=tmp_path)
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("size", "message"), [("8", "`8` is not a size"), ("much", "is not a size"), ("0G", "is not a size"), ("1M", "at the least")]
)
def test_what_cannot_fit_is_one_line_and_a_hint(stable_diffusion: Path, tmp_path: Path, size: str, message: str) -> None:
    done = df3d(
        *("generate", "a red car", "--recipe=dreamfusion", f"--set=guidance.model={stable_diffusion}", f"--vram={size}"),
        where=tmp_path,
    )
    assert done.returncode == 1
    error, hint = done.stderr.strip().splitlines()[-2:]
    assert message in error
    assert hint.startswith("hint: ")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("damage", ["unet/config.json", "unet/diffusion_pytorch_model.safetensors"])
def test_a_damaged_folder_is_one_clear_error_before_anything_is_loaded(stable_diffusion: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(stable_diffusion, folder)
    (folder / damage).write_bytes(b"no")
    with pytest.raises(ModelError, match="is damaged"):
        memory.memory(*stage(folder))


def test_when_memory_runs_out_the_encoder_keeps_less_first(stable_diffusion: Path) -> None:
    guidance = from_config(SdsConfig(model=str(stable_diffusion), dtype="float32"))
    assert "encoder keeps less" in guidance.save_memory()
    assert guidance.denoiser.vae.is_gradient_checkpointing  # type: ignore[attr-defined]
    assert guidance.save_memory() == "asking the model about 1 image at a time"
    assert guidance.save_memory() == ""


def test_a_checkpointed_encoder_gives_the_same_gradient(stable_diffusion: Path) -> None:
    import torch

    gradients = []
    for saving in (False, True):
        denoiser = load(str(stable_diffusion), device="cpu", dtype="float32", checkpoint_vae=saving)
        images = torch.rand(1, 16, 16, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
        denoiser.encode_images(images).square().sum().backward()
        gradients.append(images.grad)
    torch.testing.assert_close(*gradients)


def test_a_compiled_model_predicts_the_same(stable_diffusion: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as torch captures it: what its C++ compiler then makes of it is torch's own, and takes minutes."""
    import torch

    captured = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        captured.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    denoiser = load(str(stable_diffusion), device="cpu", dtype="float32")
    size = denoiser.unet.config.sample_size
    noisy, at = torch.rand(1, 4, size, size), torch.tensor([500])
    text = denoiser.encode_text(["a red car"])
    with torch.no_grad():
        before = denoiser.predict(noisy, at, text, None)
        denoiser.compile()
        torch.testing.assert_close(denoiser.predict(noisy, at, text, None), before, atol=1e-4, rtol=1e-3)
    assert captured


GB = 1e9
SD = {"sample_size": 64, "block_out_channels": [320]}


def estimated(
    folder: Path, patch: pytest.MonkeyPatch, work: Workload, *, unet: dict[str, Any] = SD, vae: dict[str, Any] | None = None,
    **options: object,
) -> tuple[float, float]:  # fmt: skip
    """In GB, for a network of a hundred million numbers and a VAE of ten million."""
    for name, table in (("unet", unet), ("vae", {"block_out_channels": [128, 1, 1, 1], **(vae or {})})):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "config.json").write_text(json.dumps(table))
    patch.setattr(memory, "parameters", lambda place: {"unet": 100_000_000, "vae": 10_000_000}[place.name])
    weights, activations = memory.estimate(SdsConfig(model=str(folder), **options), work)  # type: ignore[arg-type]
    return round(weights / GB, 6), round(activations / GB, 6)


@pytest.mark.parametrize(
    ("views", "options", "activations"),
    [
        (1, {}, 2 * 0.25 + 1.25),  # with text and without, and the encoder
        (4, {}, 8 * 0.25 + 4 * 1.25),
        (1, {"view_texts": "perp-neg"}, 4 * 0.25 + 1.25),
        (4, {"at_once": 3}, 3 * 0.25 + 1.25),
        (1, {"at_once": 16}, 2 * 0.25 + 1.25),  # more than there are
        (1, {"objective": "vsd"}, 2 * 0.25 + 2.0 + 1.25),
        (3, {"objective": "esd"}, 6 * 0.25 + 3 * 2.0 + 3 * 1.25),
        (1, {"checkpoint_vae": True}, 2 * 0.25 + 0.45),
        (1, {"size": 1024}, 4 * (2 * 0.25 + 1.25)),
        (1, {"dtype": "float32"}, 2 * (2 * 0.25 + 1.25)),
        (1, {"unet": {**SD, "block_out_channels": [640]}}, 2 * 2 * 0.25 + 1.25),
        (1, {"unet": {"image_size": 32, "model_channels": 320}}, (2 * 0.25 + 1.25) / 4),  # MVDream's authors call it so
        (1, {"vae": {"force_upcast": True}}, 2 * 0.25 + 2 * 1.25),
        (1, {"vae": {"_class_name": "AutoencoderTiny", "block_out_channels": [64] * 4}}, 2 * 0.25 + 0.4),
        (1, {"vae": {"block_out_channels": [256] * 4}}, 2 * 0.25 + 2 * 1.25),
    ],
)
def test_activations_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, views: int, options: dict[str, Any], activations: float
) -> None:
    assert estimated(tmp_path, monkeypatch, Workload(views, 64), **options)[1] == pytest.approx(activations)


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        ({}, 0.2 + 0.01),  # two bytes a number; of the VAE the encoder, which is half
        ({"dtype": "float32"}, 0.4 + 0.02),
        ({"vae": {"force_upcast": True}}, 0.2 + 0.02),
    ],
)
def test_weights_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], weights: float) -> None:
    assert estimated(tmp_path, monkeypatch, Workload(1, 64), **options)[0] == pytest.approx(weights)


def test_what_can_be_given_up_by_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cheapest first; nothing that is given up already, and the small VAE only where it is on disk and fits."""
    estimated(tmp_path, monkeypatch, Workload(1, 64))
    monkeypatch.setattr(memory, "resolve", lambda model: tmp_path / "vae" if model == "another" else tmp_path)

    def given_up(views: int, *, here: bool = True, **options: object) -> list[dict[str, object]]:
        monkeypatch.setattr(memory, "on_disk", lambda hub: tmp_path if here else None)
        found = memory.memory(SdsConfig(**options), Workload(views, 64))  # type: ignore[arg-type]
        assert "its weights alone are 0.2 GB" in found.hint
        return [dict(saving.settings) for saving in found.savings]

    vae, rows, small = {"checkpoint_vae": True}, {"at_once": 1}, {"vae": "taesd"}
    assert given_up(1, model="sd15") == [vae, rows, small]
    assert given_up(4, model="sd21") == [vae, rows, small]
    assert given_up(1, model="sd15", here=False) == [vae, rows]
    assert given_up(1, model="sdxl") == [vae, rows]
    assert given_up(1, model="sd15", at_once=1, checkpoint_vae=True) == [small]
    assert given_up(1, model="sd15", vae="another") == [vae, rows]
