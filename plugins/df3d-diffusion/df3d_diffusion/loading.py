"""A diffusers pipeline folder becomes a `Denoiser`. safetensors only; no code that comes with weights is run."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from safetensors import safe_open
from torch import Tensor

from df3d.errors import ModelError
from df3d_diffusion.denoiser import Denoiser
from df3d_diffusion.folder import check_kind, config, has, is_transformer, plain_copy, read_json
from df3d_diffusion.models import is_single_file, resolve
from df3d_diffusion.networks import (
    check,
    encoders,
    frozen,
    overflows,
    quiet,
    reported,
    save_activations,
    scheduler_of,
    vae_of,
    whole,
)
from df3d_diffusion.single_file import check_file
from df3d_diffusion.text import CachedText, Encoder, fingerprint

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_NEEDED = ("unet", "scheduler", "tokenizer", "text_encoder")
_ENCODERS = ("CLIPTextModel", "CLIPTextModelWithProjection", "T5EncoderModel")
_TOKENS = 77  # texts are cut or padded to this many, or to what the tokenizer allows


def load(
    model: str,
    *,
    device: str,
    dtype: str = "auto",
    vae: str = "",
    checkpoint_vae: bool = False,
    family: str = "sd15",
    size: int = 0,
) -> Denoiser:
    """Load a model by its name, hub ID, folder or single file: latent-space when it has a VAE, pixel-space when not.

    `vae` names another VAE, in the same ways; with `checkpoint_vae` its encoder keeps block boundaries alone for its gradient.
    `size` is how many pixels along an axis the model sees; 0: as many as it was trained on. Raises ModelError, naming what is
    missing, when it is not a pipeline folder.
    """
    quiet()
    precision = DTYPES[dtype] if dtype != "auto" else fastest_dtype(device)
    if not is_single_file(model) and is_transformer(resolve(model)):
        from df3d_diffusion.loading_transformer import load_transformer

        place = resolve(model)
        own = read_json(place / "model_index.json")
        return load_transformer(
            place, own, device=device, dtype=precision, vae=resolve(vae) if vae else None, checkpoint_vae=checkpoint_vae, size=size
        )
    other = vae_of(resolve(vae), precision) if vae else None
    if is_single_file(model):
        unet, own, scheduler, text = _single_file(resolve(model), resolve(family), precision, device)
        other = other or own
    else:
        folder = resolve(model)
        index = _index(folder)
        unet, scheduler = _unet(folder / "unet", precision), scheduler_of(folder / "scheduler")
        text = _text(folder, index, precision, device)
        if "vae" not in index and other is None:
            from df3d_diffusion.pixel import PixelDenoiser

            parts = {"unet": frozen(unet, device), "scheduler": scheduler, "text": text, "layout": index.get("df3d", {})}
            with reported(folder):
                return PixelDenoiser(**parts)
        other = other or vae_of(folder / "vae", precision)
    from df3d_diffusion.latent import LatentDenoiser, without_decoder
    from df3d_diffusion.multiview import MultiViewDenoiser, is_multi_view

    encoder = frozen(without_decoder(other), device)
    if checkpoint_vae:
        save_activations(encoder)
    parts = {"unet": frozen(unet, device), "vae": encoder, "scheduler": scheduler, "text": text, "size": size}
    with reported(Path(model)):
        return MultiViewDenoiser(**parts) if is_multi_view(unet.config) else LatentDenoiser(**parts)


def _single_file(path: Path, family: Path, dtype: torch.dtype, device: str) -> tuple[Any, Any, Any, CachedText]:
    """UNet, VAE, scheduler and texts of a Stable Diffusion in one file; what is no weight comes from the folder `family`."""
    check_file(path)
    index = _index(family)
    if multi_view := _multi_view(path, family, dtype):
        return multi_view, vae_of(family / "vae", dtype), scheduler_of(family / "scheduler"), _text(family, index, dtype, device)
    pair = "text_encoder_2" in _optional(index)
    kind, extra = (
        (diffusers.StableDiffusionXLPipeline, {}) if pair else (diffusers.StableDiffusionPipeline, {"safety_checker": None})
    )
    extra = {**extra, "feature_extractor": None, "image_encoder": None}  # nobody asks for them
    for name in ("unet", "vae", "text_encoder", *(["text_encoder_2"] if pair else [])):
        config(family / name)
    with plain_copy(family, index) as plain, reported(path):
        pipeline = kind.from_single_file(path, config=str(plain), torch_dtype=dtype, local_files_only=True, **extra)
    names = ["", *(["_2"] if pair else [])]
    words = [getattr(pipeline, f"tokenizer{end}") for end in names]
    encoders = [getattr(pipeline, f"text_encoder{end}") for end in names]

    def load() -> Encoder:
        return _reader(list(zip(words, (frozen(deepcopy(encoder), device) for encoder in encoders), strict=True)), index)

    vae = pipeline.vae.float() if overflows(config(family / "vae"), dtype) else pipeline.vae
    text = CachedText(load, key=_text_key(fingerprint(path), dtype, index), device=device)
    return pipeline.unet, vae, scheduler_of(family / "scheduler"), text


def _multi_view(path: Path, family: Path, dtype: torch.dtype) -> Any | None:
    """MVDream's UNet from the file that its authors published, which trained that alone: the rest is the family's."""
    from df3d_diffusion.multiview import PREFIX, RENAMED, TOLD, from_checkpoint

    with reported(path), safe_open(path, framework="pt") as file:
        if not all(PREFIX + name in file.keys() for name in RENAMED):  # noqa: SIM118 - it is no mapping
            return None
        tensors = {name: file.get_tensor(name) for name in file.keys() if name.startswith(PREFIX)}  # noqa: SIM118
        return from_checkpoint(tensors, {**config(family / "unet"), "sample_size": 32, **TOLD}).to(dtype)


def fastest_dtype(device: str) -> torch.dtype:
    """float16 on a GPU; on a CPU bfloat16, or float32 where the CPU has no instructions for it.

    Measured on two such (AVX2) cores: a matrix product in bfloat16 takes several hundred times as long as in float32.
    """
    if torch.device(device).type != "cpu":
        return torch.float16
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32


def _index(folder: Path) -> dict[str, Any]:
    if not (folder / "model_index.json").is_file():
        raise ModelError(
            f"`{folder}` is not a diffusers pipeline folder: it has no model_index.json",
            "`df3d models` lists models by name; --recipe toybox needs none",
        )
    index = read_json(folder / "model_index.json")
    check_kind(str(folder), index, config(folder / "unet") if (folder / "unet" / "config.json").is_file() else {})
    missing = [name for name in (*_NEEDED, *_optional(index)) if not (folder / name).is_dir()]
    if missing:
        raise ModelError(f"`{folder}` lacks {', '.join(f'`{name}/`' for name in missing)}", "download the whole pipeline folder")
    return index


def _optional(index: dict[str, Any]) -> list[str]:
    return [name for name in ("vae", "text_encoder_2", "tokenizer_2") if has(index, name)]


def _unet(path: Path, dtype: torch.dtype) -> Any:
    if "camera_dim" in config(path):  # MVDream in its authors' layout
        from df3d_diffusion.multiview import load_unet

        with reported(path):
            return load_unet(path, dtype)
    check(path, diffusers.UNet2DConditionModel)
    return whole(path, diffusers.UNet2DConditionModel, torch_dtype=dtype)


def _text(folder: Path, index: dict[str, Any], dtype: torch.dtype, device: str) -> CachedText:
    """The text encoder, or for SDXL the two; it is loaded when it is first needed."""
    second = ["_2"] if "text_encoder_2" in _optional(index) else []
    names = [f"text_encoder{end}" for end in ("", *second)]
    kinds = {name: getattr(transformers, _kind(folder / name)) for name in names}

    def load() -> Encoder:
        parts = encoders(folder, kinds, dtype, device)
        reader = _reader(parts, index)

        def encode(texts: list[str]) -> Tensor:
            with reported(folder / names[0]):
                return reader(texts)

        return encode

    return CachedText(load, key=_text_key(fingerprint(*(folder / name for name in names)), dtype, index), device=device)


def _reader(parts: list[tuple[Any, Any]], index: dict[str, Any]) -> Encoder:
    """Texts by one tokenizer and encoder, or by SDXL's two."""
    if len(parts) == 1:
        return lambda texts: _single(*parts[0], texts)
    return lambda texts: _pair(parts, texts, empty_is_zero=_empty_is_zero(index))


