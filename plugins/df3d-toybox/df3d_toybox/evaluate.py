"""How good an embedded model is, by the world it was trained on and not by itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from df3d_diffusion.denoiser import Denoiser
from df3d_diffusion.loading import load
from df3d_diffusion.noising import denoised, noised, to_noise
from PIL import Image
from torch import Tensor

from df3d_toybox.captions import NOUN_NAMES, Caption, Thing
from df3d_toybox.guidance import wording
from df3d_toybox.train import draw, views_of
from df3d_toybox.winograd import use_winograd
from df3d_toybox.world import render, scene

AZIMUTHS = (0.0, 90.0, 180.0, -90.0)
ELEVATION, SCALE, STEPS = 20.0, 3.0, 24


def figures(model: Path, *, picture: Path | None = None, seed: int = 0) -> dict[str, float]:
    """Sample every noun from four sides and look up each sample among the world's pictures of all nouns and sides.

    `noun`: share of samples whose nearest picture shows the right noun; `view`: of those, the share seen from the right
    side, for nouns with a front. `picture` receives the samples, a noun a row.
    """
    from df3d_toybox.world.nouns import NOUNS

    azimuth = torch.tensor(AZIMUTHS).repeat(len(NOUN_NAMES))
    elevation = torch.full_like(azimuth, ELEVATION)
    captions = [Caption(Thing(noun)) for noun in NOUN_NAMES]
    truth = draw([render.pack(scene.build(c)) for c in captions for _ in AZIMUTHS], azimuth, elevation)
    denoiser = load(str(model), device="cpu")
    use_winograd(denoiser.unet)
    samples = sample(denoiser, [c for c in captions for _ in AZIMUTHS], azimuth, elevation, seed=seed)
    nearest = torch.cdist(samples.flatten(1), truth.flatten(1)).argmin(1)
    sides = len(AZIMUTHS)
    right_noun = nearest // sides == torch.arange(len(nearest)) // sides
    fronted = torch.tensor([NOUNS[noun].front for noun in NOUN_NAMES]).repeat_interleave(sides) & right_noun
    right_view = (nearest % sides == torch.arange(len(nearest)) % sides) & fronted
    if picture is not None:
        _save(samples, picture)
    return {"noun": float(right_noun.float().mean()), "view": float(right_view.sum() / fronted.sum().clamp_min(1))}


@torch.no_grad()
def sample(model: Denoiser, captions: list[Caption], azimuth: Tensor, elevation: Tensor, *, seed: int) -> Tensor:
    """(N, 3, S, S) in [-1, 1]: deterministic DDIM samples (arXiv 2010.02502, equation 12) with guidance."""
    texts = model.encode_text([*(wording(str(caption), None) for caption in captions), wording("", None)])
    views = views_of(azimuth, elevation)
    parts = []
    for part in torch.arange(len(captions)).split(32):
        text = torch.cat([texts[part], texts[-1:].expand(len(part), -1, -1)])
        x = torch.randn(len(part), 3, 64, 64, generator=torch.Generator().manual_seed(seed + int(part[0])))
        steps = torch.linspace(len(model.alphas_cumprod) - 10, 20, STEPS).long()
        for now, after in zip(steps, [*steps[1:], None], strict=True):
            a = model.alphas_cumprod[now]
            b = torch.ones(()) if after is None else model.alphas_cumprod[after]
            noise = model.predict(x.repeat(2, 1, 1, 1), now.expand(2 * len(x)), text, views[part].times(2))
            conditional, unconditional = noise.chunk(2)
            guided = unconditional + SCALE * (conditional - unconditional)
            clean = denoised(x, guided, a).clamp(-1, 1)
            x = noised(clean, to_noise(clean, x, a, "sample"), b)
        parts.append(x)
    return torch.cat(parts)


def add_to_card(model: Path, found: dict[str, float]) -> None:
    """Write figures into the model's card."""
    path = model / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["figures"] = {name: round(value, 4) for name, value in found.items()}
    path.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def _save(samples: Tensor, path: Path) -> None:
    images = ((samples.permute(0, 2, 3, 1) * 0.5 + 0.5) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    rows = [np.concatenate(list(images[i : i + len(AZIMUTHS)]), axis=1) for i in range(0, len(images), len(AZIMUTHS))]
    height = -(-len(rows) // 4)
    rows += [np.zeros_like(rows[0])] * (4 * height - len(rows))
    columns = [np.concatenate(rows[i * height : (i + 1) * height], axis=0) for i in range(4)]
    Image.fromarray(np.concatenate(columns, axis=1)).save(path)
