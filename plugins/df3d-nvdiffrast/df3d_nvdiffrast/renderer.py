"""Drawing a surface: rasterise, look up or ask for albedo, shade, blend the edges."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from df3d.protocols import Surface
from df3d.scene.background import Background
from df3d.scene.cameras import rays
from df3d.scene.shading import lighting
from df3d.schedule import Step
from df3d.types import AT_BEST, Cameras, RenderOutput, RenderRequest, SurfaceMesh
from df3d_nvdiffrast.config import RasterConfig
from df3d_nvdiffrast.raster import Fragments, make
from df3d_nvdiffrast.texture import sample

NEAR, FAR = 0.05, 100.0  # planes, world units from the camera


class RasterRenderer(nn.Module):
    """Draws any field with the capability "surface"."""

    def __init__(self, config: RasterConfig, *, device: str = "cpu") -> None:
        super().__init__()
        self.config = config
        self.supersample = config.supersample
        self.background = Background(config)
        self.rasterizer = make(config.backend, device)
        self.to(device)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return self.background.parameter_groups()

    def before_step(self, step: Step) -> None: ...

    def refresh(self, field: Surface, step: Step) -> None: ...

    def save_memory(self) -> str:
        """Fewer samples a pixel."""
        if self.supersample == 1:
            return ""
        self.supersample -= 1
        return f"drawing {self.supersample**2} sample{'s' * (self.supersample > 1)} a pixel"

    def render(self, field: Surface, cameras: Cameras, request: RenderRequest = AT_BEST) -> RenderOutput:
        """Depth is the distance along the ray; it and the normal are means over what a pixel shows."""
        config, mesh, step = self.config, field.surface(), request.step
        fine = cameras.resized(cameras.height * self.supersample, cameras.width * self.supersample)
        clip = project(mesh.vertices, fine)
        seen = self.rasterizer.rasterize(clip, mesh.faces, fine.height, fine.width, cull=config.cull)
        covered = seen.face >= 0
        painted = mesh.uvs if mesh.texture is not None else mesh.colors
        attributes = [mesh.vertices, vertex_normals(mesh), *([] if painted is None else [painted])]
        values = self.rasterizer.interpolate(torch.cat(attributes, dim=1)[None], seen, mesh.faces)
        points, normals = values[covered][:, :3], functional.normalize(values[covered][:, 3:6], dim=-1, eps=1e-6)
        origins, directions = rays(fine)
        if mesh.two_sided:
            away = (normals * directions[covered]).sum(-1, keepdim=True) > 0
            normals = torch.where(away, -normals, normals)
        if mesh.texture is not None:
            albedo = sample(mesh.texture, values[covered][:, 6:], _uv_slopes(mesh, seen, covered))
        elif mesh.colors is not None:
            albedo = values[covered][:, 6:]
        else:
            albedo = field.albedo(points.detach())
        view = covered.nonzero()[:, 0]
        color = lighting(config.shading, cameras, step).shade(albedo, normals, points, view)
        behind = self.background(directions.reshape(-1, 3), step).reshape(directions.shape)
        image = torch.cat([_put(behind, covered, color), covered[..., None].float()], dim=-1)
        image = _shrink(self.rasterizer.antialias(image, seen, clip, mesh.faces), self.supersample)
        distance = (points - origins[covered]).norm(dim=-1, keepdim=True)
        seen_values = _put(image.new_zeros(*covered.shape, 4), covered, torch.cat([distance, normals], dim=-1))
        share = _shrink(covered[..., None].float(), self.supersample)
        means = _shrink(seen_values, self.supersample)
        return RenderOutput(
            image[..., :3].clamp(0, 1),
            image[..., 3:].clamp(0, 1),
            means[..., :1] / share.clamp_min(1e-6),
            means[..., 1:],
            mesh=mesh,
            background=_shrink(behind, self.supersample),
        )


def project(vertices: Tensor, cameras: Cameras) -> Tensor:
    """Clip-space vertices (V, P, 4), as OpenGL has them: x to the right, y up, -w <= z <= w from the near to the far plane."""
    pose, homogeneous = cameras.pose, functional.pad(vertices, (0, 1), value=1.0)
    seen = torch.einsum("vij,pj->vpi", torch.linalg.inv(pose), homogeneous)
    focal = 1 / torch.tan(0.5 * torch.deg2rad(cameras.fov_y))[:, None]
    x, y, z, _ = seen.unbind(-1)
    depth = (z * (FAR + NEAR) + 2 * FAR * NEAR) / (NEAR - FAR)
    return torch.stack([x * focal * (cameras.height / cameras.width), y * focal, depth, -z], dim=-1)


def vertex_normals(mesh: SurfaceMesh) -> Tensor:
    """(P, 3) unit normals, faces weighted by their area, differentiable."""
    corners = mesh.vertices[mesh.faces]
    area = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = torch.zeros_like(mesh.vertices).index_add(0, mesh.faces.flatten(), area.repeat_interleave(3, dim=0))
    return functional.normalize(total, dim=-1, eps=1e-20)


def _uv_slopes(mesh: SurfaceMesh, seen: Fragments, covered: Tensor) -> Tensor:
    """(N, 2, 2): how far uv moves from one pixel to the next, along x and along y."""
    assert mesh.uvs is not None
    corners = mesh.uvs[mesh.faces[seen.face[covered]]]
    sides = corners[:, :2] - corners[:, 2:]  # (N, weight, uv)
    return torch.einsum("nwa,nwu->nau", seen.slopes[covered].view(-1, 2, 2), sides)


def _put(image: Tensor, where: Tensor, values: Tensor) -> Tensor:
    """The image with `values` (N, C) in the pixels `where`."""
    return image.masked_scatter(where[..., None], values.to(image.dtype))


def _shrink(image: Tensor, factor: int) -> Tensor:
    """(V, H * f, W * f, C) to (V, H, W, C), by the mean."""
    if factor == 1:
        return image
    views, height, width, channels = image.shape
    return image.view(views, height // factor, factor, width // factor, factor, channels).mean((2, 4))
