"""A CLIP of open_clip: pictures and texts as unit vectors. safetensors only."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import open_clip
import torch
from torch import Tensor
from torch.nn import functional

from df3d.errors import ConfigError, ModelError, did_you_mean
from df3d_clip import architecture
from df3d_clip.config import ClipModelConfig, folder_of


class Clip:
    """Frozen; images (V, H, W, 3) in [0, 1] and texts become vectors (V, D) of length 1."""

    def __init__(self, model: str, weights: str = "", *, device: str = "cpu") -> None:
        if weights:
            file, preprocessing = Path(weights), architecture.Preprocessing()
            shape = _named(model)
        else:
            folder = folder_of(model)
            file = min(
                folder.glob("open_clip*.safetensors"), key=lambda path: (path.name != "open_clip_model.safetensors", path.name)
            )
            shape, preprocessing = architecture.read(folder / "open_clip_config.json")
        self._network = architecture.build(shape, file).to(device).requires_grad_(False).eval()
        self._tokenize = open_clip.SimpleTokenizer(context_length=shape.text_cfg.context_length)
        size = shape.vision_cfg.image_size
        self._size = size if isinstance(size, tuple) else (size, size)
        self._mean, self._std = (
            torch.tensor(values, device=device)[None, :, None, None] for values in (preprocessing.mean, preprocessing.std)
        )
        self.device = device

    def images(self, images: Tensor) -> Tensor:
        """Resized bicubically to the network's size; differentiable."""
        pixels = images.to(self.device).permute(0, 3, 1, 2)
        pixels = functional.interpolate(pixels, self._size, mode="bicubic", antialias=True, align_corners=False)
        found: Tensor = self._network.encode_image((pixels.clamp(0, 1) - self._mean) / self._std)
        return functional.normalize(found, dim=-1)

    @torch.no_grad()
    def texts(self, texts: list[str]) -> Tensor:
        parts = [self._network.encode_text(self._tokenize(texts[i : i + 64]).to(self.device)) for i in range(0, len(texts), 64)]
        return functional.normalize(torch.cat(parts), dim=-1)


def _named(model: str) -> architecture.Architecture:
    """An architecture that open_clip knows by name."""
    if model not in open_clip.list_models():
        raise ModelError(f"open_clip has no architecture `{model}`", did_you_mean(model, open_clip.list_models()))
    try:
        return architecture.of_table(open_clip.get_model_config(model))
    except ConfigError as error:
        raise ModelError(
            f"`{model}` is not a CLIP that is read here: {error.message}", "name one with a plain transformer, as ViT-B-32"
        ) from None


@cache
def _loaded(model: str, weights: str, device: str) -> Clip:
    return Clip(model, weights, device=device)


def load(config: ClipModelConfig, device: str) -> Clip:
    """One for all scorers of a process."""
    return _loaded(config.model, config.weights, device)
