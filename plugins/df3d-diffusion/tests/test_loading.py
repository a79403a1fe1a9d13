"""Real loaders on small random-weight pipelines, made from configs and written to disk."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import diffusers
import pytest
import torch
from df3d_diffusion import folder as files
from df3d_diffusion.config import SdsConfig
from df3d_diffusion.latent import LatentDenoiser
from df3d_diffusion.loading import load
from df3d_diffusion.networks import pack, vae_of, whole
from df3d_diffusion.noising import to_noise
from df3d_diffusion.pixel import PixelDenoiser, shuffle, unshuffle
from df3d_diffusion.sds import from_config
from df3d_diffusion.text import fingerprint
from diffusers import AutoencoderKL, AutoencoderTiny, DDPMScheduler, UNet2DConditionModel
from pipelines import write_pipeline, write_single_file, write_taesd
from safetensors.torch import save_file
from transformers import AutoTokenizer, CLIPTextModel, T5EncoderModel

from df3d.errors import ModelError
from df3d.prompt import Prompt
from df3d.scene.cameras import orbit
from df3d.schedule import Step
from df3d.types import RenderOutput

FAMILIES = {"stable_diffusion": LatentDenoiser, "stable_diffusion_xl": LatentDenoiser, "deepfloyd": PixelDenoiser}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_pipeline_guides_a_render(family: str, dtype: str, request: pytest.FixtureRequest) -> None:
    guidance = from_config(SdsConfig(model=str(request.getfixturevalue(family)), dtype=dtype))  # type: ignore[arg-type]
    encoded = guidance.encode(Prompt("a red car", "ugly"))
    images = torch.rand(3, 24, 24, 3, requires_grad=True)
    guided = guidance.step(RenderOutput(images, images[..., :1]), orbit(3, size=24), encoded, Step(0, 10))
    guided.loss.backward()
    assert torch.isfinite(guided.loss)
    assert images.grad is not None
    assert torch.isfinite(images.grad).all()
    assert images.grad.abs().sum() > 0
    denoiser = guidance.denoiser
    assert isinstance(denoiser, FAMILIES[family])
    assert all(p.grad is None and not p.requires_grad for p in denoiser.unet.parameters())
    assert encoded.views["front"].shape == {"stable_diffusion_xl": (1, 78, 32)}.get(family, (1, 77, 16))
    assert not torch.equal(encoded.views["front"], encoded.views["back"])


def test_a_text_is_encoded_once_and_then_read(stable_diffusion: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(str(stable_diffusion), device="cpu", dtype="float32").encode_text(["a red car", "", "a red car"])
    again = load(str(stable_diffusion), device="cpu", dtype="float32")
    monkeypatch.setattr(CLIPTextModel, "from_pretrained", lambda *a, **k: pytest.fail("the encoder was loaded"))
    assert torch.equal(again.encode_text(["", "a red car"]), first[[1, 0]])
    with pytest.raises(pytest.fail.Exception):
        again.encode_text(["a blue car"])


def test_a_damaged_or_unwritable_text_cache_costs_nothing_but_time(
    stable_diffusion: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    denoiser = load(str(stable_diffusion), device="cpu", dtype="float32")
    first = denoiser.encode_text(["a red car"])
    (kept,) = (own_cache / "text").iterdir()
    kept.write_bytes(b"no")
    assert torch.equal(denoiser.encode_text(["a red car"]), first)
    monkeypatch.setattr("df3d_diffusion.text.write_tensors", lambda *a, **k: (_ for _ in ()).throw(OSError("disk full")))
    assert torch.equal(denoiser.encode_text(["a blue car"]), denoiser.encode_text(["a blue car"]))


def test_the_texts_are_the_pipelines_own(stable_diffusion_xl: Path, deepfloyd: Path) -> None:
    """Against diffusers' own pipelines of the same folders."""
    xl = diffusers.StableDiffusionXLPipeline.from_pretrained(stable_diffusion_xl)
    states, _, pooled, _ = xl.encode_prompt("a red car", do_classifier_free_guidance=False)
    found = load(str(stable_diffusion_xl), device="cpu", dtype="float32").encode_text(["a red car"])
    torch.testing.assert_close(found[:, :-1], states)
    torch.testing.assert_close(found[:, -1, :16], pooled)
    # without a negative prompt the pipeline takes zeros for it
    _, nothing, _, pooled_nothing = xl.encode_prompt("a red car", do_classifier_free_guidance=True)
    empty = load(str(stable_diffusion_xl), device="cpu", dtype="float32").encode_text([""])
    torch.testing.assert_close(empty[:, :-1], nothing)
    torch.testing.assert_close(empty[:, -1, :16], pooled_nothing)
    tokenizer, encoder = (
        AutoTokenizer.from_pretrained(deepfloyd / "tokenizer"),
        T5EncoderModel.from_pretrained(deepfloyd / "text_encoder"),
    )
    pipeline = diffusers.IFPipeline(tokenizer, encoder, UNet2DConditionModel.from_pretrained(deepfloyd / "unet"),
                                    DDPMScheduler(), None, None, None, requires_safety_checker=False)  # fmt: skip
    expected, _ = pipeline.encode_prompt("A red car ", do_classifier_free_guidance=False)
    torch.testing.assert_close(load(str(deepfloyd), device="cpu", dtype="float32").encode_text(["A red car "]), expected)


