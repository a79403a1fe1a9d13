"""The scorer `geometry`: what is right and wrong with a mesh file, without any model."""

from __future__ import annotations

import numpy as np
import trimesh
from scipy import sparse

from df3d import NoConfig
from df3d.errors import ExportError
from df3d.protocols import Subject
from df3d.system.cpu import kernel
from df3d.types import Mesh, MeshAsset
from df3d_mesh.intersections import intersecting
from df3d_mesh.writing.trimeshes import shape

TEXELS = 1024  # a side of the grid on which the overlap of UV islands is counted
MOST_CELLS = 1e9  # of that grid, all faces together with repetitions, beyond which the layout is not looked at


class GeometryScorer:
    """Measures of the mesh as it is in the file, but for seams of the texture, which are closed first.

    - `watertight`: 1 when each edge has two faces; `components`: pieces that share no edge; `genus`: handles of all of them
      together, of a watertight mesh. Faces with two equal corners do not count in these.
    - `triangles`, `vertices`; `degenerate`: share of faces without area; `flipped`: share of edges whose two faces
      disagree on which side is outside, and 1 for a watertight mesh that is inside out; `boundary`: share of edges with one
      face, `nonmanifold`: with three or more; `self_intersections`: share of faces that pass through another one.
    - `uv_coverage`: share of the texture that islands cover, a texture that repeats counted once; `uv_overlap`: share of that
      which is claimed more than once, be it by repetition; `texel_density`: texels along a side of the square of a world unit,
      where the longest side of the object is 1. Several textures are measured in the one into which reading packs them.
    - `bytes`: of the file.
    """

    def __init__(self, config: NoConfig, *, device: str = "cpu") -> None: ...

    def score(self, subject: Subject) -> dict[str, float]:
        asset = subject.asset
        if not isinstance(asset, MeshAsset):
            raise ExportError(f"the geometry of {asset.kind} cannot be scored", "give a mesh")
        mesh = shape(asset.mesh)
        mesh.merge_vertices(merge_tex=True, merge_norm=True)
        area = mesh.area_faces
        faces = mesh.faces[(mesh.faces != np.roll(mesh.faces, 1, axis=1)).all(1)]
        sides = sides_of_edges(faces)
        count, flipped = edges(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]))
        watertight = len(faces) > 0 and bool((count == 2).all())
        if watertight and not flipped and mesh.volume < 0:
            flipped = 1.0
        found = {
            "watertight": float(watertight),
            "components": float(pieces(faces, sides)),
            "triangles": float(len(mesh.faces)),
            "vertices": float(len(asset.mesh.vertices)),
            "degenerate": float((area < 1e-12 * mesh.extents.max() ** 2).mean()),
            "flipped": flipped,
            "boundary": float((count == 1).sum() / max(len(count), 1)),
            "nonmanifold": float((count > 2).sum() / max(len(count), 1)),
            "bytes": float(subject.path.stat().st_size),
        }
        crossing = intersecting(mesh.vertices, mesh.faces)
        if crossing is not None:
            found["self_intersections"] = float(crossing.mean())
        if watertight:
            found["genus"] = genus(faces, sides)
        if asset.mesh.uvs is not None:
            found |= _texture(asset.mesh, mesh, asset.material.base_color.shape[:2])
        return found


def genus(faces: np.ndarray, sides: tuple[np.ndarray, np.ndarray]) -> float:
    """Handles of a watertight mesh (F, 3), with its `sides_of_edges`, all pieces together: pieces - (V - E + F) / 2.

    Pieces that share a vertex and no edge are two, and the vertex counts for each: what counts as one is a fan of faces.
    """
    (first, second), count, start = sides, len(faces), faces.ravel()
    after = np.arange(3 * count).reshape(-1, 3)[:, [1, 2, 0]].ravel()
    same_way = start[first] == start[second]
    fans = _groups(
        3 * count,
        np.concatenate([first, after[first]]),
        np.concatenate([np.where(same_way, second, after[second]), np.where(same_way, after[second], second)]),
    )
    return pieces(faces, sides) - (fans - len(first) + count) / 2


def pieces(faces: np.ndarray, sides: tuple[np.ndarray, np.ndarray]) -> int:
    """How many groups of faces (F, 3), with their `sides_of_edges`, hang together by edges."""
    first, second = sides
    return _groups(len(faces), first // 3, second // 3)


def sides_of_edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of sides that are one edge, of three or more each with the next; side 3 f + k runs from corner k of face f to the
    next one."""
    start, end = faces.ravel().astype(np.int64), np.roll(faces, -1, axis=1).ravel().astype(np.int64)
    key = np.minimum(start, end) * (len(start) and start.max() + 1) + np.maximum(start, end)
    order = np.argsort(key, kind="stable")
    same = np.flatnonzero(key[order][1:] == key[order][:-1])
    return order[same], order[same + 1]


def _groups(count: int, first: np.ndarray, second: np.ndarray) -> int:
    graph = sparse.coo_matrix((np.ones(len(first)), (first, second)), shape=(count, count))
    return int(sparse.csgraph.connected_components(graph, directed=False)[0])


def edges(ends: np.ndarray) -> tuple[np.ndarray, float]:
    """How many faces each edge has, from all faces' sides (3F, 2); and the share of two-faced edges run the same way twice."""
    if not len(ends):
        return np.zeros(0, int), 0.0
    low, high = ends.min(1), ends.max(1)
    _, index, count = np.unique(low * (high.max() + 1) + high, return_inverse=True, return_counts=True)
    forward = np.bincount(index, weights=ends[:, 0] < ends[:, 1], minlength=len(count))
    pairs = count == 2
    return count, float((forward[pairs] != 1).mean()) if pairs.any() else 0.0


def _texture(mesh: Mesh, closed: trimesh.Trimesh, size: tuple[int, ...]) -> dict[str, float]:
    assert mesh.uvs is not None
    corners = mesh.uvs[mesh.faces].astype(np.float64)
    claims = np.zeros((TEXELS, TEXELS), np.int32)
    if (np.ptp(corners, axis=1) * TEXELS + 1).prod(1).sum() > MOST_CELLS:
        return {}
    _count((corners - np.floor(corners.min(1, keepdims=True))) * TEXELS, claims)
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
    """Add 1 to each cell whose centre lies strictly inside a triangle; corners (F, 3, 2) in cells, from 0 on; beyond the last
    cell comes the first one again."""
    size = claims.shape[0]
    for f in range(corners.shape[0]):
        ax, ay, bx, by = corners[f, 0, 0], corners[f, 0, 1], corners[f, 1, 0], corners[f, 1, 1]
        cx, cy = corners[f, 2, 0], corners[f, 2, 1]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if abs(area) < 1e-12:
            continue
        for row in range(int(min(ay, by, cy)), int(max(ay, by, cy)) + 1):
            y = row + 0.5
            for col in range(int(min(ax, bx, cx)), int(max(ax, bx, cx)) + 1):
                x = col + 0.5
                u = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / area
                v = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / area
                if u > 1e-9 and v > 1e-9 and u + v < 1.0 - 1e-9:
                    claims[row % size, col % size] += 1
