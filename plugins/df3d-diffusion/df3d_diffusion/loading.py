"""A diffusers pipeline folder becomes a `Denoiser`. safetensors only; no code that comes with weights is run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from df3d.errors import ModelError
from df3d_diffusion.denoiser import Denoiser

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_NEEDED = ("unet", "scheduler", "tokenizer", "text_encoder")


def load(model: str, *, device: str, dtype: str = "auto") -> Denoiser:
    """Load the folder `model`: latent-space when it has a VAE, pixel-space when not.

    Raises ModelError, naming what is missing, when it is not a pipeline folder.
    """
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    folder = Path(model)
    index = _index(folder, model)
    precision = DTYPES[dtype] if dtype != "auto" else torch.bfloat16 if device == "cpu" else torch.float16
    parts = {name: _part(folder, name, precision) for name in (*_NEEDED, *(("vae",) if "vae" in index else ()))}
    for name in ("unet", "vae", "text_encoder"):
        if name in parts:
            parts[name] = parts[name].to(device).requires_grad_(False).eval()
    if "vae" in parts:
        from df3d_diffusion.latent import LatentDenoiser

        return LatentDenoiser(**parts)
    from df3d_diffusion.pixel import PixelDenoiser

    return PixelDenoiser(**parts, layout=index.get("df3d", {}))


def _index(folder: Path, model: str) -> dict[str, Any]:
    if not model:
        raise ModelError(
            "guidance `sds` has no model", "give a diffusers pipeline folder: --set guidance.model=PATH, or use --recipe toybox"
        )
    if not (folder / "model_index.json").is_file():
        raise ModelError(
            f"`{model}` is not a diffusers pipeline folder: it has no model_index.json",
            "download one first, or use --recipe toybox, which needs no download",
        )
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"`{folder / 'model_index.json'}` is damaged: {error}", "download the model again") from None
    missing = [name for name in _NEEDED if not (folder / name).is_dir()]
    if missing:
        raise ModelError(f"`{model}` lacks {', '.join(f'`{name}/`' for name in missing)}", "download the whole pipeline folder")
    return index


def _part(folder: Path, name: str, dtype: torch.dtype) -> Any:
    """One component, by the class its own configuration names."""
    path = folder / name
    try:
        if name == "scheduler":
            return diffusers.DDPMScheduler.from_pretrained(path)
        if name == "tokenizer":
            return transformers.AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        weights: dict[str, Any] = {"torch_dtype" if name in ("unet", "vae") else "dtype": dtype, "use_safetensors": True}
        if name == "unet":
            return diffusers.UNet2DConditionModel.from_pretrained(path, local_files_only=True, **weights)
        if name == "vae":
            return diffusers.AutoencoderKL.from_pretrained(path, local_files_only=True, **weights)
        return _text_encoder(path).from_pretrained(path, local_files_only=True, **weights)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"`{path}` cannot be loaded: {reason}", "download the model again; weights must be .safetensors"
        ) from error


def _text_encoder(path: Path) -> Any:
    """The encoder class: CLIP's text half for Stable Diffusion, T5's encoder for DeepFloyd IF."""
    names = json.loads((path / "config.json").read_text(encoding="utf-8")).get("architectures") or ["CLIPTextModel"]
    known = ("CLIPTextModel", "CLIPTextModelWithProjection", "T5EncoderModel")
    if names[0] not in known:
        raise ModelError(f"`{path}` is a {names[0]}, which df3d does not know", f"it knows {', '.join(known)}")
    return getattr(transformers, names[0])
