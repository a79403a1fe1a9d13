"""Penalties that come with df3d: functions of a render that return a scalar. Recipes give each its weight.

What each needs of the render is in its record (`df3d/builtin.py`), so it is there.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from df3d.errors import PluginError
from df3d.types import RenderOutput, SurfaceMesh


def opacity(render: RenderOutput, field: object = None) -> Tensor:
    """mean sqrt(o^2 + 0.01) over pixels: keeps space empty (DreamFusion, arXiv 2209.14988, appendix A.2)."""
    return (render.opacity.square() + 0.01).sqrt().mean()


def entropy(render: RenderOutput, field: object = None) -> Tensor:
    """Mean binary entropy of the opacity, in nats: lowest when each pixel is empty or solid (Latent-NeRF, 2211.07600)."""
    o = render.opacity.clamp(1e-4, 1 - 1e-4)
    return -(o * o.log() + (1 - o) * (1 - o).log()).mean()


def orientation(render: RenderOutput, field: object = None) -> Tensor:
    """sum w stop_gradient * max(0, n . d)^2 per ray: visible normals face the camera (Ref-NeRF, arXiv 2112.03907, eq. 11)."""
    samples = render.samples
    if samples is None or samples.normals is None:
        raise ValueError("this penalty looks along rays, and the render has no samples with normals")
    away = (samples.normals * samples.directions).sum(-1).clamp_min(0.0)
    return (samples.weights.detach() * away.square()).sum() / samples.rays


def normal_consistency(render: RenderOutput, field: object = None) -> Tensor:
    """Mean 1 - n_f . n_g over faces f, g that share an edge, n the faces' unit normals."""
    mesh = _mesh(render)
    corners = mesh.vertices[mesh.faces]
    normals = functional.normalize(torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), dim=-1)
    edge, face = _edges(mesh.faces)
    order = edge.argsort(stable=True)
    edge, face = edge[order], face[order]
    shared = edge[1:] == edge[:-1]
    return (1 - (normals[face[1:][shared]] * normals[face[:-1][shared]]).sum(-1)).mean()


def laplacian(render: RenderOutput, field: object = None) -> Tensor:
    """Mean |v - mean of v's neighbours|^2: the uniform Laplacian, in world units squared."""
    mesh = _mesh(render)
    i, j = _pairs(mesh)
    count = mesh.vertices.new_zeros(len(mesh.vertices)).index_add(0, i, torch.ones_like(mesh.vertices[i, 0]))
    around = torch.zeros_like(mesh.vertices).index_add(0, i, mesh.vertices[j]) / count.clamp_min(1)[:, None]
    return (mesh.vertices - around).square().sum(-1).mean()


def edge_length(render: RenderOutput, field: object = None) -> Tensor:
    """Mean squared length of the edges, in world units."""
    mesh = _mesh(render)
    i, j = _pairs(mesh)
    return (mesh.vertices[i] - mesh.vertices[j]).square().sum(-1).mean()


def eikonal(render: RenderOutput, field: object = None) -> Tensor:
    """Mean (|gradient of the signed distance| - 1)^2 near the surface (IGR, arXiv 2002.10099, equation 2)."""
    slopes = _mesh(render).slopes
    if slopes is None:
        raise PluginError("the field has no signed distances for the penalty `eikonal`", "set `penalties.eikonal` to 0")
    error: Tensor = (slopes.norm(dim=-1) - 1).square().mean()
    return error


def _mesh(render: RenderOutput) -> SurfaceMesh:
    if render.mesh is None:
        raise ValueError("this penalty is one of a mesh, and the render has none")
    return render.mesh


def _edges(faces: Tensor) -> tuple[Tensor, Tensor]:
    """A number for the edge (3F,) that each side of each face is, the same for both of its faces; and the face (3F,)."""
    low, high = torch.stack([faces, faces.roll(-1, 1)]).sort(0).values.flatten(1)
    face = torch.arange(len(faces), device=faces.device).repeat_interleave(3)
    return low * (faces.max() + 1) + high, face


def _pairs(mesh: SurfaceMesh) -> tuple[Tensor, Tensor]:
    """Neighbouring vertices, each pair from both sides (and, on a closed mesh, as often as any other)."""
    ring = mesh.faces.roll(-1, 1)
    return torch.cat([mesh.faces.flatten(), ring.flatten()]), torch.cat([ring.flatten(), mesh.faces.flatten()])
