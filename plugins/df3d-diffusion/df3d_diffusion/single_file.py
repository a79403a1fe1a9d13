"""What a .safetensors file holds, told by the names and shapes in its header, before anything large is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from df3d.errors import ModelError

MOST = 100_000_000  # bytes of a header
WHOLE = "give one file with UNet, VAE and text encoder, or a folder"
OTHER = "take a plain text-to-image model: df3d models lists them"
UNET, FIRST = "model.diffusion_model.", "model.diffusion_model.input_blocks.0.0.weight"
PARTS = ((UNET, "UNet"), ("first_stage_model.", "VAE"), ("cond", "text encoder"))
KINDS = (  # what the beginnings of names say: the first that fits
    (("double_blocks.", f"{UNET}double_blocks."), "FLUX, whose network is a transformer that df3d does not know", OTHER),
    (("joint_blocks.", f"{UNET}joint_blocks."), "Stable Diffusion 3 in one file", "give the folder of its pipeline"),
    (("control_model.", "controlnet_", "input_hint_block."), "a ControlNet, which steers another model", OTHER),
    (("emb_params", "string_to_param", "clip_l", "clip_g"), "an embedding, a word for another model", OTHER),
    (("conditioner.embedders.0.model.",), "SDXL's refiner: it only finishes pictures", OTHER),
)
CHANNELS = {  # that a UNet takes in, where it is no plain model
    9: "an inpainting model: it wants a picture and a mask beside the text",
    8: "a model that edits pictures: it wants one beside the text",
    5: "a model that wants a depth map beside the text",
}


def check_file(path: Path) -> None:
    """Raises ModelError when a file is not a whole Stable Diffusion, and says what it is."""
    tensors = _header(path)

    def begins(*starts: str) -> bool:
        return any(name.startswith(starts) for name in tensors)

    if any("lora" in name.lower() for name in tensors):
        raise ModelError(f"`{path}` is a LoRA, a change to a model and no model", "give the model that it changes")
    for starts, what, hint in KINDS:
        if begins(*starts):
            raise ModelError(f"`{path}` is {what}", hint)
    shape = tensors.get(FIRST, {}).get("shape", [0, 4])
    if len(shape) > 1 and shape[1] in CHANNELS:
        raise ModelError(f"`{path}` is {CHANNELS[shape[1]]}", OTHER)
    missing = [part for start, part in PARTS if not begins(start)]
    if not missing:
        return
    if begins("down_blocks.", UNET):
        raise ModelError(f"`{path}` is a UNet without a {' and a '.join(part for part in missing if part != 'UNet')}", WHOLE)
    if begins("encoder.", "first_stage_model."):
        raise ModelError(f"`{path}` is a VAE alone", f"{WHOLE}; a VAE goes behind --set guidance.vae=")
    if begins("text_model.", "transformer.", "encoder.block."):
        raise ModelError(f"`{path}` is a text encoder alone", WHOLE)
    raise ModelError(f"`{path}` is no model that df3d knows: no name in it is of a UNet", WHOLE)


def _header(path: Path) -> dict[str, Any]:
    """Name, shape and type of each tensor.

    Raises ModelError when it is no safetensors file.
    """
    again = "download the model again; weights must be .safetensors"
    try:
        with path.open("rb") as file:
            begin = file.read(8)
            length = int.from_bytes(begin, "little")
            text = begin + file.read(length if length <= MOST else 64)
    except OSError as error:
        raise ModelError(f"`{path}` cannot be read: {error.strerror}", "check its permissions") from None
    if text.startswith(b"version https://git-lfs"):
        raise ModelError(f"`{path}` is a pointer of Git LFS and not the file itself", "fetch it: git lfs pull")
    if text.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ModelError(f"`{path}` is a web page and no model", again)
    try:
        header = json.loads(text[8:] if len(text) == 8 + length else b"")
        return {str(name): dict(entry) for name, entry in header.items() if name != "__metadata__"}
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise ModelError(f"`{path}` is no safetensors file, or cut short", again) from None