def test_xl_is_told_its_size_and_the_pooled_text(stable_diffusion_xl: Path) -> None:
    denoiser = load(str(stable_diffusion_xl), device="cpu", dtype="float32")
    unet = UNet2DConditionModel.from_pretrained(stable_diffusion_xl / "unet")
    text, noisy, timestep = denoiser.encode_text(["a red car"]), torch.randn(1, 4, 8, 8), torch.tensor([400])
    extra = {"text_embeds": text[:, -1, :16], "time_ids": torch.tensor([[16.0, 16, 0, 0, 16, 16]])}
    expected = unet(noisy, timestep, text[:, :-1], added_cond_kwargs=extra).sample
    torch.testing.assert_close(denoiser.predict(noisy, timestep, text, None), expected, atol=1e-5, rtol=1e-5)


def test_another_vae_can_take_the_place_of_the_pipelines(stable_diffusion: Path, tmp_path: Path) -> None:
    tiny = write_taesd(tmp_path / "taesd")
    denoiser = load(str(stable_diffusion), device="cpu", dtype="float32", vae=str(tiny), checkpoint_vae=True)
    images = torch.rand(2, 16, 16, 3)
    expected = AutoencoderTiny.from_pretrained(tiny).encode(images.permute(0, 3, 1, 2) * 2 - 1).latents
    found = denoiser.encode_images(images.requires_grad_())  # with a gradient, for which it is asked to keep less, and must not
    torch.testing.assert_close(found.detach(), expected, atol=1e-5, rtol=1e-5)


def test_half_precision_files_serve_where_there_are_no_others(tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path, "sd", variant="fp16")
    assert not (folder / "unet" / "diffusion_pytorch_model.safetensors").exists()
    assert load(str(folder), device="cpu").encode_text(["a red car"]).shape == (1, 77, 16)


def test_matrices_can_be_kept_as_bytes(deepfloyd: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(deepfloyd / "unet", tmp_path / "unet"))
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    pack(folder)
    assert sum(path.stat().st_size for path in folder.glob("*.safetensors")) < 0.35 * size  # of four bytes a number
    old, new = (dict(whole(place, UNet2DConditionModel).named_parameters()) for place in (deepfloyd / "unet", folder))
    for name, weight in old.items():
        step = weight.flatten(1).abs().amax(1) / 127 if weight.ndim > 1 else torch.zeros(1)
        error = (new[name] - weight).flatten(1).abs().amax(1) if weight.ndim > 1 else (new[name] - weight).abs()
        assert (error <= 0.51 * step + 1e-6).all(), name


