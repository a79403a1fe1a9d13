"""The hash encoding of tinycudann, where it is installed and a GPU is there (github.com/NVlabs/tiny-cuda-nn)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from df3d.errors import PluginError
from df3d_hashgrid.config import GridConfig

try:
    import tinycudann
except Exception as error:  # it raises EnvironmentError, not only ImportError, where its build does not fit the GPU
    tinycudann, REASON = None, str(error)


class TcnnEncoding(nn.Module):
    """tinycudann keeps a table layout of its own: a checkpoint made with it needs it again."""

    def __init__(self, config: GridConfig) -> None:
        super().__init__()
        if tinycudann is None:
            raise PluginError(f"hash-grid backend `tcnn` needs tinycudann: {REASON}", "set field.backend to triton or torch")
        self.levels, self.features = config.levels, config.features
        growth = (config.finest / config.base) ** (1 / max(config.levels - 1, 1))
        options = {
            "otype": "HashGrid",
            "n_levels": config.levels,
            "n_features_per_level": config.features,
            "log2_hashmap_size": config.log2_table,
            "base_resolution": config.base,
            "per_level_scale": growth,
        }
        self._encoding = tinycudann.Encoding(3, options, dtype=torch.float32)

    @property
    def table(self) -> nn.Parameter:
        return self._encoding.params

    def forward(self, points: Tensor, levels: int) -> Tensor:
        features = self._encoding(points)
        if levels < self.levels:
            features = features * (torch.arange(features.shape[1], device=points.device) < levels * self.features)
        return features

    def gradient(self, points: Tensor, cotangent: Tensor, levels: int) -> Tensor:
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            return torch.autograd.grad(self(points, levels), points, cotangent, create_graph=True)[0]