def _empty_is_zero(index: dict[str, Any]) -> bool:
    """SDXL was trained with zeros in place of the encodings of no text."""
    return bool(index.get("force_zeros_for_empty_prompt", True))


def _text_key(weights: str, dtype: torch.dtype, index: dict[str, Any]) -> str:
    return "\n".join((weights, str(dtype), *(["zeros"] if "text_encoder_2" in _optional(index) and _empty_is_zero(index) else [])))


def _kind(path: Path) -> str:
    """The encoder's class: CLIP's text half for Stable Diffusion, T5's encoder for DeepFloyd IF."""
    found = config(path).get("architectures")
    kind = found[0] if isinstance(found, list) and found else "CLIPTextModel"
    if kind not in _ENCODERS:
        raise ModelError(f"`{path}` is a {kind}, which df3d does not know", f"it knows {', '.join(_ENCODERS)}")
    return str(kind)


def _tokens(tokenizer: Any, network: Any, texts: list[str]) -> Any:
    length = min(tokenizer.model_max_length, _TOKENS)
    batch = tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    return batch.to(network.device)


def _single(tokenizer: Any, network: Any, texts: list[str]) -> Tensor:
    """(n, L, D): the last hidden states; T5, as DeepFloyd IF uses it, reads lower case and does not look at padding."""
    if isinstance(network, transformers.T5EncoderModel):
        tokens = _tokens(tokenizer, network, [text.lower().strip() for text in texts])
        return network(tokens.input_ids, attention_mask=tokens.attention_mask).last_hidden_state
    return network(_tokens(tokenizer, network, texts).input_ids).last_hidden_state


def _pair(parts: list[tuple[Any, Any]], texts: list[str], *, empty_is_zero: bool) -> Tensor:
    """(n, L + 1, D): SDXL's two encoders side by side, their states before the last layer (arXiv 2307.01952, section 2.1).

    The last row is the second encoder's pooled state, filled up with zeros.
    """
    found = [network(_tokens(tokenizer, network, texts).input_ids, output_hidden_states=True) for tokenizer, network in parts]
    states = torch.cat([output.hidden_states[-2] for output in found], dim=-1)
    pooled = found[1].text_embeds
    row = torch.nn.functional.pad(pooled, (0, states.shape[-1] - pooled.shape[-1]))
    encoded = torch.cat([states, row[:, None]], dim=1)
    if empty_is_zero:
        encoded[[text == "" for text in texts]] = 0.0
    return encoded
