"""Where an exported mesh lies, how large it is, and what viewers are told."""

from __future__ import annotations

import numpy as np

from df3d.mesh.assemble import oriented
from df3d.mesh.options import ExportConfig
from df3d.types import Mesh


def slab() -> Mesh:
    corners = np.array([[x, y, z] for x in (0, 4) for y in (1, 2) for z in (0, 2)], np.float32)
    return Mesh(corners, np.array([[0, 1, 2]]), normals=np.tile(np.float32([0, 1, 0]), (8, 1)))


def box_of(mesh: Mesh) -> list[list[float]]:
    return [mesh.vertices.min(0).tolist(), mesh.vertices.max(0).tolist()]


def test_nothing_moves_by_default() -> None:
    assert box_of(oriented(slab(), ExportConfig())) == [[0, 1, 0], [4, 2, 2]]


def test_it_stands_on_the_ground_or_around_the_origin_as_large_as_asked() -> None:
    assert box_of(oriented(slab(), ExportConfig(origin="base", scale=2.0))) == [[-1, 0, -0.5], [1, 0.5, 0.5]]
    assert box_of(oriented(slab(), ExportConfig(origin="centre"))) == [[-2, -0.5, -1], [2, 0.5, 1]]


def test_up_is_z_and_the_front_looks_along_minus_y() -> None:
    turned = oriented(slab(), ExportConfig(up="z"))
    assert box_of(turned) == [[0, -2, 1], [4, 0, 2]]
    assert turned.normals is not None
    assert turned.normals[0].tolist() == [0, 0, 1]
    a, b, c = turned.vertices[:3]
    d, e, f = slab().vertices[:3]
    x, y, z = np.cross(e - d, f - d)
    assert np.allclose(np.cross(b - a, c - a), (x, -z, y))  # faces still look outwards
