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
from df3d.types import AT_BEST, Cameras, RenderOutput, RenderRequest, SurfaceMesh, Wrap
from df3d_nvdiffrast.config import RasterConfig
from df3d_nvdiffrast.raster import Fragments, make
from df3d_nvdiffrast.raster.cpu import CpuRasterizer
from df3d_nvdiffrast.texture import sample

NEAR, FAR = 0.05, 100.0  # planes, world units from the camera
LAYERS = 16  # of a surface that lets light through, that are drawn behind one another
THIN = 1 / 255  # of the light, below which nothing behind is seen
HALF_A_STEP = 0.5 / 255  # of a texture's opacity, whose steps do not meet every cutoff


class RasterRenderer(nn.Module):
    """Draws any field with the capability "surface"."""

    def __init__(self, config: RasterConfig, *, device: str = "cpu") -> None:
        super().__init__()
        self.config = config
        self.supersample = config.supersample
        self.background = Background(config)
        self.rasterizer, note = make(config.backend, device)
        self.notes = [note] if note else []
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
        if mesh.materials:
            return self._draw_finished(mesh, cameras)
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

    def _draw_finished(self, mesh: SurfaceMesh, cameras: Cameras) -> RenderOutput:
        """A finished mesh, layer by layer where it lets light through or is seen from one side alone."""
        fine = cameras.resized(cameras.height * self.supersample, cameras.width * self.supersample)
        clip, faces = project(mesh.vertices, fine), mesh.faces
        origins, directions = rays(fine)
        light = lighting(self.config.shading, cameras, None)
        behind_all = self.background(directions.reshape(-1, 3), None).reshape(directions.shape)
        attributes = [mesh.vertices, vertex_normals(mesh), mesh.uvs, *([] if mesh.colors is None else [mesh.colors])]
        carried = torch.cat([t for t in attributes if t is not None], dim=1)[None]
        color, through = torch.zeros_like(behind_all), torch.ones_like(behind_all[..., :1])
        first = torch.zeros(*through.shape[:3], 4, device=through.device)
        layers = CpuRasterizer()
        depth: Tensor | None = None
        for _ in range(LAYERS):
            seen = layers.rasterize(clip, faces, fine.height, fine.width, cull=self.config.cull, behind=depth)
            covered = seen.face >= 0
            if not bool(covered.any()):
                break
            values = layers.interpolate(carried, seen, faces)[covered]
            points, normals = values[:, :3], functional.normalize(values[:, 3:6], dim=-1, eps=1e-6)
            albedo, opacity = _painted(mesh, seen, covered, values[:, 6:8], values[:, 8:] if mesh.colors is not None else None)
            from_behind = _from_behind(mesh, seen.face[covered], directions[covered])
            opacity = torch.where(from_behind & ~_two_sided(mesh, seen.face[covered])[:, None], 0.0, opacity)
            away = (normals * directions[covered]).sum(-1, keepdim=True) > 0
            normals = torch.where(away, -normals, normals)
            shaded = light.shade(albedo, normals, points, covered.nonzero()[:, 0])
            share = through[covered] * opacity
            color = color.masked_scatter(covered[..., None], color[covered] + share * shaded)
            distance = (points - origins[covered]).norm(dim=-1, keepdim=True)
            first = first.masked_scatter(covered[..., None], first[covered] + share * torch.cat([distance, normals], dim=-1))
            through = through.masked_scatter(covered[..., None], through[covered] - share)
            if not bool((through[covered] > THIN).any()):
                break
            depth = torch.where(covered, seen.depth, 2.0)
            depth = torch.where(through[..., 0] > THIN, depth, 2.0)
        solid = _shrink(1 - through, self.supersample)
        means = _shrink(first, self.supersample)
        return RenderOutput(
            _shrink(color + through * behind_all, self.supersample).clamp(0, 1),
            solid.clamp(0, 1),
            means[..., :1] / solid.clamp_min(1e-6),
            means[..., 1:],
            mesh=mesh,
            background=_shrink(behind_all, self.supersample),
        )


def _from_behind(mesh: SurfaceMesh, faces: Tensor, directions: Tensor) -> Tensor:
    """(N, 1) whether rays (N, 3) meet faces (N,) from the side that is not their front."""
    corners = mesh.vertices[mesh.faces[faces]]
    front = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return (front * directions).sum(-1, keepdim=True) > 0


def _two_sided(mesh: SurfaceMesh, faces: Tensor) -> Tensor:
    """(N,) whether faces (N,) are seen from behind."""
    assert mesh.material is not None
    return torch.tensor([material.two_sided for material in mesh.materials], device=faces.device)[mesh.material[faces]]


def _painted(mesh: SurfaceMesh, seen: Fragments, covered: Tensor, uvs: Tensor, tint: Tensor | None) -> tuple[Tensor, Tensor]:
    """Colours (N, 3), sRGB, and opacities (N, 1) of a finished mesh at uvs (N, 2), times linear colours (N, 3 or 4)."""
    assert mesh.material is not None
    which, slopes = mesh.material[seen.face[covered]], _uv_slopes(mesh, seen, covered)
    color, opacity = uvs.new_ones(len(uvs), 3), uvs.new_ones(len(uvs), 1)
    for index, material in enumerate(mesh.materials):
        (chosen,) = (which == index).nonzero(as_tuple=True)
        if not len(chosen):
            continue
        texture = _linear_texture(material.texture)
        found = sample(texture, _wrapped(uvs[chosen], material.wrap), slopes[chosen], nearest=material.nearest)
        color[chosen] = found[:, :3]
        if found.shape[1] == 4:
            solid = found[:, 3:]
            if tint is not None and tint.shape[1] == 4:
                solid = solid * tint[chosen, 3:]
            opacity[chosen] = solid if material.cutoff is None else (solid >= material.cutoff - HALF_A_STEP).to(solid)
    if tint is not None:
        color = color * tint[:, :3]
    return _to_srgb(color).clamp(0, 1), opacity.clamp(0, 1)


def _linear_texture(texture: Tensor) -> Tensor:
    """(T, T, 3 or 4) float32 of a texture of either type: linear light, in which texels are mixed (glTF 2.0, section 3.8.3)."""
    if texture.is_floating_point():
        return torch.cat([_to_linear(texture[..., :3]), texture[..., 3:]], dim=-1)
    levels = torch.arange(256, device=texture.device) / 255
    found = [functional.embedding(texture[..., :3].int(), _to_linear(levels)[:, None])[..., 0]]
    return torch.cat([*found, texture[..., 3:].float() / 255], dim=-1)


def _wrapped(uvs: Tensor, wrap: tuple[Wrap, Wrap]) -> Tensor:
    """(N, 2) within [0, 1] where a texture does not repeat."""
    kept = {
        "repeat": lambda values: values,
        "clamp": lambda values: values.clamp(0, 1),
        "mirror": lambda values: 1 - (values.remainder(2) - 1).abs(),
    }
    return torch.stack([kept[kind](uvs[:, axis]) for axis, kind in enumerate(wrap)], dim=1)


def _to_linear(colors: Tensor) -> Tensor:
    return torch.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055).clamp_min(0) ** 2.4)


def _to_srgb(colors: Tensor) -> Tensor:
    return torch.where(colors <= 0.0031308, colors * 12.92, 1.055 * colors.clamp_min(0.0031308) ** (1 / 2.4) - 0.055)


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
