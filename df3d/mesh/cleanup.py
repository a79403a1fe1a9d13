"""A raw mesh made clean: loose pieces dropped, touching sheets taken apart, simplified, with smooth normals."""

from __future__ import annotations

import fast_simplification
import manifold3d
import numpy as np
from scipy import sparse

from df3d.types import Mesh


def clean(mesh: Mesh, *, keep: float, faces: int) -> Mesh:
    """Drop loose pieces with fewer than `keep` of the largest piece's faces, simplify to `faces`, add smooth normals.

    A closed mesh stays closed: a simplification that tears it is tried again with more faces, and left out at last.
    """
    vertices, triangles = _unpinched(*_welded(*_without_floaters(mesh.vertices, mesh.faces, keep)))
    closed, target = is_closed(triangles), faces and max(faces, 4)
    while target and len(triangles) > target:
        fewer = fast_simplification.simplify(vertices.astype(np.float32), triangles.astype(np.int32), target_count=target)
        simple = _unpinched(*_welded(np.asarray(fewer[0], np.float32), np.asarray(fewer[1], np.int64)))
        if len(simple[1]) and (not closed or is_closed(simple[1])):
            vertices, triangles = simple
            break
        target += target // 2  # at least 2
    return Mesh(vertices, triangles, normals=vertex_normals(vertices, triangles))


def is_closed(faces: np.ndarray) -> bool:
    """Whether each edge of the faces (F, 3) has exactly two of them, which run along it in opposite directions."""
    if not len(faces):
        return False
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    there, back = (edges[:, k] * (faces.max() + 1) + edges[:, 1 - k] for k in (0, 1))
    return len(np.unique(there)) == len(there) and bool(np.array_equal(np.sort(there), np.sort(back)))


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(P, 3) unit normals, faces weighted by their area; +Y where a vertex has none."""
    corners = vertices[faces].astype(np.float64)
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros((len(vertices), 3))
    for corner in range(3):
        np.add.at(normals, faces[:, corner], area)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(length > 1e-20, normals / np.maximum(length, 1e-20), (0.0, 1.0, 0.0)).astype(np.float32)


def _without_floaters(vertices: np.ndarray, faces: np.ndarray, keep: float) -> tuple[np.ndarray, np.ndarray]:
    ones = np.ones(len(faces) * 2)
    edges = np.concatenate([faces[:, :2], faces[:, 1:]])
    graph = sparse.coo_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(len(vertices),) * 2)
    _, piece = sparse.csgraph.connected_components(graph, directed=False)
    piece_of_face = piece[faces[:, 0]]
    sizes = np.bincount(piece_of_face, minlength=piece.max() + 1)
    return _compact(vertices, faces[sizes[piece_of_face] >= keep * sizes.max()])


def _welded(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices within 1e-5 made one, and faces without area gone with them; an edge that shrinks to a point opens no hole."""
    _, first, same = np.unique(np.round(vertices.astype(np.float64) / 1e-5), axis=0, return_index=True, return_inverse=True)
    faces = same.reshape(-1)[faces]
    whole = (faces != np.roll(faces, 1, axis=1)).all(1)
    return _compact(vertices[first], faces[whole])


def _unpinched(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sheets that meet in an edge or a vertex come apart there, by Manifold; a mesh that is not closed stays as it is.

    Vertices that become several move a hundredth of the way to their faces' middle, so that welding does not undo it.
    """
    solid = manifold3d.Manifold(manifold3d.Mesh(vertices.astype(np.float32), faces.astype(np.uint32)))
    if solid.status() != manifold3d.Error.NoError or solid.is_empty():
        return vertices, faces
    found = solid.to_mesh()
    apart, corners = found.vert_properties[:, :3].astype(np.float64), found.tri_verts.astype(np.int64)
    _, place, count = np.unique(apart, axis=0, return_inverse=True, return_counts=True)
    middle = np.zeros_like(apart)
    np.add.at(middle, corners.ravel(), np.repeat(apart[corners].mean(1), 3, axis=0))
    middle /= np.bincount(corners.ravel())[:, None]
    several = count[place.reshape(-1)] > 1
    apart[several] += 0.01 * (middle - apart)[several]
    return apart.astype(np.float32), corners


def _compact(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used, faces = np.unique(faces, return_inverse=True)
    return vertices[used], faces.reshape(-1, 3)