def test_the_prediction_is_the_pipelines_own(stable_diffusion: Path) -> None:
    """Against the UNet called by hand: scaled latents in, noise out, text in its place."""
    denoiser = load(str(stable_diffusion), device="cpu", dtype="float32")
    assert isinstance(denoiser, LatentDenoiser)
    images = torch.rand(1, 16, 16, 3)
    latents = denoiser.encode_images(images)
    vae = AutoencoderKL.from_pretrained(stable_diffusion / "vae")
    expected = vae.encode(images.permute(0, 3, 1, 2) * 2 - 1).latent_dist.mode() * 0.18215
    torch.testing.assert_close(latents, expected, atol=1e-5, rtol=1e-5)
    unet = UNet2DConditionModel.from_pretrained(stable_diffusion / "unet")
    text, timestep = torch.randn(1, 77, 16), torch.tensor([400])
    torch.testing.assert_close(
        denoiser.predict(latents, timestep, text, None), unet(latents, timestep, text).sample, atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(denoiser.alphas_cumprod[0], torch.tensor(1 - 0.00085), atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_every_prediction_stands_for_the_same_noise(kind: str) -> None:
    torch.manual_seed(0)
    clean, noise, alphabar = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4), torch.tensor([0.9, 0.2])[:, None, None, None]
    a, s = alphabar.sqrt(), (1 - alphabar).sqrt()
    prediction = {"epsilon": noise, "v_prediction": a * noise - s * clean, "sample": clean}[kind]
    torch.testing.assert_close(to_noise(prediction, a * clean + s * noise, alphabar, kind), noise, atol=1e-5, rtol=1e-4)


def test_unshuffle_loses_nothing() -> None:
    images = torch.rand(2, 3, 8, 8)
    assert unshuffle(images, 2).shape == (2, 12, 4, 4)
    assert torch.equal(shuffle(unshuffle(images, 2), 2), images)
    assert torch.equal(shuffle(unshuffle(images, 1), 1), images)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "model_index.json").unlink(), "it has no model_index.json"),
        (lambda f: (f / "model_index.json").write_text("{"), "is damaged"),
        (lambda f: shutil.rmtree(f / "unet"), "lacks `unet/`"),
        (
            lambda f: (f / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"no"),
            "unet/diffusion_pytorch_model.safetensors` is damaged",
        ),
        (lambda f: (f / "unet" / "diffusion_pytorch_model.safetensors").unlink(), "unet` holds no weights in .safetensors"),
        (lambda f: (f / "text_encoder" / "model.safetensors").write_bytes(b"no"), "text_encoder/model.safetensors` is damaged"),
        (lambda f: (f / "vae" / "config.json").write_text("{"), "vae/config.json` is damaged"),
        (lambda f: (f / "scheduler" / "scheduler_config.json").unlink(), "scheduler` cannot be loaded"),
        (
            lambda f: (f / "text_encoder" / "config.json").write_text('{"architectures": ["Evil"]}'),
            "is a Evil, which df3d does not know",
        ),
    ],
)
def test_a_folder_that_is_not_whole_says_what_is_wrong(
    stable_diffusion: Path, tmp_path: Path, damage: object, message: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(stable_diffusion, folder)
    damage(folder)  # type: ignore[operator]
    with pytest.raises(ModelError) as error:
        load(str(folder), device="cpu").encode_text(["a red car"])
    assert message in error.value.message
    assert error.value.hint


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("unet", {"quantization_config": {"quant_method": "bitsandbytes"}}, "asks for `quantization_config`"),
        ("text_encoder", {"auto_map": {"AutoModel": "code.Model"}}, "asks for `auto_map`"),
        ("text_encoder", {"num_hidden_layers": 10**9}, "`num_hidden_layers` cannot be 1e\\+09"),
        ("unet", {"layers_per_block": 10**400}, "`layers_per_block` cannot be inf"),
        ("unet", {"block_out_channels": [32, 16384]}, "holds .* numbers, and its configuration asks for"),
        ("text_encoder", {"hidden_size": 60_000, "num_attention_heads": 1}, "holds .* numbers, and its configuration asks for"),
        ("vae", {"latent_channels": "four"}, "vae` cannot be loaded"),
        ("unet", {"block_out_channels": {"a": 1}}, "unet` cannot be loaded"),
    ],
)
def test_a_configuration_brings_no_code_and_no_size_of_its_own(
    stable_diffusion: Path, tmp_path: Path, part: str, values: dict[str, object], message: str
) -> None:
    folder = shutil.copytree(stable_diffusion, tmp_path / "model")
    change(folder / part / "config.json", **values)
    with pytest.raises(ModelError, match=message):
        load(str(folder), device="cpu").encode_text(["a text that no cache has"])


