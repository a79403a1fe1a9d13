"""Model folders of strangers: what their JSON may say. No class, no module and no size is taken from it unchecked."""

from __future__ import annotations

import json
import math
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from df3d.errors import ModelError
from df3d.system.files import read_text

CLASSES = {  # of a pipeline's parts, wherever its own model_index.json would have them from
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "scheduler": ["diffusers", "DDPMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer_2": ["transformers", "CLIPTokenizer"],
}
REFUSED = ("auto_map", "quantization_config")  # they bring in code, or other libraries
MOST = 1_000_000  # what a number of a configuration may be
DEEPEST = 128  # and one that counts layers
AGAIN = "download the model again"
KNOWN = "take Stable Diffusion 1.5, 2.1, XL or 3.5, MVDream, PRX, SANA, PixArt-Sigma or DeepFloyd IF: `df3d models` lists them"
TRANSFORMERS = ("SD3Transformer2DModel", "SanaTransformer2DModel", "PRXTransformer2DModel", "PixArtTransformer2DModel")


def read_json(path: Path) -> dict[str, Any]:
    """A table of a model folder.

    Raises ModelError when it is damaged, or none.
    """
    try:
        table = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "it is nested too deeply"
        raise ModelError(f"`{path}` is damaged: {reason}", AGAIN) from None
    if not isinstance(table, dict):
        raise ModelError(f"`{path}` is damaged: it is not a table", AGAIN)
    return table


def check_kind(name: str, index: dict[str, Any], unet: dict[str, Any]) -> None:
    """Raises ModelError when df3d does not know the kind of a pipeline: its model_index.json, and its UNet's config.json or {}."""
    kind = str(index.get("_class_name", "pipeline"))[:60]
    if has(index, "transformer") and not unet:
        if str(index["transformer"][-1]) in TRANSFORMERS:
            return
        raise ModelError(f"`{name}` is a {kind}, whose network is a transformer that df3d does not know", KNOWN)
    if "text_encoder" in index and not has(index, "text_encoder") and has(index, "text_encoder_2"):
        what = "without its first text encoder, as SDXL's refiner is: it only finishes pictures"
        raise ModelError(f"`{name}` is a {kind} {what}", KNOWN)
    if unet.get("in_channels") == 9:
        raise ModelError(f"`{name}` is an inpainting model: it wants a picture and a mask beside the text", KNOWN)


def is_transformer(folder: Path) -> bool:
    """Whether a pipeline folder has a transformer in place of a UNet."""
    return (folder / "transformer" / "config.json").is_file() and not (folder / "unet").is_dir()


def pixels_per_latent(vae: Mapping[str, Any]) -> int:
    """Along an axis, by a VAE's configuration: each of its blocks but one halves the picture."""
    blocks = vae.get("block_out_channels") or vae.get("encoder_block_out_channels") or (0,) * 4
    return int(2 ** (len(blocks) - 1))


def has(index: dict[str, Any], name: str) -> bool:
    """Whether an index names a class for a part."""
    return isinstance(index.get(name), list) and any(index[name])


def config(folder: Path) -> dict[str, Any]:
    """A network's config.json.

    Raises ModelError when it asks for code, or for what no network of its kind is.
    """
    table = read_json(folder / "config.json")
    for key in REFUSED:
        if key in table:
            raise ModelError(f"`{folder}` asks for `{key}`, which df3d does not follow", "give a model of plain weights")
    if (folder / "adapter_config.json").exists():
        raise ModelError(f"`{folder}` is an adapter to another model", "give the whole model")
    for key, number in _numbers(table):
        if abs(number) > (DEEPEST if "layers" in key else MOST):
            raise ModelError(f"`{folder / 'config.json'}` is damaged: `{key}` cannot be {number:g}", AGAIN)
    return table


def _numbers(value: Any, key: str = "", depth: int = 0) -> Iterator[tuple[str, float]]:
    """Every number in a table, by its key."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _numbers(inner, str(name), depth + 1)
    elif isinstance(value, list):
        if len(value) > MOST:
            yield key, math.inf
        for inner in value:
            yield from _numbers(inner, key, depth + 1)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, float(value) if abs(value) < 1e300 else math.inf  # NaN too


def check_size(folder: Path, build: Callable[[], Any]) -> None:
    """Build a network without memory for its weights, and refuse it where it is larger than what its files hold.

    Raises ModelError.
    """
    import torch

    with torch.device("meta"):
        asked = sum(parameter.numel() for parameter in build().parameters())
    there = parameters(folder)
    if not there:
        raise ModelError(f"`{folder}` holds no weights in .safetensors", AGAIN)
    if asked > 2 * there:
        raise ModelError(f"`{folder}` holds {there:,} numbers, and its configuration asks for {asked:,}", AGAIN)


def parameters(folder: Path) -> int:
    """How many numbers the safetensors files of a network hold; halves and wholes of the same ones are counted once.

    Raises ModelError when one of them is damaged.
    """
    files = sorted(folder.glob("*.safetensors"))
    halved = [file for file in files if ".fp16" in file.name]
    total = 0
    for file in halved or [file for file in files if ".non_ema" not in file.name]:
        try:
            with file.open("rb") as stream:
                (length,) = struct.unpack("<Q", stream.read(8))
                if length > 100_000_000:  # what safetensors allows
                    raise ValueError("its header is too long")
                header = json.loads(stream.read(length))
            total += sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, struct.error) as error:
            raise ModelError(f"`{file}` is damaged: {error}", AGAIN) from None
    return total


@contextmanager
def plain_copy(folder: Path, index: dict[str, Any]) -> Iterator[Path]:
    """A pipeline folder without weights whose model_index.json names the classes of CLASSES alone."""
    names = [name for name in CLASSES if index.get(name)]
    with TemporaryDirectory() as place:
        copy = Path(place)
        for name in names:
            (copy / name).mkdir()
            for file in sorted((folder / name).iterdir()) if (folder / name).is_dir() else ():
                if file.suffix in (".json", ".txt", ".model") and file.stat().st_size < 1 << 26:
                    shutil.copyfile(file, copy / name / file.name)
        kind = "StableDiffusionXLPipeline" if "text_encoder_2" in names else "StableDiffusionPipeline"
        own = {"_class_name": kind, **{name: CLASSES[name] for name in names}}
        (copy / "model_index.json").write_text(json.dumps(own), encoding="utf-8")
        yield copy
