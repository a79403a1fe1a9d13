"""A source: it makes a whole asset in one go. A real one would ask a model about the prompt."""

import numpy as np
from df3d_my_part.config import MyPartConfig

from df3d import Material, Mesh, MeshAsset, Prompt


class MyPart:
    """A ball with bumps; the seed says where they are."""

    def __init__(self, config: MyPartConfig, *, device: str = "cpu") -> None:
        self.config = config

    def make(self, prompt: Prompt, seed: int) -> MeshAsset:
        rings, around = self.config.rings, 2 * self.config.rings
        waves = np.random.default_rng(seed).integers(2, 6, 2)
        u, v = np.meshgrid(np.linspace(0, 1, rings), np.linspace(0, 1, around), indexing="ij")
        theta, phi = np.pi * u, 2 * np.pi * v
        radius = 0.6 * (1 + self.config.bumps * np.sin(waves[0] * theta) ** 2 * np.sin(waves[1] * phi))
        points = np.stack([np.sin(theta) * np.sin(phi), np.cos(theta), np.sin(theta) * np.cos(phi)], axis=-1)
        corner = np.arange(rings * around).reshape(rings, around)
        a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]
        faces = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
        mesh = Mesh(
            (radius[..., None] * points).reshape(-1, 3).astype(np.float32),
            faces,
            normals=points.reshape(-1, 3).astype(np.float32),
            uvs=np.stack([v, 1 - u], -1).reshape(-1, 2).astype(np.float32),
        )
        return MeshAsset(mesh, Material(np.full((8, 8, 3), (0.9, 0.5, 0.2), np.float32)))
