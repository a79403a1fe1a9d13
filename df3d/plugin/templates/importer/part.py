"""OFF: a line `OFF`, a line with the numbers of vertices and faces, then these."""

from pathlib import Path

import numpy as np
from df3d_my_part.config import MyPartConfig

from df3d import ExportError, Material, Mesh, MeshAsset


class MyPart:
    def __init__(self, config: MyPartConfig) -> None:
        self.config = config

    def read(self, path: Path) -> MeshAsset:
        """Raises ExportError when it is no OFF file of triangles."""
        try:
            words = path.read_text(encoding="utf-8").split()
            if words[0] != "OFF":
                raise ValueError("it does not begin with OFF")
            count, triangles = int(words[1]), int(words[2])
            numbers = words[4:]
            vertices = np.array(numbers[: 3 * count], np.float32).reshape(count, 3) * self.config.scale
            faces = np.array(numbers[3 * count : 3 * count + 4 * triangles], np.int64).reshape(triangles, 4)
            if not triangles or (faces[:, 0] != 3).any() or faces[:, 1:].min() < 0 or faces[:, 1:].max() >= count:
                raise ValueError("it has no triangles, or they name vertices that it does not have")
        except (OSError, ValueError, IndexError) as error:
            raise ExportError(f"`{path}` cannot be read: {error}", "give an OFF file of triangles") from None
        return MeshAsset(Mesh(vertices, faces[:, 1:], colors=np.ones_like(vertices)), Material(np.ones((1, 1, 3), np.float32)))
