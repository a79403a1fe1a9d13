"""A pipeline folder whose network is a transformer becomes a `TransformerDenoiser`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from torch import Tensor

from df3d.errors import ModelError
from df3d_diffusion.folder import config, has, pixels_per_latent, read_json
from df3d_diffusion.latent import without_decoder
from df3d_diffusion.networks import check, encoders, frozen, reported, save_activations, scheduler_of, vae_of, whole
from df3d_diffusion.text import CachedText, Encoder, fingerprint
from df3d_diffusion.transformer import FAMILIES, Family, TransformerDenoiser

CLIP_TOKENS = 77
USUAL_SIZE = 512  # pixels, where a model does not say


def load_transformer(
    folder: Path, index: dict[str, Any], *, device: str, dtype: torch.dtype, vae: Path | None, checkpoint_vae: bool, size: int
) -> TransformerDenoiser:
    """Raises ModelError, naming what is missing, when it is no whole pipeline of a family that df3d knows."""
    place = folder / "transformer"
    table = config(place)
    name = str(table.get("_class_name"))
    family = FAMILIES.get(name)
    kind = getattr(diffusers, name, None) if family else None
    if family is None:
        raise ModelError(f"`{folder}` has a {name[:60]}, which df3d does not know", f"it knows {', '.join(FAMILIES)}")
    if kind is None:
        raise ModelError(f"the installed diffusers has no {name}", "python -m pip install -U diffusers")
    names = _encoders(folder, index, family)
    check(place, kind)
    network = frozen(whole(place, kind, torch_dtype=dtype), device)
    encoder = frozen(without_decoder(vae_of(vae or folder / "vae", dtype)), device)
    if checkpoint_vae:
        save_activations(encoder)
    usual = table["sample_size"] * pixels_per_latent(encoder.config) if "sample_size" in table else index.get("default_sample_size")
    text = _text(folder, names, family, table, dtype, device)
    scheduler = _scheduler(folder / "scheduler", family)
    with reported(folder):
        return TransformerDenoiser(
            unet=network, vae=encoder, scheduler=scheduler, text=text, size=size or int(usual or USUAL_SIZE)
        )  # fmt: skip


def _encoders(folder: Path, index: dict[str, Any], family: Family) -> list[str]:
    """The folders of the text encoders that there are; SD3 works without its largest, the third."""
    every = [f"text_encoder{end}" for end in ("", "_2", "_3")[: len(family.encoders)]]
    names = [name for name in every if has(index, name) or (folder / name).is_dir()]
    needed = every if len(every) < 3 else every[:2]
    parts = [*needed, "vae", "scheduler", *(name.replace("text_encoder", "tokenizer") for name in names)]
    missing = [name for name in dict.fromkeys([*parts, *names]) if not (folder / name).is_dir()]
    if missing:
        raise ModelError(f"`{folder}` lacks {', '.join(f'`{name}/`' for name in missing)}", "download the whole pipeline folder")
    return names


def _scheduler(path: Path, family: Family) -> dict[str, Any]:
    """A flow's shift, from its configuration; a diffusion model's alphabar."""
    if family.flow:
        return read_json(path / "scheduler_config.json")
    return {"alphas_cumprod": scheduler_of(path).alphas_cumprod}


def _text(
    folder: Path, names: list[str], family: Family, table: dict[str, Any], dtype: torch.dtype, device: str
) -> CachedText:  # fmt: skip
    kinds = {name: _kind(folder / name, known) for name, known in zip(names, family.encoders, strict=False)}

    def load() -> Encoder:
        parts = encoders(folder, kinds, dtype, device)

        def encode(texts: list[str]) -> Tensor:
            with reported(folder / names[0]):
                if len(family.encoders) == 3:
                    return _three(parts, texts, family.tokens, int(table.get("joint_attention_dim", 4096)))
                return _masked(*parts[0], texts, family.tokens)

        return encode

    key = "\n".join([fingerprint(*(folder / name for name in names)), str(dtype), str(family.tokens)])
    return CachedText(load, key=key, device=device)


def _kind(path: Path, known: tuple[str, ...]) -> Any:
    """The encoder's class, by its configuration, of those that its family may have."""
    found = config(path).get("architectures")
    name = found[0] if isinstance(found, list) and found else known[0]
    if name not in known:
        raise ModelError(f"`{path}` is a {str(name)[:60]}, where its family has {' or '.join(known)}", "take another model")
    if name == "T5GemmaEncoder":
        from transformers.models.t5gemma.modeling_t5gemma import T5GemmaEncoder

        return T5GemmaEncoder
    return getattr(transformers, name)


def _ids(words: Any, network: Any, texts: list[str], length: int) -> Any:
    words.padding_side = "right"
    batch = words(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt", return_attention_mask=True)
    return batch.to(network.device)


def _masked(words: Any, network: Any, texts: list[str], length: int) -> Tensor:
    """(n, L, D + 1): the last hidden states, in lower case as these models were trained, and 1 where a row is no padding."""
    batch = _ids(words, network, [text.lower().strip() for text in texts], length)
    states = network(input_ids=batch.input_ids, attention_mask=batch.attention_mask)[0]
    return torch.cat([states, batch.attention_mask[..., None].to(states)], dim=-1)


def _three(parts: list[tuple[Any, Any]], texts: list[str], length: int, width: int) -> Tensor:
    """(n, L + 1, D): SD3's two CLIPs side by side, then T5 or, without it, zeros; and both CLIPs pooled as the last row.

    arXiv 2403.03206.
    """
    clips = []
    for words, network in parts[:2]:
        clips.append(network(_ids(words, network, texts, CLIP_TOKENS).input_ids, output_hidden_states=True))
    states = torch.cat([found.hidden_states[-2] for found in clips], dim=-1)
    rows = [torch.nn.functional.pad(states, (0, width - states.shape[-1]))]
    if len(parts) == 3:
        words, network = parts[2]
        rows.append(network(_ids(words, network, texts, length).input_ids)[0])
    else:
        rows.append(states.new_zeros(len(texts), length, width))
    pooled = torch.cat([found.text_embeds for found in clips], dim=-1)
    rows.append(torch.nn.functional.pad(pooled, (0, width - pooled.shape[-1]))[:, None])
    return torch.cat(rows, dim=1)
