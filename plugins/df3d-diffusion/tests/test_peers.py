"""Against threestudio, stable-dreamfusion and the authors of ASD, SDI and RFDS: the same noise, timesteps and model give the same
gradient.

`data/peers.safetensors` and `data/objectives.safetensors` were recorded by running their own code (`data/README.md` says how);
every question that they put to the denoiser is there with its answer, so a question of ours that they did not ask fails.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from df3d_diffusion.config import DistillationConfig
from df3d_diffusion.objectives import OBJECTIVES, Prediction, Query, sds
from df3d_diffusion.sds import Distillation
from df3d_diffusion.transformer import TransformerDenoiser
from df3d_diffusion.views import EncodedPrompt, texts_for
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from df3d.prompt import VIEWS
from df3d.scene.cameras import look_at
from df3d.types import Cameras

DATA = load_file(Path(__file__).parent / "data" / "peers.safetensors")
NEWER = load_file(Path(__file__).parent / "data" / "objectives.safetensors")
ENCODED = EncodedPrompt(
    {None: DATA["common/emb_front"][None], **{view: DATA[f"common/emb_{view}"][None] for view in VIEWS}},
    DATA["common/emb_uncond"][None],
)


class Replay:
    """Answers what the peer's denoiser answered, to the questions it was asked."""

    clip, knows_cameras, unet, alphas_cumprod, group = None, False, None, DATA["common/alphas_cumprod"], 1

    def __init__(self, case: str, data: dict[str, Tensor] = DATA) -> None:
        self.given = [data[f"{case}/unet_{part}"] for part in ("in", "t", "emb")]
        self.answers = data[f"{case}/unet_out"]

    def predict(self, noisy: Tensor, timestep: Tensor, text: Tensor, cameras: Cameras | None = None) -> Tensor:
        return torch.stack([self.answers[self._find(*asked)] for asked in zip(noisy, timestep, text, strict=True)])

    def _find(self, *asked: Tensor) -> int:
        for row, known in enumerate(zip(*self.given, strict=True)):
            if all(torch.allclose(a, k.to(a.dtype), atol=1e-5) for a, k in zip(asked, known, strict=True)):
                return row
        raise AssertionError("the peer's denoiser was not asked this")


def cameras(azimuth: Tensor, elevation: float = 15.0) -> Cameras:
    full = torch.ones_like(azimuth)
    return look_at(azimuth, elevation * full, 3.0 * full, 40.0 * full, height=8, width=8)


def gradient(case: str, rows: list[int], **options: object) -> Tensor:
    guidance = Distillation(DistillationConfig(**options), Replay(case))  # type: ignore[arg-type]
    views = cameras(DATA["common/azimuth"][rows])
    texts = texts_for(guidance.config, views, ENCODED, told=False)
    latents, noise, timestep = (DATA[f"common/{name}"][rows] for name in ("latents", "noise", "t"))
    query = Query(latents, noise, timestep, Replay.alphas_cumprod, None, guidance.config,
                  lambda z, t: guidance._predict(z, t, None, texts, ENCODED.negative),
                  lambda z, t: guidance._predict(z, t, None, texts, ENCODED.negative).text)  # fmt: skip
    return sds(query) / len(rows)  # both peers take the mean over the views


def same(found: Tensor, name: str, data: dict[str, Tensor] = DATA) -> None:
    expected = data[name]
    torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-5)


@pytest.mark.parametrize("scale", [100.0, 7.5])
@pytest.mark.parametrize(("weighting", "theirs"), [("sigma2", "sds"), ("uniform", "uniform"), ("fantasia3d", "fantasia3d")])
def test_threestudio(weighting: str, theirs: str, scale: float) -> None:
    """Its plain guidance is text + scale * (text - uncond): one more than ours of the same scale."""
    found = gradient("threestudio/sds", [0, 1], scale=scale + 1.0, weighting=weighting)
    same(found, f"threestudio/sds/grad_{theirs}_cfg{scale:g}")


@pytest.mark.parametrize("scale", [100.0, 7.5])
def test_stable_dreamfusion(scale: float) -> None:
    found = gradient("stable_dreamfusion/sds", [0, 1], scale=scale, view_texts="interpolated")
    same(found, f"stable_dreamfusion/sds/grad_cfg{scale:g}_gs1")


@pytest.mark.parametrize("scale", [100.0, 7.5])
@pytest.mark.parametrize(("row", "angle"), [(0, "30"), (1, "-120")])
@pytest.mark.parametrize(("peer", "preset"), [("threestudio", "perp-neg"), ("stable_dreamfusion", "perp-neg-strong")])
def test_perp_neg(peer: str, preset: str, row: int, angle: str, scale: float) -> None:
    """One view at a time: in a batch, threestudio puts negatives to the wrong views (data/README.md)."""
    case = f"{peer}/perpneg_az{angle}"
    same(gradient(case, [row], scale=scale, view_texts=preset), f"{case}/grad_cfg{scale:g}")


def test_perp_neg_in_a_batch() -> None:
    case = "stable_dreamfusion/perpneg_batch2"
    same(gradient(case, [0, 1], scale=100.0, view_texts="perp-neg-strong"), f"{case}/grad_cfg100")


