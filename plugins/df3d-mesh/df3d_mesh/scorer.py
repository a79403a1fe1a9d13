"""The scorer `geometry`: what is right and wrong with a mesh file, without any model."""

from __future__ import annotations

import numpy as np
import trimesh

from df3d.cpu import kernel
from df3d.evaluate import Subject
from df3d.plugin import NoConfig
from df3d.types import Mesh
from df3d_mesh.intersections import intersecting
from df3d_mesh.trimeshes import shape

TEXELS = 1024  # a side of the grid on which the overlap of UV islands is counted


class GeometryScorer:
    """Measures of the mesh as it is in the file, but for seams of the texture, which are closed first.

    - `watertight`: 1 when each edge has two faces; `components`; `genus`: handles of all components together, of a
      watertight mesh.
    - `triangles`, `vertices`; `degenerate`: share of faces without area; `flipped`: share of edges whose two faces
      disagree on which side is outside; `boundary`: share of edges with one face, `nonmanifold`: with three or more;
      `self_intersections`: share of faces that pass through another one.
    - `uv_coverage`: share of the texture that islands cover; `uv_overlap`: share of that which more than one face claims;
      `texel_density`: texels along a side of the square of a world unit, where the longest side of the object is 1.
    - `bytes`: of the file.
    """

    def __init__(self, config: NoConfig, *, device: str = "cpu") -> None: ...

    def score(self, subject: Subject) -> dict[str, float]:
        asset = subject.asset
        mesh = shape(asset.mesh)
        mesh.merge_vertices(merge_tex=True, merge_norm=True)
        ends = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
        count, flipped = edges(ends)
        found = {
            "watertight": float(bool((count == 2).all())),
            "components": float(mesh.body_count),
            "triangles": float(len(mesh.faces)),
            "vertices": float(len(asset.mesh.vertices)),
            "degenerate": float((mesh.area_faces < 1e-12 * max(mesh.extents.max(), 1e-9) ** 2).mean()),
            "flipped": flipped,
            "boundary": float((count == 1).mean()),
            "nonmanifold": float((count > 2).mean()),
            "bytes": float(subject.target.path.stat().st_size),
        }
        crossing = intersecting(mesh.vertices, mesh.faces)
        if crossing is not None:
            found["self_intersections"] = float(crossing.mean())
        if found["watertight"]:
            found["genus"] = found["components"] - mesh.euler_number / 2
        if asset.mesh.uvs is not None:
            found |= _texture(asset.mesh, mesh, asset.material.base_color.shape[:2])
        return found


def edges(ends: np.ndarray) -> tuple[np.ndarray, float]:
    """How many faces each edge has, from all faces' sides (3F, 2); and the share of two-faced edges run the same way twice."""
    low, high = ends.min(1), ends.max(1)
    _, index, count = np.unique(low * (high.max() + 1) + high, return_inverse=True, return_counts=True)
    forward = np.bincount(index, weights=ends[:, 0] < ends[:, 1], minlength=len(count))
    pairs = count == 2
    return count, float((forward[pairs] != 1).mean()) if pairs.any() else 0.0


def _texture(mesh: Mesh, closed: trimesh.Trimesh, size: tuple[int, ...]) -> dict[str, float]:
    assert mesh.uvs is not None
    corners = mesh.uvs[mesh.faces].astype(np.float64)
    claims = np.zeros((TEXELS, TEXELS), np.int32)
    _count(corners * TEXELS, claims)
    covered = claims > 0
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / 2
    surface = closed.area / max(closed.extents.max(), 1e-9) ** 2
    return {
        "uv_coverage": float(covered.mean()),
        "uv_overlap": float((claims > 1).sum() / max(covered.sum(), 1)),
        "texel_density": float(np.sqrt(area * size[0] * size[1] / max(surface, 1e-12))),
    }


@kernel
def _count(corners, claims):
    """Add 1 to each cell whose centre lies strictly inside a triangle; corners (F, 3, 2) in cells."""
    size = claims.shape[0]
    for f in range(corners.shape[0]):
        ax, ay, bx, by = corners[f, 0, 0], corners[f, 0, 1], corners[f, 1, 0], corners[f, 1, 1]
        cx, cy = corners[f, 2, 0], corners[f, 2, 1]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if abs(area) < 1e-12:
            continue
        for row in range(max(0, int(min(ay, by, cy))), min(size, int(max(ay, by, cy)) + 1)):
            y = row + 0.5
            for col in range(max(0, int(min(ax, bx, cx))), min(size, int(max(ax, bx, cx)) + 1)):
                x = col + 0.5
                u = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / area
                v = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / area
                if u > 1e-9 and v > 1e-9 and u + v < 1.0 - 1e-9:
                    claims[row, col] += 1
