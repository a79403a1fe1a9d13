"""Options of the CLIP scorers and of CLIP guidance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from df3d import option
from df3d.errors import ModelError


@dataclass(frozen=True, kw_only=True)
class ClipModelConfig:
    """Which CLIP."""

    model: str = option("clip-b32", "a name of `df3d models`, a hub ID, or a folder with open_clip_config.json")
    weights: str = option("", "a .safetensors file; `model` is then what open_clip calls its architecture, as in ViT-B-32")


@dataclass(frozen=True, kw_only=True)
class ClipScorerConfig(ClipModelConfig):
    """CLIP score and CLIP R-Precision."""

    pool: str = option("", "text file of captions, a line each, to retrieve the prompt among; the shipped ones when not given")
    template: str = option("{}", "what a caption is read as, `{}` stands for it")

    def __post_init__(self) -> None:
        if self.template.count("{}") != 1:
            raise ValueError("`template` must hold `{}` once")


@dataclass(frozen=True, kw_only=True)
class JanusConfig(ClipModelConfig):
    """How many faces, by CLIP."""

    views: int = option(36, "pictures around the object", low=12, high=720)
    temperature: float = option(0.01, "of the softmax over front, side and back")
    smoothing: float = option(20.0, "degrees over which probabilities are averaged before faces are counted")

    def __post_init__(self) -> None:
        if self.views % 12:
            raise ValueError("`views` must be a multiple of 12: opposite sides and thirds are compared")
        if not self.temperature > 0 or self.smoothing < 0:
            raise ValueError("`temperature` must be more than 0, `smoothing` at least 0")


@dataclass(frozen=True, kw_only=True)
class ClipGuidanceConfig(ClipModelConfig):
    """Dream Fields (arXiv 2112.01455): renders that CLIP finds like the prompt."""

    scale: float = option(100.0, "factor on the loss, 1 - cosine similarity")
    augmentations: int = option(4, "random crops of each render that CLIP is shown", low=1, high=256)
    crop: float = option(0.7, "smallest side of a crop, as a share of the render's")

    def __post_init__(self) -> None:
        if not 0 < self.crop <= 1:
            raise ValueError("`crop` must be above 0 and at most 1")


def ready(config: ClipModelConfig) -> None:
    """Raises ModelError when the CLIP is not on this machine."""
    if not config.weights:
        folder_of(config.model)
    elif not Path(config.weights).is_file() or Path(config.weights).suffix != ".safetensors":
        raise ModelError(f"there is no .safetensors file `{config.weights}`", "check the path")


def folder_of(model: str) -> Path:
    """The folder of a CLIP: open_clip_config.json and weights in safetensors.

    Raises ModelError when it is not there or not one.
    """
    from df3d_diffusion.models import resolve

    try:
        folder = resolve(model)
    except ModelError as error:
        raise ModelError(
            error.message, f"{error.hint}; for an architecture of open_clip name its file too, with the option `weights`"
        ) from None
    if not (folder / "open_clip_config.json").is_file() or not any(folder.glob("open_clip*.safetensors")):
        raise ModelError(
            f"`{folder}` is not a CLIP of open_clip: it lacks open_clip_config.json or open_clip_model.safetensors",
            "give a name of `df3d models` that begins with clip-, or such a folder",
        )
    return folder
