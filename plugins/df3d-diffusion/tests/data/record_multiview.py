"""Record what MVDream's own network and cameras give, for tests of ours.

usage: python record_multiview.py <checkout of ashawkey/mvdream_diffusers> <checkout of bytedance/MVDream> [multiview.safetensors]

Their `MultiViewUNetModel` (mv_unet.py) and `get_camera` (mvdream/camera_utils.py) are run as they are. Replaced: xformers'
attention by torch's, kiui, which only their own camera function needs, and einops where it is not installed. The weights are
drawn by `weight`, which tests repeat, so that they need not be kept.
"""
import importlib.util
import sys
import types
import zlib

import torch
from diffusers.models.modeling_utils import ModelMixin  # noqa: F401 - before the stubs, which it would look for
from safetensors.torch import save_file
from torch.nn import functional

CONFIG = {
    "image_size": 8, "in_channels": 4, "out_channels": 4, "model_channels": 32, "attention_resolutions": [1, 2], "num_res_blocks": 1,
    "channel_mult": [1, 2], "num_head_channels": 16, "transformer_depth": 1, "context_dim": 16, "camera_dim": 16,
}


def weight(name, shape):
    """A weight by its name: normal, small enough for the network to stay tame."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    scale = 0.3 if len(shape) == 1 else 0.7 * (shape[1:].numel() ** -0.5)
    return scale * torch.randn(shape, generator=generator) + (1.0 if len(shape) == 1 and name.endswith("weight") else 0.0)


def load(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def attention(q, k, v, attn_bias=None, op=None):
    """xformers' on (B, L, D)."""
    return functional.scaled_dot_product_attention(q, k, v)


def main():
    port, original, *out = sys.argv[1:]
    stubs = {name: types.ModuleType(name) for name in ("xformers", "xformers.ops", "kiui", "kiui.cam")}
    stubs["xformers"].ops, stubs["xformers.ops"].memory_efficient_attention = stubs["xformers.ops"], attention
    stubs["kiui.cam"].orbit_camera = None
    sys.modules.update(stubs)
    network = load(f"{port}/mv_unet.py", "mv_unet").MultiViewUNetModel(**CONFIG).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(weight(name, parameter.shape))
    cameras = load(f"{original}/mvdream/camera_utils.py", "camera_utils").get_camera
    draw = torch.Generator().manual_seed(0)
    data = {
        "noisy": torch.randn(8, 4, 8, 8, generator=draw), "text": torch.randn(8, 5, 16, generator=draw),
        "timestep": torch.tensor([700] * 4 + [50] * 4), "camera": torch.cat([cameras(4, 15, 0), cameras(4, 40, 30)]),
    }
    with torch.no_grad():
        data["together"] = network(data["noisy"], data["timestep"], data["text"], camera=data["camera"], num_frames=4)
        data["alone"] = network(data["noisy"], data["timestep"], data["text"], num_frames=1)
    save_file(data, out[0] if out else "multiview.safetensors")
    print({name: tuple(tensor.shape) for name, tensor in data.items()})


if __name__ == "__main__":
    main()