def test_no_class_is_taken_from_an_index(stable_diffusion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a folder, or of the family of a single file: a module that is named there is never imported."""
    path = write_single_file(stable_diffusion, tmp_path / "model.safetensors")
    folder = shutil.copytree(stable_diffusion, tmp_path / "family")
    (tmp_path / "stranger.py").write_text("raise SystemExit('a stranger ran')")
    monkeypatch.syspath_prepend(str(tmp_path))
    change(
        folder / "model_index.json", unet=["stranger", "Network"], safety_checker=["stranger", "Checker"], more=["stranger", "X"]
    )
    expected = load(str(path), device="cpu", dtype="float32", family=str(stable_diffusion)).encode_text(["a red car"])
    assert torch.equal(load(str(path), device="cpu", dtype="float32", family=str(folder)).encode_text(["a red car"]), expected)
    assert torch.equal(load(str(folder), device="cpu", dtype="float32").encode_text(["a red car"]), expected)


def test_brackets_without_end_are_a_damaged_index(stable_diffusion: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(stable_diffusion, tmp_path / "model")
    (folder / "model_index.json").write_text("[" * 100_000)
    with pytest.raises(ModelError, match="is damaged"):
        load(str(folder), device="cpu")


def test_a_pickle_is_never_loaded(stable_diffusion: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(stable_diffusion, folder)
    unet = UNet2DConditionModel.from_pretrained(folder / "unet")
    shutil.rmtree(folder / "unet")
    unet.save_pretrained(folder / "unet", safe_serialization=False)
    with pytest.raises(ModelError):
        load(str(folder), device="cpu")


def test_one_file_is_the_same_model_as_its_folder(stable_diffusion: Path, tmp_path: Path) -> None:
    path = write_single_file(stable_diffusion, tmp_path / "model.safetensors")
    one = load(str(path), device="cpu", dtype="float32", family=str(stable_diffusion))
    folder = load(str(stable_diffusion), device="cpu", dtype="float32")
    images, cameras = torch.rand(1, 16, 16, 3), None
    with torch.no_grad():
        assert torch.equal(one.encode_images(images), folder.encode_images(images))
        text = one.encode_text(["a red car"])
        assert torch.equal(text, folder.encode_text(["a red car"]))
        noisy, at = torch.rand(1, 4, 8, 8), torch.tensor([300])
        predicted = [denoiser.predict(noisy, at, text, cameras) for denoiser in (one, folder)]
        torch.testing.assert_close(*predicted, atol=1e-5, rtol=1e-5)  # the layout in memory decides how sums are rounded
    weights, same = one.unet.state_dict(), folder.unet.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in same.items())


def test_one_file_that_is_damaged_or_of_another_kind_is_said(stable_diffusion: Path, tmp_path: Path) -> None:
    (tmp_path / "damaged.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="damaged.safetensors` is no safetensors file, or cut short"):
        load(str(tmp_path / "damaged.safetensors"), device="cpu", family=str(stable_diffusion))
    (tmp_path / "model.ckpt").write_bytes(b"a pickle")
    with pytest.raises(ModelError, match="is not a .safetensors file"):
        load(str(tmp_path / "model.ckpt"), device="cpu")
    path = write_single_file(stable_diffusion, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="model `nothing/here` is not on this machine"):
        load(str(path), device="cpu", family="nothing/here")


def renamed(source: Path, target: Path, change: Callable[[str], str | None]) -> Path:
    """A safetensors file with other names; None leaves one out."""
    from safetensors.torch import load_file, save_file

    named = {change(name): tensor for name, tensor in load_file(source).items()}
    save_file({name: tensor for name, tensor in named.items() if name}, target)
    return target


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda name: f"lora_{name}", "is a LoRA, a change to a model and no model"),
        (lambda name: name if name.startswith("model.diffusion_model.") else None, "is a UNet without a VAE and a text encoder"),
        (lambda name: None if name.startswith("cond") else name, "without a text encoder"),
        (lambda name: f"x.{name}", "is no model that df3d knows"),
    ],
)
def test_a_file_that_is_no_whole_model_says_what_it_is(
    stable_diffusion: Path, tmp_path: Path, change: Callable[[str], str | None], message: str
) -> None:
    whole = write_single_file(stable_diffusion, tmp_path / "model.safetensors")
    path = renamed(whole, tmp_path / "other.safetensors", change)
    with pytest.raises(ModelError, match=message) as refused:
        load(str(path), device="cpu", family=str(stable_diffusion))
    assert refused.value.hint


@pytest.mark.parametrize(
    ("values", "unet", "message"),
    [
        (
            {"_class_name": "FluxPipeline", "transformer": ["diffusers", "FluxTransformer2DModel"]},
            {},
            "is a FluxPipeline, whose network is",
        ),
        ({"text_encoder": [None, None], "text_encoder_2": ["transformers", "X"]}, {}, "as SDXL's refiner is"),
        ({}, {"in_channels": 9}, "is an inpainting model"),
    ],
)
def test_a_folder_of_another_family_says_what_it_is(
    stable_diffusion: Path, tmp_path: Path, values: dict[str, object], unet: dict[str, object], message: str
) -> None:
    folder = shutil.copytree(stable_diffusion, tmp_path / "model")
    change(folder / "model_index.json", **values)
    if "transformer" in values:
        shutil.rmtree(folder / "unet")
    else:
        change(folder / "unet" / "config.json", **unet)
    with pytest.raises(ModelError, match=message):
        load(str(folder), device="cpu")


def test_of_deepfloyds_prediction_the_noise_is_taken_and_the_variance_left(deepfloyd: Path) -> None:
    denoiser = load(str(deepfloyd), device="cpu", dtype="float32")
    noisy, text = torch.randn(2, 3, 8, 8), torch.randn(2, 77, 16)
    timestep = torch.tensor([100, 900])
    with torch.no_grad():
        whole = denoiser.unet(noisy, timestep, text).sample
        found = denoiser.predict(noisy, timestep, text, None)
    assert whole.shape[1] == 6
    torch.testing.assert_close(found, whole[:, :3], atol=1e-5, rtol=1e-4)


def test_texts_are_kept_for_each_type_of_numbers(stable_diffusion: Path) -> None:
    whole, half = (load(str(stable_diffusion), device="cpu", dtype=dtype).encode_text(["a red car"]).float()
                   for dtype in ("float32", "bfloat16"))  # fmt: skip
    assert not torch.equal(whole, half)
    torch.testing.assert_close(whole, half, atol=0.1, rtol=0.1)


def test_no_text_is_zeros_or_not_as_the_index_says(stable_diffusion_xl: Path, tmp_path: Path) -> None:
    """Also where it was read before under another index."""
    folder = shutil.copytree(stable_diffusion_xl, tmp_path / "xl")
    zeros = load(str(folder), device="cpu", dtype="float32").encode_text(["", "a red car"])
    change(folder / "model_index.json", force_zeros_for_empty_prompt=False)
    own = load(str(folder), device="cpu", dtype="float32").encode_text(["", "a red car"])
    assert zeros[0].eq(0).all()
    assert own[0].abs().sum() > 0
    assert torch.equal(own[1], zeros[1])


def test_weights_that_changed_have_other_texts(tmp_path: Path) -> None:
    file, inner = tmp_path / "a", tmp_path / "folder"
    inner.mkdir()
    (inner / "x").write_text("12")
    file.write_text("12")
    before = fingerprint(file), fingerprint(inner), fingerprint(file, inner)
    assert len(set(before)) == 3
    assert fingerprint(file) == before[0]
    when = file.stat().st_mtime_ns
    file.write_text("123")
    os.utime(file, ns=(when, when))
    assert fingerprint(file) != before[0]  # another size at the same time
    (inner / "x").write_text("34")
    os.utime(inner / "x", ns=(when + 10**9, when + 10**9))
    assert fingerprint(inner) != before[1]  # the same size at another time


def test_large_pictures_are_seen_whole_by_a_model_of_pixels(deepfloyd: Path) -> None:
    """One white column in four: their mean, not what lies at the middle of a pixel."""
    denoiser = load(str(deepfloyd), device="cpu", dtype="float32")
    images = torch.zeros(1, 32, 32, 3)
    images[:, :, ::4] = 1.0
    found = denoiser.encode_images(images)
    assert found.shape == (1, 3, 8, 8)
    torch.testing.assert_close(found[..., 2:-2], torch.full((1, 3, 8, 4), -0.5), atol=0.05, rtol=0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layers": 128}, None), ({"layers": 129}, "`layers` cannot be 129"), ({"x": 1_000_000}, None),
        ({"x": -1_000_001}, "`x` cannot be"), ({"x": float("nan")}, "`x` cannot be"), ({"a": {"b": [1, 2_000_000]}}, "`b`"),
        ({"x": True}, None),
    ],
)  # fmt: skip
def test_numbers_of_a_configuration_have_a_limit(tmp_path: Path, values: dict[str, object], message: str | None) -> None:
    (tmp_path / "config.json").write_text(json.dumps(values))
    if message is None:
        files.config(tmp_path)
        return
    with pytest.raises(ModelError, match=message):
        files.config(tmp_path)


def test_an_adapter_is_no_network(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="is an adapter to another model"):
        files.config(tmp_path)


def test_numbers_are_counted_once(tmp_path: Path) -> None:
    """Halves and wholes are the same ones, and averaged weights others of the same."""
    for name, rows in (("model", 3), ("model.non_ema", 3), ("more", 5)):
        save_file({"a": torch.zeros(rows, 4), "b": torch.zeros(2)}, tmp_path / f"{name}.safetensors", metadata={"format": "pt"})
    assert files.parameters(tmp_path) == (3 * 4 + 2) + (5 * 4 + 2)
    save_file({"a": torch.zeros(7, 4)}, tmp_path / "model.fp16.safetensors")
    assert files.parameters(tmp_path) == 28


def test_a_network_may_be_twice_as_large_as_its_weights(tmp_path: Path) -> None:
    """Weights that two parts share are in a file once."""
    save_file({"a": torch.zeros(10, 10)}, tmp_path / "model.safetensors")
    files.check_size(tmp_path, lambda: torch.nn.Linear(20, 10, bias=False))
    with pytest.raises(ModelError, match="holds 100 numbers, and its configuration asks for 210"):
        files.check_size(tmp_path, lambda: torch.nn.Linear(20, 10))


@pytest.mark.parametrize(
    ("vae", "pixels"),
    [({}, 8), ({"block_out_channels": [1, 2]}, 2), ({"block_out_channels": [1]}, 1), ({"encoder_block_out_channels": [1] * 6}, 32)],
)
def test_pixels_of_a_latent(vae: dict[str, list[int]], pixels: int) -> None:
    assert files.pixels_per_latent(vae) == pixels


def test_a_vae_that_overflows_in_half_precision_is_kept_whole(tmp_path: Path) -> None:
    place = write_pipeline(tmp_path, "sd") / "vae"
    change(place / "config.json", force_upcast=False)
    assert vae_of(place, torch.float16).dtype == torch.float16
    change(place / "config.json", force_upcast=True)
    assert vae_of(place, torch.float16).dtype == torch.float32
    assert vae_of(place, torch.bfloat16).dtype == torch.bfloat16
