"""How a CLIP of open_clip is built, as its own file says, read by us: open_clip would run code and fetch files that it names."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import open_clip
import torch
from safetensors import SafetensorError, safe_open

from df3d import option, parse
from df3d.errors import ConfigError, ModelError
from df3d.system.files import read_text

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # OpenAI's (arXiv 2103.00020)


@dataclass(frozen=True, kw_only=True)
class Vision:
    """`vision_cfg`: a vision transformer, or with four `layers` a ResNet."""

    layers: int | tuple[int, int, int, int] = option(12, "", low=1, high=64)
    width: int = option(768, "", low=1, high=4096)
    head_width: int = option(64, "", low=1, high=512)
    mlp_ratio: float = option(4.0, "", low=0.1, high=16)
    patch_size: int = option(16, "", low=1, high=64)
    image_size: int | tuple[int, int] = option(224, "", low=8, high=1024)
    ls_init_value: float | None = option(None, "")
    patch_dropout: float = option(0.0, "", low=0, high=1)
    no_ln_pre: bool = option(False, "")
    final_ln_after_pool: bool = option(False, "")
    pool_type: Literal["tok", "avg", "none"] = option("tok", "")


@dataclass(frozen=True, kw_only=True)
class Text:
    """`text_cfg`: a text transformer that reads with CLIP's own tokenizer."""

    context_length: int = option(77, "", low=1, high=1024)
    vocab_size: int = option(49408, "", low=1, high=1_000_000)
    width: int = option(512, "", low=1, high=4096)
    heads: int = option(8, "", low=1, high=128)
    layers: int = option(12, "", low=1, high=64)
    mlp_ratio: float = option(4.0, "", low=0.1, high=16)
    ls_init_value: float | None = option(None, "")
    no_causal_mask: bool = option(False, "")
    pool_type: Literal["first", "last", "argmax", "none"] = option("argmax", "")
    proj_bias: bool = option(False, "")


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """`model_cfg`."""

    embed_dim: int = option(512, "", low=1, high=4096)
    vision_cfg: Vision = option(Vision(), "")
    text_cfg: Text = option(Text(), "")
    quick_gelu: bool = option(False, "")


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """`preprocess_cfg`: what is done to pictures first."""

    mean: tuple[float, float, float] = option(MEAN, "", low=-10, high=10)
    std: tuple[float, float, float] = option(STD, "", low=1e-3, high=10)
    size: int | tuple[int, ...] = option(224, "", low=1, high=1024)
    mode: Literal["RGB"] = option("RGB", "")
    interpolation: str = option("bicubic", "")
    resize_mode: str = option("shortest", "")
    fill_color: int = option(0, "", low=0, high=255)


def read(path: Path) -> tuple[Architecture, Preprocessing]:
    """What an `open_clip_config.json` says.

    Raises ModelError when it says anything that is not known here.
    """
    try:
        table = json.loads(read_text(path, 1 << 20))
        if not isinstance(table, dict) or not isinstance(table.get("model_cfg"), dict):
            raise ConfigError("it has no table `model_cfg`")
        return of_table(table["model_cfg"]), parse(Preprocessing, table.get("preprocess_cfg") or {}, "preprocess_cfg")
    except ConfigError as error:
        raise ModelError(f"`{path}` is not a CLIP that is read here: {error.message}", _HINT) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"`{path}` is damaged: {error}", "download the model again") from None


_HINT = "give a CLIP with a plain vision transformer, such as a name of `df3d models` that begins with clip-"


def of_table(table: dict[str, Any]) -> Architecture:
    """An architecture from open_clip's table of it.

    Raises ConfigError when it has anything that is not known here.
    """
    return parse(Architecture, table, "model_cfg")


def build(architecture: Architecture, weights: Path) -> open_clip.CLIP:
    """The network with its weights, a safetensors file.

    Raises ModelError when the two do not fit each other.
    """
    options = asdict(architecture)
    try:
        with torch.device("meta"):
            asked = sum(parameter.numel() for parameter in _network(options).parameters())
        with safe_open(weights, framework="pt") as file:
            there = sum(torch.Size(file.get_slice(name).get_shape()).numel() for name in file.keys())  # noqa: SIM118
        if asked > 2 * there:
            raise ModelError(f"`{weights}` holds {there:,} numbers, and its architecture has {asked:,}", "download the model again")
        network = _network(options)
        open_clip.load_checkpoint(network, str(weights))
    except (OSError, SafetensorError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"`{weights}` cannot be loaded: {reason}", "download the model again") from None
    return network


def _network(options: dict[str, Any]) -> open_clip.CLIP:
    vision, text = open_clip.CLIPVisionCfg(**options["vision_cfg"]), open_clip.CLIPTextCfg(**options["text_cfg"])
    return open_clip.CLIP(options["embed_dim"], vision, text, quick_gelu=options["quick_gelu"])
