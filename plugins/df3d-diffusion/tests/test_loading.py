"""Real loaders on small random-weight pipelines, made from configs and written to disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from df3d_diffusion.config import SdsConfig
from df3d_diffusion.latent import LatentDenoiser
from df3d_diffusion.loading import load
from df3d_diffusion.pixel import PixelDenoiser, shuffle, to_noise, unshuffle
from df3d_diffusion.sds import from_config
from diffusers import AutoencoderKL, UNet2DConditionModel
from pipelines import write_pipeline

from df3d.cameras import orbit
from df3d.errors import ModelError
from df3d.prompt import Prompt
from df3d.schedule import Step
from df3d.types import RenderOutput


@pytest.fixture(scope="module")
def stable_diffusion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pipeline(tmp_path_factory.mktemp("sd"), latent=True)


@pytest.fixture(scope="module")
def deepfloyd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pipeline(tmp_path_factory.mktemp("if"), latent=False)


@pytest.mark.parametrize("kind", ["stable_diffusion", "deepfloyd"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_pipeline_guides_a_render(kind: str, dtype: str, request: pytest.FixtureRequest) -> None:
    guidance = from_config(SdsConfig(model=str(request.getfixturevalue(kind)), dtype=dtype))  # type: ignore[arg-type]
    encoded = guidance.encode(Prompt("a red car", "ugly"))
    images = torch.rand(3, 24, 24, 3, requires_grad=True)
    guided = guidance.step(RenderOutput(images, images[..., :1]), orbit(3, size=24), encoded, Step(0, 10))
    guided.loss.backward()
    assert torch.isfinite(guided.loss)
    assert images.grad is not None
    assert torch.isfinite(images.grad).all()
    assert images.grad.abs().sum() > 0
    denoiser = guidance.denoiser
    assert isinstance(denoiser, LatentDenoiser if kind == "stable_diffusion" else PixelDenoiser)
    assert all(p.grad is None and not p.requires_grad for p in denoiser.unet.parameters())
    assert guided.preview is not None
    assert guided.preview().shape == (3, 16, 16, 3) if kind == "stable_diffusion" else (3, 8, 8, 3)
    assert encoded.views["front"].shape == (1, 12, 16)
    assert not torch.equal(encoded.views["front"], encoded.views["back"])


def test_the_text_encoder_is_let_go(stable_diffusion: Path) -> None:
    guidance = from_config(SdsConfig(model=str(stable_diffusion)))
    guidance.encode(Prompt("a red car"))
    with pytest.raises(ModelError, match="prompts are encoded once"):
        guidance.encode(Prompt("a red car"))


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
    text, timestep = torch.randn(1, 12, 16), torch.tensor([400])
    torch.testing.assert_close(
        denoiser.predict(latents, timestep, text, None), unet(latents, timestep, text).sample, atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(denoiser.alphas[0], torch.tensor(1 - 0.00085), atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_every_prediction_stands_for_the_same_noise(kind: str) -> None:
    torch.manual_seed(0)
    clean, noise, alpha = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4), torch.tensor([0.9, 0.2])
    a, s = alpha.sqrt()[:, None, None, None], (1 - alpha).sqrt()[:, None, None, None]
    prediction = {"epsilon": noise, "v_prediction": a * noise - s * clean, "sample": clean}[kind]
    torch.testing.assert_close(to_noise(prediction, a * clean + s * noise, alpha, kind), noise, atol=1e-5, rtol=1e-4)


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
        (lambda f: (f / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"no"), "unet` cannot be loaded"),
        (lambda f: (f / "unet" / "diffusion_pytorch_model.safetensors").unlink(), "unet` cannot be loaded"),
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
        load(str(folder), device="cpu")
    assert message in error.value.message
    assert error.value.hint


def test_a_pickle_is_never_loaded(stable_diffusion: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(stable_diffusion, folder)
    unet = UNet2DConditionModel.from_pretrained(folder / "unet")
    shutil.rmtree(folder / "unet")
    unet.save_pretrained(folder / "unet", safe_serialization=False)
    with pytest.raises(ModelError):
        load(str(folder), device="cpu")
