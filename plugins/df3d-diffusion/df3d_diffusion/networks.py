"""Networks, tokenizers and schedules from a folder of strangers: checked against its files, whole, and frozen.

safetensors only; no code that comes with weights is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from df3d.errors import ModelError
from df3d_diffusion.folder import check_size, config

FACTOR = ".int8_factor"  # ends the name of what rows of bytes are multiplied by
VAES = ("AutoencoderKL", "AutoencoderDC", "AutoencoderTiny")


def quiet() -> None:
    """Let the libraries of models say nothing of their own on the terminal."""
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
        library.utils.logging.set_verbosity_error()


def frozen(network: Any, device: str) -> Any:
    return network.to(device).requires_grad_(False).eval()


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside is a ModelError: what a damaged folder raises depends on where it is damaged."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"`{path}` cannot be loaded: {reason}", "download the model again; weights must be .safetensors"
        ) from error


def _variant(path: Path) -> dict[str, Any]:
    """diffusers' and transformers' names for half-precision files, where there are no others."""
    weights = [file.name for file in path.glob("*.safetensors")]
    return {"use_safetensors": True, "variant": "fp16" if weights and all(".fp16" in name for name in weights) else None}


def vae_of(path: Path, dtype: torch.dtype) -> Any:
    """Full (AutoencoderKL, AutoencoderDC) or tiny (TAESD). SDXL's overflows in half precision and says so.

    Raises ModelError when it is another.
    """
    table = config(path)
    name = str(table.get("_class_name", VAES[0]))
    if name not in VAES:
        raise ModelError(f"`{path}` is a {name[:60]}, which df3d does not know", f"it knows {', '.join(VAES)}")
    kind = getattr(diffusers, name)
    check(path, kind)
    return whole(path, kind, torch_dtype=torch.float32 if overflows(table, dtype) else dtype)


def encoders(folder: Path, kinds: dict[str, Any], dtype: torch.dtype, device: str) -> list[tuple[Any, Any]]:
    """The tokenizer and the network of each text encoder, by the names of their folders and their classes."""
    parts = []
    for name, kind in kinds.items():
        check(folder / name, kind)
        network = whole(folder / name, kind, dtype=dtype)
        place = folder / name.replace("text_encoder", "tokenizer")
        with reported(place):
            words = transformers.AutoTokenizer.from_pretrained(place, trust_remote_code=False, local_files_only=True)
        parts.append((words, frozen(network, device)))
    return parts


def whole(path: Path, kind: Any, **options: Any) -> Any:
    """A network with every one of its weights: the libraries would make up those that are missing.

    Raises ModelError.
    """
    with reported(path):
        network, found = kind.from_pretrained(path, output_loading_info=True, local_files_only=True, **options, **_variant(path))
    lacking = sorted([*found.get("missing_keys", ()), *(entry[0] for entry in found.get("mismatched_keys", ()))])
    if lacking:
        raise ModelError(f"`{path}` lacks weights: `{lacking[0]}`, and {len(lacking) - 1} others", "download the model again")
    with reported(path):
        _widen(network, path)
    return network


def pack(path: Path) -> None:
    """Keep the matrices in a network's weights file as bytes, each row with a factor: half of bf16. `whole` reads them back."""
    file = next(path.glob("*.safetensors"))
    packed = {}
    for name, value in load_file(file).items():
        packed[name] = value
        if value.ndim >= 2:
            rows = value.float().flatten(1)
            factor = rows.abs().amax(1).clamp(min=1e-12) / 127
            packed[name] = (rows / factor[:, None]).round().to(torch.int8).view_as(value)
            packed[name + FACTOR] = factor
    save_file(packed, file, metadata={"format": "pt"})


def _widen(network: Any, path: Path) -> None:
    """Multiply what `pack` turned into bytes by its factors."""
    weights = dict(network.named_parameters())
    for one in path.glob("*.safetensors"):
        with safe_open(one, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 - it is no mapping
                if key.endswith(FACTOR):
                    weight = weights[key.removesuffix(FACTOR)]
                    factor = file.get_tensor(key).view(-1, *[1] * (weight.ndim - 1))
                    weight.data = (weight.data.float() * factor).to(weight.dtype)


def check(path: Path, kind: Any) -> None:
    """Raises ModelError when the network that a configuration asks for is none, or larger than its weights."""
    table = config(path)
    of_transformers = issubclass(kind, transformers.PreTrainedModel)
    with reported(path):
        check_size(path, lambda: kind(kind.config_class(**table)) if of_transformers else kind.from_config(table))


def overflows(table: Any, dtype: torch.dtype) -> bool:
    return dtype == torch.float16 and bool(table.get("force_upcast"))


def scheduler_of(path: Path) -> Any:
    with reported(path):
        return diffusers.DDPMScheduler.from_pretrained(path, local_files_only=True)


def save_activations(encoder: Any) -> bool:
    """Let a VAE's encoder keep block boundaries alone for its gradient; False where that cannot be, or is so already.

    diffusers' deep compression encoder cannot; its tiny one forgets, when it does so, to bring pixels from [-1, 1] to [0, 1].
    """
    cannot = isinstance(encoder, diffusers.AutoencoderTiny) or not encoder._supports_gradient_checkpointing
    if cannot or encoder.is_gradient_checkpointing:
        return False
    encoder.enable_gradient_checkpointing()
    return True
