"""Score distillation on the embedded model: the same guidance as `sds`, with the toybox's own reading of the prompt."""

from __future__ import annotations

from df3d_diffusion.loading import load
from df3d_diffusion.sds import Distillation

from df3d.prompt import View
from df3d_toybox.captions import BLANK, SLOTS, read
from df3d_toybox.config import ToyboxConfig
from df3d_toybox.model import FOLDER
from df3d_toybox.winograd import use_winograd


def from_config(config: ToyboxConfig, *, device: str = "cpu") -> Distillation:
    denoiser = load(config.model or str(FOLDER), device=device, dtype=config.dtype)
    if not config.compile:  # torch.compile knows nothing of it
        use_winograd(denoiser.unet)
    return Distillation(config, denoiser, wording=wording)


def wording(text: str, view: View | None) -> str:
    """Free text as the six words of the text encoder; no text at all is six blanks."""
    caption = read(text).caption if text else None
    return caption.canonical(view) if caption else " ".join([BLANK] * SLOTS)