@pytest.mark.parametrize(("peer", "preset"), [("threestudio", "perp-neg"), ("stable_dreamfusion", "perp-neg-strong")])
def test_perp_neg_weights_all_around(peer: str, preset: str) -> None:
    """Encodings that are one-hot show the mixtures; weights too small for stable-dreamfusion to use count as none."""
    azimuth, mixes = DATA["perpneg_weights/azimuth"], f"perpneg_weights/{peer}"
    hot = {name: torch.eye(5)[i].view(1, 1, 5) for i, name in enumerate(("front", "side", "back", "overhead", "uncond"))}
    encoded = EncodedPrompt({view: hot[view] for view in VIEWS}, hot["uncond"])
    texts = texts_for(DistillationConfig(view_texts=preset), cameras(azimuth), encoded, told=False)  # type: ignore[arg-type]
    torch.testing.assert_close(texts.text[:, 0], DATA[f"{mixes}/pos_mix"], atol=1e-5, rtol=0)

    def total(mix: Tensor, weights: Tensor) -> Tensor:  # of each text, whatever the order they are in
        return (mix * weights[..., None]).sum(1)

    found = total(texts.avoid[:, :, 0].transpose(0, 1), texts.weights.T)
    torch.testing.assert_close(found, total(DATA[f"{mixes}/neg_mix"], DATA[f"{mixes}/neg_weights"]), atol=2e-4, rtol=0)


def test_from_above_there_is_one_text() -> None:
    texts = texts_for(DistillationConfig(view_texts="perp-neg"), cameras(torch.tensor([30.0, 30.0]), 75.0), ENCODED, told=False)
    assert torch.equal(texts.text[0], DATA["common/emb_overhead"])
    assert texts.weights.abs().sum() == 0


def test_discrete_words_follow_the_angle() -> None:
    texts = texts_for(DistillationConfig(), cameras(torch.tensor([0.0, 90.0, 180.0, -90.0])), ENCODED, told=False)
    for text, view in zip(texts.text, ("front", "side", "back", "side"), strict=True):
        assert torch.equal(text, DATA[f"common/emb_{view}"])
    assert len(texts.avoid) == 0


def newer(case: str, objective: str, denoiser: Replay | TransformerDenoiser, kind: str = "", rows: tuple[int, ...] = (0, 1),
          **options: object) -> Tensor:  # fmt: skip
    """The gradient of an objective, asked what its authors' code was asked."""
    config = DistillationConfig(objective=objective, **options)  # type: ignore[arg-type]
    latents, noise = (NEWER[kind + name][list(rows)] for name in ("latents", "noise"))
    words, none = (NEWER[kind + name].expand(len(rows), -1, -1) for name in ("text", "empty"))
    looks = iter(NEWER["looks"])

    def predict(noisy: Tensor, timestep: Tensor) -> Prediction:
        text, uncond = (denoiser.predict(noisy, timestep, emb, None) for emb in (words, none))
        return Prediction(text, uncond, uncond + config.scale * (text - uncond))

    def text(noisy: Tensor, timestep: Tensor) -> Tensor:
        return denoiser.predict(noisy, timestep, words, None)

    query = Query(latents, noise, NEWER["t"][list(rows)], denoiser.alphas_cumprod, None, config, predict, text, low=20,
                  draw=lambda: next(looks))  # fmt: skip
    return OBJECTIVES[objective](query)


def test_asd_is_that_of_scaledreamer() -> None:
    found = newer("asd", "asd", Replay("asd", NEWER), scale=7.5, asd_shift=0.1)
    same(found / 2, "asd/gradient", NEWER)  # they take the mean over the views


@pytest.mark.parametrize("row", [0, 1])
def test_sdi_is_that_of_its_authors(row: int) -> None:
    """Their guidance is text + scale * (text - uncond), and their loss a mean over the latents' numbers."""
    found = newer(f"sdi{row}", "sdi", Replay(f"sdi{row}", NEWER), rows=(row,), scale=8.5, inversion_scale=-6.5,
                  inversion_steps=10, inversion_noise=0.3)  # fmt: skip
    same(found / found.numel(), f"sdi{row}/gradient", NEWER)


class SD3Transformer2DModel(torch.nn.Module):
    """Answers what the network of RFDS' authors answered."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.config = SimpleNamespace(in_channels=16, pooled_projection_dim=24, get={"patch_size": 2}.get)
        self.replay = Replay("rfds", NEWER)

    def forward(self, *, hidden_states: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, pooled_projections: Tensor):  # type: ignore[no-untyped-def]
        row = functional.pad(pooled_projections, (0, 8))[:, None]
        return SimpleNamespace(sample=self.replay.predict(hidden_states, timestep, torch.cat([encoder_hidden_states, row], 1)))


def test_reconstruction_on_a_flow_is_rfds() -> None:
    """RFDS' gradient is w (v_hat - (eps - x)), `reconstruction` is that with w = s. Their loss: half the squares' mean, twice."""
    vae = SimpleNamespace(config=SimpleNamespace(latent_channels=16, get={"block_out_channels": (1, 1)}.get))
    denoiser = TransformerDenoiser(
        unet=SD3Transformer2DModel(), vae=vae, scheduler={"shift": 3.0}, text=lambda texts: torch.zeros(1), size=16
    )
    found = newer("rfds", "reconstruction", denoiser, kind="flow_", scale=7.5, rescale=0.0)
    sigma = denoiser._sigmas[NEWER["t"]][:, None, None, None]
    same(found / sigma / found.numel() / 2, "rfds/gradient", NEWER)
