"""Against threestudio and stable-dreamfusion: the same noise, timesteps and model give the same gradient.

`data/peers.safetensors` was recorded by running their own code (`data/README.md` says how); every question that they put
to the denoiser is there with its answer, so a question of ours that they did not ask fails.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from df3d_diffusion.config import DistillationConfig
from df3d_diffusion.objectives import Query, sds
from df3d_diffusion.sds import Distillation
from df3d_diffusion.views import EncodedPrompt, texts_for
from safetensors.torch import load_file
from torch import Tensor

from df3d.prompt import VIEWS
from df3d.scene.cameras import look_at
from df3d.types import Cameras

DATA = load_file(Path(__file__).parent / "data" / "peers.safetensors")
ENCODED = EncodedPrompt(
    {None: DATA["common/emb_front"][None], **{view: DATA[f"common/emb_{view}"][None] for view in VIEWS}},
    DATA["common/emb_uncond"][None],
)


class Replay:
    """Answers what the peer's denoiser answered, to the questions it was asked."""

    clip, knows_cameras, unet, alphas_cumprod, group = None, False, None, DATA["common/alphas_cumprod"], 1

    def __init__(self, case: str) -> None:
        self.given = [DATA[f"{case}/unet_{part}"] for part in ("in", "t", "emb")]
        self.answers = DATA[f"{case}/unet_out"]

    def predict(self, noisy: Tensor, timestep: Tensor, text: Tensor, cameras: Cameras | None) -> Tensor:
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


def same(found: Tensor, name: str) -> None:
    expected = DATA[name]
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
