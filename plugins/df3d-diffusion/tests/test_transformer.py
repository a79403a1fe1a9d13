"""Models whose network is a transformer: flows in the units of diffusion, exactly; texts as diffusers' own pipelines read them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
from command import TINY, df3d
from df3d_diffusion.config import SdsConfig
from df3d_diffusion.folder import TRANSFORMERS, check_kind
from df3d_diffusion.loading import load
from df3d_diffusion.memory import estimate
from df3d_diffusion.noising import noised
from df3d_diffusion.sds import from_config
from df3d_diffusion.transformer import FAMILIES, Family, TransformerDenoiser, alphabar_of, shifted
from pipelines import write_transformer_pipeline
from torch import Tensor

from df3d import Workload
from df3d.errors import ModelError
from df3d.prompt import Prompt
from df3d.scene.cameras import orbit
from df3d.schedule import Step
from df3d.types import RenderOutput

KINDS = ("sd3", "sd3-without-t5", "sana", "prx", "pixart")


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: write_transformer_pipeline(tmp_path_factory.mktemp(kind) / kind, kind) for kind in KINDS}  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_each_family_guides_a_render(kind: str, folders: dict[str, Path]) -> None:
    guidance = from_config(SdsConfig(model=str(folders[kind]), dtype="float32", at_once=1))
    assert isinstance(guidance.denoiser, TransformerDenoiser)
    images = torch.rand(2, 24, 24, 3, requires_grad=True)
    encoded = guidance.encode(Prompt("a red car", "ugly"))
    guidance.step(RenderOutput(images, images[..., :1]), orbit(2, size=24), encoded, Step(0, 10)).loss.backward()
    assert images.grad is not None
    assert torch.isfinite(images.grad).all()
    assert float(images.grad.abs().sum()) > 0
    assert not torch.equal(encoded.views["front"], encoded.views["back"])


@pytest.mark.parametrize("kind", ["sd3", "prx"])
@pytest.mark.parametrize("objective", ["sds", "csd", "ism", "asd", "sdi", "vsd", "reconstruction"])
def test_every_objective_guides_a_flow(kind: str, objective: str, folders: dict[str, Path]) -> None:
    if (kind, objective) == ("prx", "vsd"):
        pytest.skip("PRX names its layers otherwise")
    guidance = from_config(SdsConfig(model=str(folders[kind]), dtype="float32", objective=objective))  # type: ignore[arg-type]
    images = torch.rand(1, 16, 16, 3, requires_grad=True)
    encoded = guidance.encode(Prompt("a red car"))
    guidance.step(RenderOutput(images, images[..., :1]), orbit(1, size=16), encoded, Step(0, 10)).loss.backward()
    assert images.grad is not None
    assert float(images.grad.abs().sum()) > 0


class Velocity(torch.nn.Module):
    """A network that knows which noise and image it is shown, and answers with the velocity."""

    def __init__(self, x: Tensor, eps: Tensor) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.config = SimpleNamespace(in_channels=4, get={"patch_size": 1}.get)
        self.x, self.eps = x, eps
        self.asked: list[tuple[Tensor, Tensor]] = []


def test_a_flow_is_a_predictor_of_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last digit, at every timestep: what the network is shown is (1 - s) x + s eps, and what comes back is eps."""
    x, eps = torch.randn(2, 3, 4, 8, 8, dtype=torch.float64).unbind()
    network = Velocity(x, eps)

    def ask(network: Any, latents: Tensor, sigma: Tensor, text: Tensor) -> Tensor:
        network.asked.append((latents, sigma))
        return network.eps - network.x

    monkeypatch.setitem(FAMILIES, "Velocity", Family((), 1, ask))
    vae = SimpleNamespace(config=SimpleNamespace(latent_channels=4, get={"block_out_channels": (1, 1)}.get))
    denoiser = TransformerDenoiser(unet=network, vae=vae, scheduler={"shift": 3.0}, text=lambda t: torch.zeros(1), size=16)
    denoiser._sigmas = denoiser._sigmas.double()
    denoiser.alphas_cumprod = alphabar_of(denoiser._sigmas)
    for t in (0, 137, 500, 998):
        timestep = torch.full((3,), t)
        noisy = noised(x, eps, denoiser.alphas_cumprod[t])
        found = denoiser.predict(noisy, timestep, torch.zeros(3, 1, 1), None)
        shown, sigma = network.asked[-1]
        torch.testing.assert_close(shown, (1 - sigma[0]) * x + sigma[0] * eps)
        torch.testing.assert_close(found, eps, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("shift", [1.0, 3.0, 6.0])
def test_timesteps_are_shifted_as_diffusers_does(shift: float) -> None:
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift).sigmas.flip(0)
    torch.testing.assert_close(shifted(shift), theirs)
    assert (alphabar_of(shifted(shift)).diff() < 0).all()


