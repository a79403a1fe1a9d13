"""Marching tetrahedra on a cubic grid whose cells are six tetrahedra each: signed distances become a closed triangle mesh.

A. Doi and A. Koide, "An efficient method of triangulating equi-valued surfaces by using tetrahedral cells" (1991);
differentiable in distances and positions as in DMTet, arXiv 2111.04276, section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import permutations

import torch
from torch import Tensor

# Corner c of a cell lies at the bits (x, y, z) of c. Each order of the axes is a way from corner 0 to corner 7 along three
# edges, and a tetrahedron; all six share the diagonal, and fit those of the neighbouring cells. All are right-handed.
_WAYS = [[0, 1 << a, (1 << a) | (1 << b), 7] for a, b, _ in permutations(range(3))]
_ODD = [sum(x > y for i, x in enumerate(p) for y in p[i + 1 :]) % 2 for p in permutations(range(3))]
TETRAHEDRA = [[way[0], way[2], way[1], way[3]] if odd else way for way, odd in zip(_WAYS, _ODD, strict=True)]


def _triangles(code: int) -> list[tuple[tuple[int, int], tuple[int, int], tuple[int, int]]]:
    """The triangles in a tetrahedron whose corner i is inside where bit i of `code` is set; their corners lie on its edges."""
    inside = [i for i in range(4) if code >> i & 1]
    outside = [i for i in range(4) if not code >> i & 1]
    if len(inside) in (0, 4):
        return []
    if len(inside) == 2:
        i, j, k, l = _even(inside + outside)  # noqa: E741
        return [((i, k), (i, l), (j, l)), ((i, k), (j, l), (j, k))]
    alone, others = (inside, outside) if len(inside) == 1 else (outside, inside)
    i, j, k, l = _even(alone + others)  # noqa: E741
    triangle = ((i, j), (i, k), (i, l))
    return [triangle if len(inside) == 1 else triangle[::-1]]


def _even(order: list[int]) -> list[int]:
    """The same, with the last two exchanged if that makes it an even permutation."""
    odd = sum(x > y for i, x in enumerate(order) for y in order[i + 1 :]) % 2
    return [order[0], order[1], order[3], order[2]] if odd else order


TRIANGLES = [_triangles(code) for code in range(16)]


def march(distances: Tensor, positions: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Vertices (P, 3), faces (F, 3), and the crossed cells (C,), as numbers of their lowest corner.

    distances (R + 1, R + 1, R + 1), negative inside, indexed x, y, z; `positions` gives those (N, 3) of corners by their
    numbers (N,). The vertices are differentiable in both, the faces are counter-clockwise from outside. Where no distance
    changes its sign all are empty.
    """
    size = distances.shape[0]
    inside = distances.detach() < 0
    corners = torch.stack([_corner(inside, c) for c in range(8)])
    x, y, z = (corners.any(0) & ~corners.all(0)).nonzero(as_tuple=True)
    lowest = (x * size + y) * size + z
    tetrahedra = (lowest[:, None] + _steps(size, lowest.device))[:, TETRAHEDRA].reshape(-1, 4)
    flags = inside.flatten()[tetrahedra].long()
    code = (flags << torch.arange(4, device=flags.device)).sum(1)
    edges = [
        tetrahedra[code == c][:, triangle]  # (n, 3 corners, 2 ends)
        for c in range(1, 15)
        for triangle in _table(c)
    ]
    ends = torch.cat(edges).sort(-1).values
    unique, faces = torch.unique(ends[..., 0] * size**3 + ends[..., 1], return_inverse=True)
    a, b = unique // size**3, unique % size**3
    sa, sb = distances.flatten()[a][:, None], distances.flatten()[b][:, None]
    return (positions(a) * sb - positions(b) * sa) / (sb - sa), faces, lowest


def slopes(distances: Tensor, cells: Tensor, cell: float) -> Tensor:
    """(C, 3) mean gradients of the distances in cells of width `cell` that `march` found."""
    size = distances.shape[0]
    sides = torch.tensor([[1.0 if c >> axis & 1 else -1.0 for axis in range(3)] for c in range(8)]).to(distances)
    return distances.flatten()[cells[:, None] + _steps(size, cells.device)] @ sides / (4 * cell)


def _steps(size: int, device: torch.device) -> Tensor:
    """(8,) how far the number of each corner of a cell lies from that of its lowest."""
    return torch.tensor([((c & 1) * size + (c >> 1 & 1)) * size + (c >> 2) for c in range(8)], device=device)


def _corner(values: Tensor, corner: int) -> Tensor:
    x, y, z = (slice(1, None) if corner >> axis & 1 else slice(None, -1) for axis in range(3))
    return values[x, y, z]


@cache
def _table(code: int) -> list[list[list[int]]]:
    return [[list(edge) for edge in triangle] for triangle in TRIANGLES[code]]
