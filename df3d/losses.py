"""Penalties on a rendering, as pure functions that return a scalar. `PenaltyConfig` gives each its weight."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from df3d.options import PenaltyConfig
from df3d.schedule import Step
from df3d.types import RenderOutput, SurfaceMesh


def opacity(view: RenderOutput) -> Tensor:
    """mean sqrt(o^2 + 0.01) over pixels: keeps space empty (DreamFusion, arXiv 2209.14988, appendix A.2)."""
    return (view.opacity.square() + 0.01).sqrt().mean()


def entropy(view: RenderOutput) -> Tensor:
    """Mean binary entropy of the opacity, in nats: lowest when each pixel is empty or solid (Latent-NeRF, 2211.07600)."""
    o = view.opacity.clamp(1e-4, 1 - 1e-4)
    return -(o * o.log() + (1 - o) * (1 - o).log()).mean()


def orientation(view: RenderOutput) -> Tensor:
    """sum w stop_gradient * max(0, n . d)^2 per ray: visible normals face the camera (Ref-NeRF, arXiv 2112.03907, eq. 11)."""
    samples = view.samples
    if samples is None or samples.normals is None:
        return view.opacity.new_zeros(())
    away = (samples.normals * samples.directions).sum(-1).clamp_min(0.0)
    return (samples.weights.detach() * away.square()).sum() / samples.rays


def normal_consistency(view: RenderOutput) -> Tensor:
    """Mean 1 - n_f . n_g over faces f, g that share an edge, n the faces' unit normals."""
    mesh = _mesh(view)
    corners = mesh.vertices[mesh.faces]
    normals = functional.normalize(torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), dim=-1)
    edge, face = _edges(mesh.faces)
    order = edge.argsort(stable=True)
    edge, face = edge[order], face[order]
    shared = edge[1:] == edge[:-1]
    return (1 - (normals[face[1:][shared]] * normals[face[:-1][shared]]).sum(-1)).mean()


def laplacian(view: RenderOutput) -> Tensor:
    """Mean |v - mean of v's neighbours|^2: the uniform Laplacian, in world units squared."""
    mesh = _mesh(view)
    i, j = _pairs(mesh)
    count = mesh.vertices.new_zeros(len(mesh.vertices)).index_add(0, i, torch.ones_like(mesh.vertices[i, 0]))
    around = torch.zeros_like(mesh.vertices).index_add(0, i, mesh.vertices[j]) / count.clamp_min(1)[:, None]
    return (mesh.vertices - around).square().sum(-1).mean()


def edge_length(view: RenderOutput) -> Tensor:
    """Mean squared length of the edges, in world units."""
    mesh = _mesh(view)
    i, j = _pairs(mesh)
    return (mesh.vertices[i] - mesh.vertices[j]).square().sum(-1).mean()


def eikonal(view: RenderOutput) -> Tensor:
    """Mean (|gradient of the signed distance| - 1)^2 near the surface (IGR, arXiv 2002.10099, equation 2)."""
    slopes = _mesh(view).slopes
    return view.opacity.new_zeros(()) if slopes is None else (slopes.norm(dim=-1) - 1).square().mean()


def _mesh(view: RenderOutput) -> SurfaceMesh:
    if view.mesh is None:  # not a run's mistake: compose checks that the renderer puts one out
        raise ValueError("this penalty is one of a mesh, and the render has none")
    return view.mesh


def _edges(faces: Tensor) -> tuple[Tensor, Tensor]:
    """A number for the edge (3F,) that each side of each face is, the same for both of its faces; and the face (3F,)."""
    low, high = torch.stack([faces, faces.roll(-1, 1)]).sort(0).values.flatten(1)
    face = torch.arange(len(faces), device=faces.device).repeat_interleave(3)
    return low * (faces.max() + 1) + high, face


def _pairs(mesh: SurfaceMesh) -> tuple[Tensor, Tensor]:
    """Neighbouring vertices, each pair from both sides (and, on a closed mesh, as often as any other)."""
    ring = mesh.faces.roll(-1, 1)
    return torch.cat([mesh.faces.flatten(), ring.flatten()]), torch.cat([ring.flatten(), mesh.faces.flatten()])


PENALTIES: dict[str, Callable[[RenderOutput], Tensor]] = {
    "opacity": opacity,
    "entropy": entropy,
    "orientation": orientation,
    "normal_consistency": normal_consistency,
    "laplacian": laplacian,
    "edge_length": edge_length,
    "eikonal": eikonal,
}


def penalties(config: PenaltyConfig, view: RenderOutput, step: Step) -> dict[str, Tensor]:
    """The weighted penalties that are on at this step."""
    weights = {name: getattr(config, name).at(step) for name in PENALTIES}
    return {name: weight * PENALTIES[name](view) for name, weight in weights.items() if weight}
