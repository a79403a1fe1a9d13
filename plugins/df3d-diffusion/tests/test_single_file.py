"""What a file of weights is, told before anything is loaded: by the names and shapes in its header."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from df3d_diffusion.config import SdsConfig
from df3d_diffusion.models import ready
from df3d_diffusion.single_file import check_file

from df3d.errors import ModelError

FIRST = "model.diffusion_model.input_blocks.0.0.weight"
WHOLE = {FIRST: (8, 4, 3, 3), "first_stage_model.encoder.conv_in.weight": (8, 3, 3, 3), "cond_stage_model.x": (2, 2)}


def file_of(folder: Path, tensors: dict[str, tuple[int, ...]]) -> Path:
    """A file with these tensors, of zeros."""
    table, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors.items():
        size = 4
        for side in shape:
            size *= side
        table[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}  # type: ignore[dict-item]
        at += size
    header = json.dumps(table).encode()
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(at))
    return path


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({**WHOLE, "lora_unet_down.weight": (2,)}, "is a LoRA"),
        ({"double_blocks.0.img_attn.weight": (2,)}, "is FLUX"),
        ({"model.diffusion_model.joint_blocks.0.x": (2,)}, "is Stable Diffusion 3 in one file"),
        ({"control_model.input_blocks.0.0.weight": (2,)}, "is a ControlNet"),
        ({"emb_params": (2, 768)}, "is an embedding"),
        ({**WHOLE, "conditioner.embedders.0.model.ln.weight": (2,)}, "is SDXL's refiner"),
        ({**WHOLE, FIRST: (8, 9, 3, 3)}, "is an inpainting model"),
        ({**WHOLE, FIRST: (8, 8, 3, 3)}, "is a model that edits pictures"),
        ({**WHOLE, FIRST: (8, 5, 3, 3)}, "is a model that wants a depth map"),
        ({FIRST: (8, 4, 3, 3)}, "is a UNet without a VAE and a text encoder"),
        ({"down_blocks.0.x": (2,)}, "is a UNet without a VAE and a text encoder"),
        ({"encoder.conv_in.weight": (2,), "decoder.conv_in.weight": (2,)}, "is a VAE alone"),
        ({"text_model.embeddings.x": (2,)}, "is a text encoder alone"),
        ({"anything": (2,)}, "is no model that df3d knows"),
    ],
)
def test_a_file_of_another_kind_is_named_before_its_family_is_looked_for(
    tmp_path: Path, tensors: dict[str, tuple[int, ...]], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as error:
        ready(SdsConfig(model=str(file_of(tmp_path, tensors)), family="no-such-family"))
    assert error.value.hint


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<!DOCTYPE html><html>Not found</html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "is a pointer of Git LFS"),
        (b"", "is no safetensors file, or cut short"),
        (struct.pack("<Q", 50) + b"{}", "is no safetensors file, or cut short"),
        (struct.pack("<Q", 2**60) + b"{}", "is no safetensors file, or cut short"),
        (struct.pack("<Q", 8) + b'{"a": 1}', "is no safetensors file, or cut short"),
    ],
)
def test_what_is_no_file_of_weights_is_said_to_be_so(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=message):
        check_file(path)


def test_a_whole_model_passes(tmp_path: Path) -> None:
    check_file(file_of(tmp_path, WHOLE))
