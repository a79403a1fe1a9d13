"""Multi-view diffusion: several pictures of one object, seen from different sides, denoised together (MVDream, arXiv 2308.16512).

MVDream's network is Stable Diffusion's UNet with two changes (section 3.1): its self-attention looks at all views of an object at
once, and the camera, a matrix of 16 numbers, is added to the time embedding. Both fit a stock UNet of diffusers: an attention
processor, and a class embedding that projects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from safetensors.torch import load_file
from torch import Tensor

from df3d.errors import ModelError
from df3d.types import Cameras
from df3d_diffusion.folder import AGAIN, check_size, config
from df3d_diffusion.joint import join_views
from df3d_diffusion.latent import LatentDenoiser

VIEWS = 4  # of one object, side by side in a batch, 90 degrees apart
CAMERA = 16  # numbers of a camera
TOLD = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": CAMERA}  # of a stock UNet that knows cameras
PREFIX = "model.diffusion_model."  # of the network's weights, in files as their authors published them
TO_BLENDER = torch.tensor([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])  # from y up to z up
RENAMED = {
    "camera_embed.0.weight": "class_embedding.linear_1.weight", "camera_embed.0.bias": "class_embedding.linear_1.bias",
    "camera_embed.2.weight": "class_embedding.linear_2.weight", "camera_embed.2.bias": "class_embedding.linear_2.bias",
}  # fmt: skip


class MultiViewDenoiser(LatentDenoiser):
    """MVDream: every four rows are the views of one object. Without cameras each row is a picture of its own."""

    knows_cameras = True
    group = VIEWS

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._joint = join_views(self.unet, VIEWS)

    def predict(self, noisy: Tensor, timestep: Tensor, text: Tensor, cameras: Cameras | None) -> Tensor:
        if cameras is None:
            with self._alone():
                return super().predict(noisy, timestep, text, None)
        return super().predict(noisy, timestep, text, cameras)

    def labels(self, cameras: Cameras | None) -> Tensor | None:
        return None if cameras is None else camera_code(cameras)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No camera, and no look at other views, as in the pictures among the training data."""
        embedding, self.unet.class_embedding = self.unet.class_embedding, None
        try:
            with self._joint.alone():
                yield
        finally:
            self.unet.class_embedding = embedding


def camera_code(cameras: Cameras) -> Tensor:
    """(V, 16): camera-to-world, z up, at distance 1, row by row, as MVDream was trained (its camera_utils.py)."""
    pose = TO_BLENDER.to(cameras.pose) @ cameras.pose
    pose[:, :3, 3] = torch.nn.functional.normalize(pose[:, :3, 3], dim=-1)
    return pose.flatten(1)


def is_multi_view(unet: Mapping[str, Any]) -> bool:
    """Whether a UNet's config.json is of such a network, in the layout of its authors or as a stock UNet."""
    return unet.get("camera_dim") == CAMERA or all(unet.get(key) == value for key, value in TOLD.items())


def load_unet(folder: Path, dtype: torch.dtype) -> Any:
    """A stock UNet from a folder in the layout of MVDream's authors: `unet/` of their port to diffusers.

    Raises ModelError when it is another network, or lacks weights.
    """
    table = config(folder)
    if table.get("ip_dim"):
        raise ModelError(f"`{folder}` is ImageDream, which wants a picture beside the text", "take MVDream: `df3d models` lists it")
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError(f"`{folder}` holds no weights in .safetensors", AGAIN)
    stock = stock_config(table)
    check_size(folder, lambda: diffusers.UNet2DConditionModel.from_config(stock))
    return from_checkpoint({PREFIX + name: tensor for file in files for name, tensor in load_file(file).items()}, stock).to(dtype)


def stock_config(table: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a stock UNet from that of MVDream's own."""
    width, factors = int(table["model_channels"]), [int(factor) for factor in table["channel_mult"]]
    looks = [2**level in table["attention_resolutions"] for level in range(len(factors))]
    widths = [width * factor for factor in factors]
    head = int(table["num_head_channels"])
    return {
        "sample_size": int(table["image_size"]),
        "in_channels": int(table["in_channels"]),
        "out_channels": int(table["out_channels"]),
        "block_out_channels": widths,
        "layers_per_block": int(table["num_res_blocks"]),
        "down_block_types": ["CrossAttnDownBlock2D" if look else "DownBlock2D" for look in looks],
        "up_block_types": ["CrossAttnUpBlock2D" if look else "UpBlock2D" for look in reversed(looks)],
        "attention_head_dim": [wide // head for wide in widths],  # diffusers calls the number of heads so
        "cross_attention_dim": int(table["context_dim"]),
        "transformer_layers_per_block": int(table.get("transformer_depth", 1)),
        "use_linear_projection": True,
        **TOLD,
    }


def from_checkpoint(tensors: Mapping[str, Tensor], stock: Mapping[str, Any]) -> Any:
    """A stock UNet with the weights of a file as MVDream's authors published it, names and all.

    Raises ModelError when weights are missing, or of another shape.
    """
    plain = {key: value for key, value in stock.items() if key != "class_embed_type"}
    state = convert_ldm_unet_checkpoint(dict(tensors), plain)
    state |= {new: tensors[PREFIX + old] for old, new in RENAMED.items() if PREFIX + old in tensors}
    with torch.device("meta"):
        unet = diffusers.UNet2DConditionModel.from_config(dict(stock))
    needed = unet.state_dict()
    if wrong := next((name for name in needed if name not in state or state[name].shape != needed[name].shape), None):
        raise ModelError(f"the weights of a multi-view UNet lack `{wrong}`, or have it in another shape", AGAIN)
    unet.load_state_dict({name: state[name] for name in needed}, assign=True)
    return unet
