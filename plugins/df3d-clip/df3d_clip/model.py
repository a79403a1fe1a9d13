"""A CLIP of open_clip: pictures and texts as unit vectors. safetensors only."""

from __future__ import annotations

from functools import cache

import open_clip
import torch
from torch import Tensor
from torch.nn import functional

from df3d.errors import ModelError, did_you_mean
from df3d_clip.config import ClipModelConfig, folder_of


class Clip:
    """Frozen; images (V, H, W, 3) in [0, 1] and texts become vectors (V, D) of length 1."""

    def __init__(self, model: str, weights: str = "", *, device: str = "cpu") -> None:
        if weights and model not in open_clip.list_models():
            raise ModelError(f"open_clip has no architecture `{model}`", did_you_mean(model, open_clip.list_models()))
        if weights and "hf_tokenizer_name" in open_clip.get_model_config(model)["text_cfg"]:
            raise ModelError(f"`{model}` reads texts with a tokenizer from the hub", "give a folder with open_clip_config.json")
        name = model if weights else f"local-dir:{folder_of(model)}"
        try:
            network = open_clip.create_model(name, pretrained=weights or None, device=device, require_pretrained=True)
            self._tokenize = open_clip.get_tokenizer(name)
        except Exception as error:  # what a damaged file raises depends on where it is damaged
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(f"`{weights or model}` cannot be loaded: {reason}", "download the model again") from None
        self._network = network.requires_grad_(False).eval()
        settings = open_clip.get_model_preprocess_cfg(network)
        self._size = settings["size"][0] if isinstance(settings["size"], tuple | list) else settings["size"]
        self._mean, self._std = (torch.tensor(settings[key], device=device)[None, :, None, None] for key in ("mean", "std"))
        self.device = device

    def images(self, images: Tensor) -> Tensor:
        """Resized bicubically to the network's size; differentiable."""
        pixels = images.to(self.device).permute(0, 3, 1, 2)
        pixels = functional.interpolate(pixels, (self._size, self._size), mode="bicubic", antialias=True, align_corners=False)
        found: Tensor = self._network.encode_image((pixels.clamp(0, 1) - self._mean) / self._std)
        return functional.normalize(found, dim=-1)

    @torch.no_grad()
    def texts(self, texts: list[str]) -> Tensor:
        parts = [self._network.encode_text(self._tokenize(texts[i : i + 64]).to(self.device)) for i in range(0, len(texts), 64)]
        return functional.normalize(torch.cat(parts), dim=-1)


@cache
def _loaded(model: str, weights: str, device: str) -> Clip:
    return Clip(model, weights, device=device)


def load(config: ClipModelConfig, device: str) -> Clip:
    """One for all scorers of a process."""
    return _loaded(config.model, config.weights, device)