PIPELINES = {"sana": diffusers.SanaPipeline, "prx": diffusers.PRXPipeline, "pixart": diffusers.PixArtSigmaPipeline}


def pipeline_of(kind: str, folder: Path) -> Any:
    """Diffusers' own pipeline of a folder."""
    from transformers import AutoTokenizer

    index = json.loads((folder / "model_index.json").read_text())
    own = ("transformer", "vae", "scheduler")
    parts = {name: getattr(diffusers, index[name][1]).from_pretrained(folder / name) for name in own}
    parts |= {place.name: AutoTokenizer.from_pretrained(place) for place in folder.glob("tokenizer*")}
    if kind.startswith("sd3"):
        parts |= {"feature_extractor": None, "image_encoder": None}
        parts |= {"text_encoder_3": None, "tokenizer_3": None} if kind == "sd3-without-t5" else {}
    pipeline = PIPELINES.get(kind, diffusers.StableDiffusion3Pipeline).from_pretrained(folder, **parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of diffusers, on its own classes
@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_read_as_by_diffusers_own_pipeline(kind: str, folders: dict[str, Path]) -> None:
    pipeline = pipeline_of(kind, folders[kind])
    found = load(str(folders[kind]), device="cpu", dtype="float32").encode_text(["A red car", ""])
    if kind.startswith("sd3"):
        embeds, none, pooled, _ = pipeline.encode_prompt("A red car", None, None, negative_prompt="")
        pooled = torch.nn.functional.pad(pooled, (0, embeds.shape[-1] - pooled.shape[-1]))
        expected = torch.cat([embeds, pooled[:, None]], dim=1)
        torch.testing.assert_close(found[1:, :-1], none.detach(), atol=1e-5, rtol=1e-4)
    else:
        more: dict[str, Any] = {"sana": {"complex_human_instruction": None}, "prx": {"tokenizer_max_length": 256}}.get(kind, {})
        embeds, mask, _, _ = pipeline.encode_prompt("A red car", device="cpu", **more)
        expected = torch.cat([embeds, mask[..., None].to(embeds)], dim=-1)
    torch.testing.assert_close(found[:1], expected.detach(), atol=1e-5, rtol=1e-4)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_the_network_is_asked_as_by_diffusers_own_pipeline(
    kind: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some steps of their pipeline, watched: our answer for the same latents, text and time is theirs."""
    pipeline = pipeline_of(kind, folders[kind])
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    whole = pipeline.transformer.forward

    def forward(*given: Any, **more: Any) -> Any:
        answer = whole(*given, **more)
        seen.append((given[0] if given else more["hidden_states"], more["timestep"], answer[0]))
        return answer

    monkeypatch.setattr(pipeline.transformer, "forward", forward)
    more: dict[str, Any] = {} if kind.startswith("sd3") else {"use_resolution_binning": False}
    more |= {"complex_human_instruction": None} if kind == "sana" else {}
    pipeline("a red car", num_inference_steps=3, guidance_scale=1.0, height=32, width=32, output_type="latent", **more)
    ours = load(str(folders[kind]), device="cpu", dtype="float32")
    assert isinstance(ours, TransformerDenoiser)
    encoded = ours.encode_text(["a red car"])
    assert len(seen) == 3
    for latents, timestep, answer in seen:
        time = torch.atleast_1d(timestep.float())
        with torch.no_grad():
            if not ours.family.flow:
                torch.testing.assert_close(ours.predict(latents, time.long(), encoded, None), answer[:, :4], atol=1e-5, rtol=1e-4)
                continue
            found = ours.family.ask(ours.unet, latents, time / (1 if kind == "prx" else 1000), encoded)
        torch.testing.assert_close(found, answer, atol=1e-5, rtol=1e-4)


def test_pictures_of_another_size(folders: dict[str, Path]) -> None:
    larger = load(str(folders["sd3"]), device="cpu", dtype="float32", size=24)
    assert larger.encode_images(torch.rand(1, 16, 16, 3)).shape == (1, 4, 12, 12)
    with pytest.raises(ModelError, match="cannot see pictures of 23 pixels"):
        load(str(folders["sd3"]), device="cpu", size=23)


def test_a_tiny_vae_takes_the_place_of_the_whole(folders: dict[str, Path], tmp_path: Path) -> None:
    from pipelines import write_taesd

    denoiser = load(str(folders["sd3"]), device="cpu", dtype="float32", vae=str(write_taesd(tmp_path / "tiny")))
    assert denoiser.encode_images(torch.rand(1, 16, 16, 3)).shape == (1, 4, 8, 8)


@pytest.mark.parametrize("kind", ["sd3", "sana", "prx", "pixart"])
def test_memory_is_estimated(kind: str, folders: dict[str, Path]) -> None:
    weights, model = estimate(SdsConfig(model=str(folders[kind])), Workload(1, 64))
    assert weights > 1000
    assert estimate(SdsConfig(model=str(folders[kind])), Workload(4, 64))[1] > model
    assert estimate(SdsConfig(model=str(folders[kind]), dtype="float32"), Workload(1, 64))[0] == 2 * weights


@pytest.mark.parametrize("kind", KINDS)
def test_the_recipe_makes_a_glb(kind: str, folders: dict[str, Path], tmp_path: Path) -> None:
    small = [setting for setting in TINY if "steps" not in setting and "field.resolution" not in setting]
    done = df3d(
        "generate", "a red car", "--recipe=flow", f"--set=guidance.model={folders[kind]}", "--steps=3", *small, where=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / done.stdout.strip()).read_bytes()[:4] == b"glTF"


def changed(folder: Path, tmp_path: Path, name: str, **values: Any) -> Path:
    """A copy of a pipeline, one of its configurations changed."""
    copy = Path(shutil.copytree(folder, tmp_path / "copy", dirs_exist_ok=True))
    table = json.loads((copy / name / "config.json").read_text())
    (copy / name / "config.json").write_text(json.dumps({**table, **values}))
    return copy


def test_what_does_not_fit_is_one_sentence(folders: dict[str, Path], tmp_path: Path) -> None:
    sd3 = folders["sd3"]
    for name, values, message in (
        ("transformer", {"_class_name": "FluxTransformer2DModel"}, "has a FluxTransformer2DModel, which df3d does not know"),
        ("vae", {"_class_name": "AutoencoderOobleck"}, "is a AutoencoderOobleck, which df3d does not know"),
        ("text_encoder_3", {"architectures": ["LlamaModel"]}, "is a LlamaModel, where its family has T5EncoderModel"),
        ("transformer", {"num_layers": 99}, "its configuration asks for"),
    ):
        with pytest.raises(ModelError, match=message):
            load(str(changed(sd3, tmp_path, name, **values)), device="cpu")
        shutil.rmtree(tmp_path / "copy")
    for part in ("vae", "scheduler", "tokenizer_2", "text_encoder_2"):
        copy = Path(shutil.copytree(sd3, tmp_path / "copy"))
        shutil.rmtree(copy / part)
        with pytest.raises(ModelError, match=f"lacks `{part}/`"):
            load(str(copy), device="cpu")
        shutil.rmtree(copy)
    with pytest.raises(ModelError, match="a transformer that df3d does not know"):
        check_kind("it", {"_class_name": "FluxPipeline", "transformer": ["diffusers", "FluxTransformer2DModel"]}, {})
    check_kind("it", {"transformer": ["diffusers", "SD3Transformer2DModel"]}, {})


@pytest.mark.parametrize("kind", KINDS)
def test_latents_are_shifted_and_scaled_as_their_vae_says(kind: str, folders: dict[str, Path]) -> None:
    """By hand: (the VAE's mode of 2 x - 1, less its shift) times its scale."""
    denoiser = load(str(folders[kind]), device="cpu", dtype="float32")
    images = torch.rand(2, 16, 16, 3)
    index = json.loads((folders[kind] / "model_index.json").read_text())
    vae = getattr(diffusers, index["vae"][1]).from_pretrained(folders[kind] / "vae")
    with torch.no_grad():
        encoded = vae.encode(images.permute(0, 3, 1, 2) * 2 - 1)
    plain = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latent
    expected = (plain - (vae.config.get("shift_factor") or 0.0)) * vae.config.scaling_factor
    torch.testing.assert_close(denoiser.encode_images(images), expected, atol=1e-5, rtol=1e-4)


def test_an_encoder_that_can_keeps_less_for_its_gradient(folders: dict[str, Path]) -> None:
    """SANA's cannot, and is asked for nothing else when memory runs out."""
    for kind, can in (("sd3", True), ("sana", False)):
        guidance = from_config(SdsConfig(model=str(folders[kind]), dtype="float32", checkpoint_vae=True))
        assert guidance.denoiser.vae.is_gradient_checkpointing == can  # type: ignore[attr-defined]
        plain = from_config(SdsConfig(model=str(folders[kind]), dtype="float32"))
        assert ("the VAE's encoder keeps less" in plain.save_memory()) == can


def test_a_text_encoder_that_asks_for_more_than_its_weights_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    for kind in ("sd3", "sana", "prx"):
        copy = changed(folders[kind], tmp_path, "text_encoder", vocab_size=900_000)
        with pytest.raises(ModelError, match="its configuration asks for"):
            load(str(copy), device="cpu").encode_text(["a dragon that nobody has asked for before"])
        shutil.rmtree(tmp_path / "copy")


def test_the_kinds_that_are_let_in_are_those_that_are_known() -> None:
    assert set(TRANSFORMERS) == set(FAMILIES)


def test_at_the_end_of_a_flow_nothing_divides_by_zero() -> None:
    """Of the image nothing is left there, and of its share still a little."""
    assert float(alphabar_of(torch.tensor([1.0]))) == pytest.approx(1e-8)
    assert torch.isfinite(alphabar_of(shifted(3.0)).rsqrt()).all()


@pytest.mark.parametrize(("said", "shift"), [({"shift": 2.0}, 2.0), ({"flow_shift": 5.0}, 5.0), ({}, 1.0)])
def test_the_shift_of_a_flow_is_its_scheduler_s(
    folders: dict[str, Path], tmp_path: Path, said: dict[str, float], shift: float
) -> None:
    copy = Path(shutil.copytree(folders["sana"], tmp_path / "copy"))
    (copy / "scheduler" / "scheduler_config.json").write_text(json.dumps(said))
    denoiser = load(str(copy), device="cpu", dtype="float32")
    torch.testing.assert_close(denoiser.alphas_cumprod, alphabar_of(shifted(shift)))


def test_a_model_that_says_no_size_sees_512_pixels(folders: dict[str, Path], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folders["prx"], tmp_path / "copy"))
    assert load(str(copy), device="cpu")._size == 16  # type: ignore[attr-defined]
    index = json.loads((copy / "model_index.json").read_text())
    del index["default_sample_size"]
    (copy / "model_index.json").write_text(json.dumps(index))
    assert load(str(copy), device="cpu")._size == 512  # type: ignore[attr-defined]
