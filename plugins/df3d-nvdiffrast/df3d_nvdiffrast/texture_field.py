"""A surface field whose shape is final: what learns is its texture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor, nn

from df3d.mesh import surface, texture
from df3d.mesh.cleanup import clean
from df3d.protocols import Surface, Volume
from df3d.schedule import Step
from df3d.types import SurfaceMesh, TensorRule
from df3d_nvdiffrast.config import TetsConfig, TextureConfig
from df3d_nvdiffrast.field import TetsField
from df3d_nvdiffrast.texture import sample

DARKEST = 0.01  # texels start at least this far from black and white, where a sigmoid hardly learns


class TextureField(nn.Module):
    """The cleaned, simplified and unwrapped mesh of the field it starts from, with the albedo baked into a texture.

    The texels (T, T, 3), rows from the top, are kept as logits. What is drawn, and learns, is what will be exported: no bake
    comes between. Without a field to start from it is a ball.
    """

    state_rules = {
        "vertices": TensorRule(rows="vertices", low=-10, high=10),
        "faces": TensorRule(rows="faces", indexes="vertices"),
        "uvs": TensorRule(rows="vertices", low=-100, high=100),
    }
    vertices: Tensor
    faces: Tensor
    uvs: Tensor

    def __init__(self, config: TextureConfig, *, device: str = "cpu", start_from: Volume | Surface | None = None) -> None:
        super().__init__()
        self.config = config
        origin = start_from or TetsField(TetsConfig(resolution=16, levels=2, finest=32), device=device)
        raw = surface.mesh_of(origin, resolution=config.resolution)
        mesh = texture.unwrap(clean(raw, keep=config.keep, faces=config.faces), size=config.size)
        assert mesh.uvs is not None
        self.register_buffer("vertices", torch.from_numpy(mesh.vertices))
        self.register_buffer("faces", torch.from_numpy(mesh.faces))
        self.register_buffer("uvs", torch.from_numpy(mesh.uvs))
        baked = torch.from_numpy(texture.bake(mesh, origin, size=config.size))
        self.texels = nn.Parameter(torch.logit(baked, eps=DARKEST))
        self.to(device)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.texels], "lr": self.config.rate}]

    def before_step(self, step: Step) -> None: ...

    def surface(self) -> SurfaceMesh:
        return SurfaceMesh(self.vertices, self.faces, uvs=self.uvs, texture=torch.sigmoid(self.texels))

    def albedo(self, points: Tensor) -> Tensor:
        """That of the vertex nearest to each point."""
        nearest = cKDTree(self.vertices.cpu().numpy()).query(points.detach().cpu().numpy())[1]
        return sample(torch.sigmoid(self.texels), self.uvs[torch.from_numpy(np.asarray(nearest)).to(self.uvs.device)])

    def load_state_dict(self, state: Mapping[str, Tensor], strict: bool = True, assign: bool = False) -> Any:
        """The mesh too, whatever its size was until now."""
        for name in ("vertices", "faces", "uvs"):
            self.register_buffer(name, torch.empty_like(state[name], device=self.texels.device))
        return super().load_state_dict(state, strict=strict, assign=assign)
