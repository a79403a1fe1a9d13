"""The data that flows between parts of a run.

Conventions, everywhere in df3d:

- The world is glTF's: right-handed, +Y up, the front of the object at +Z, the object inside the unit ball. Nothing is
  rotated on export. A camera looks along its own -Z.
- Azimuth 0 sees the front, 90 sees the object's left (from +X); elevation 90 looks straight down. Angles are degrees.
- Images are `(V, H, W, C)`, rows from the top, sRGB-encoded, in [0, 1]. NCHW exists only inside a guidance.
- Tensors are float32 and on one device unless a docstring says otherwise. V views, H x W pixels, N points,
  S packed ray samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from df3d.schedule import Step

Output = Literal["rgb", "opacity", "depth", "normal", "samples", "mesh", "background"]  # the fields of a `RenderOutput`


@dataclass(frozen=True)
class TensorRule:
    """What must be true of a tensor that is read from a file, beside what is true of each: finite numbers, the type it has now.

    A part says so of its own tensors in `state_rules`; without a rule a tensor has the shape that it has now.
    """

    low: float | None = None  # no number is less
    high: float | None = None  # no number is more
    rows: str = ""  # it has as many rows as the tensor of this name; of its own name: any number, at least 1
    indexes: str = ""  # its numbers are rows of the tensor of this name


@dataclass(frozen=True)
class Cameras:
    """V pinhole cameras with square pixels that share one image size.

    `pose` and `fov_y` are what is drawn with, on the run's device; the rest says the same in words, and stays on the CPU,
    so that to look at it nothing has to wait for a GPU.
    """

    pose: Tensor  # (V, 4, 4) camera to world
    fov_y: Tensor  # (V,) vertical field of view, degrees
    azimuth: Tensor  # (V,) degrees in [-180, 180)
    elevation: Tensor  # (V,) degrees in [-90, 90]
    distance: Tensor  # (V,) from the origin
    height: int
    width: int

    def __len__(self) -> int:
        return self.pose.shape[0]

    def to(self, device: str) -> Cameras:
        return replace(self, pose=self.pose.to(device, non_blocking=True), fov_y=self.fov_y.to(device, non_blocking=True))

    def resized(self, height: int, width: int) -> Cameras:
        """The same views in another number of pixels."""
        return replace(self, height=height, width=width)

    def times(self, count: int) -> Cameras:
        """All cameras, `count` times over."""
        return self._map(lambda tensor: tensor.repeat(count, *[1] * (tensor.dim() - 1)))

    def __getitem__(self, index: slice | Tensor) -> Cameras:
        return self._map(lambda tensor: tensor[index])

    def _map(self, change: Callable[[Tensor], Tensor]) -> Cameras:
        tensors = {f.name: change(getattr(self, f.name)) for f in fields(self) if f.name not in ("height", "width")}
        return Cameras(**tensors, height=self.height, width=self.width)


@dataclass(frozen=True)
class FieldSamples:
    """What a volume field knows at N points."""

    density: Tensor  # (N,) >= 0, per world unit
    albedo: Tensor  # (N, 3) in [0, 1]
    gradient: Tensor | None = None  # (N, 3) d density / d point, differentiable


@dataclass(frozen=True)
class RaySamples:
    """The S samples behind a volume rendering, for penalties that look along rays."""

    weights: Tensor  # (S,) compositing weights, differentiable
    normals: Tensor | None  # (S, 3) unit, differentiable
    directions: Tensor  # (S, 3) unit, away from the camera
    rays: int  # number of rays they belong to


Wrap = Literal["repeat", "clamp", "mirror"]  # what a texture does outside [0, 1]


@dataclass(frozen=True)
class SurfaceMaterial:
    """How some faces of a finished mesh are painted."""

    texture: Tensor  # (T, T, 3 or 4) float32 in [0, 1] or uint8: sRGB, and opacity; rows from the top
    wrap: tuple[Wrap, Wrap] = ("repeat", "repeat")  # along u and v
    cutoff: float | None = None  # what is less solid is not there; None: its opacity is blended
    two_sided: bool = True  # seen from behind too
    nearest: bool = False  # its texels are seen as squares from near, not mixed with their neighbours


@dataclass(frozen=True)
class SurfaceMesh:
    """The surface of a field as it is drawn and optimised. Faces are counter-clockwise seen from outside."""

    vertices: Tensor  # (P, 3), differentiable
    faces: Tensor  # (F, 3) int64
    uvs: Tensor | None = None  # (P, 2) in [0, 1], origin at the bottom left
    texture: Tensor | None = None  # (T, T, 3) albedo, rows from the top
    colors: Tensor | None = None  # (P, 3) albedo; without this and a texture the field is asked
    two_sided: bool = False  # lit on whichever side is seen
    slopes: Tensor | None = None  # (C, 3) gradients of the signed distance near the surface, differentiable
    materials: tuple[SurfaceMaterial, ...] = ()  # of a finished mesh; `colors` (P, 3 or 4) are then linear, and multiply them
    material: Tensor | None = None  # (F,) int64, which of them a face has


@dataclass(frozen=True)
class RenderRequest:
    """What a renderer is asked for.

    With a `step`, as in training: jitter, random shading and background. Without one, the field at its best.
    """

    step: Step | None = None
    needs: frozenset[Output] = frozenset({"rgb", "opacity"})  # the outputs that must be there


AT_BEST = RenderRequest()


@dataclass(frozen=True)
class RenderOutput:
    """V images and what was measured on the way. What the request does not need may be None."""

    rgb: Tensor  # (V, H, W, 3) in [0, 1], over the background
    opacity: Tensor  # (V, H, W, 1) in [0, 1]
    depth: Tensor | None = None  # (V, H, W, 1) expected distance along the ray, 0 where nothing is hit
    normal: Tensor | None = None  # (V, H, W, 3) world space, length <= opacity, differentiable
    samples: RaySamples | None = None  # in training only
    mesh: SurfaceMesh | None = None  # what was rasterised
    background: Tensor | None = None  # (V, H, W, 3) in [0, 1], what is seen where the opacity is 0


@dataclass(frozen=True)
class GuidanceStep:
    """What a guidance says of one batch of renders."""

    loss: Tensor  # (), its gradient with respect to the renders is the guidance's
    timestep: Tensor | None = None  # (V,) of the diffusion process
    stats: dict[str, Tensor | float] = field(default_factory=dict)  # scalars worth showing


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh. Faces are counter-clockwise seen from outside."""

    vertices: np.ndarray  # (P, 3) float32
    faces: np.ndarray  # (F, 3) int64
    normals: np.ndarray | None = None  # (P, 3) unit
    uvs: np.ndarray | None = None  # (P, 2) in [0, 1], origin at the bottom left
    tangents: np.ndarray | None = None  # (P, 4) unit, along u; then 1, or -1 where the texture is mirrored
    colors: np.ndarray | None = None  # (P, 3) sRGB in [0, 1], or (P, 4) with opacity; they multiply a texture, in linear light
    materials: np.ndarray | None = None  # (F,) int64, which of the asset's materials a face has; None: the first


@dataclass(frozen=True)
class Material:
    """How a mesh is coloured: textures, rows from the top, sRGB; metallic and roughness as in glTF."""

    base_color: np.ndarray  # (T, T, 3) float32 in [0, 1], or uint8
    normal: np.ndarray | None = None  # (T, T, 3) float32, a normal map as in glTF: linear, x and y along u and v
    metallic: float = 0.0
    roughness: float = 0.9
    unlit: bool = False  # shown as it is, without light: SDS albedo may have light baked in
    opacity: np.ndarray | None = None  # (T, T) of the same type; None: solid
    cutoff: float | None = None  # what is less solid is not there; None: the opacity is blended
    wrap: tuple[Wrap, Wrap] = ("repeat", "repeat")  # outside [0, 1], along u and v
    nearest: bool = False  # its texels are seen as squares from near, not mixed with their neighbours
    two_sided: bool = True  # seen from behind too


@dataclass(frozen=True)
class Gaussians:
    """N anisotropic 3D Gaussians, as in 3D Gaussian Splatting (arXiv 2308.04079)."""

    means: np.ndarray  # (N, 3) float32, world space
    scales: np.ndarray  # (N, 3) float32, standard deviations along the axes, more than 0, world units
    rotations: np.ndarray  # (N, 4) float32, unit quaternions (w, x, y, z) from the axes to the world
    opacities: np.ndarray  # (N,) float32 in [0, 1]
    harmonics: np.ndarray  # (N, K, 3) float32, of the colour, K = (degree + 1)^2; sRGB is 0.5 + 0.28209 * the first, and so on


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A finished object. `kind` says what it is; exporters, scorers and renderers say which kinds they take.

    A plugin with a kind of its own subclasses this with a frozen dataclass.
    """

    kind: ClassVar[str]
    provenance: dict[str, Any] = field(default_factory=dict)  # prompt, seed, recipe, versions; JSON values only
    notes: tuple[str, ...] = ()  # what of its file is not drawn, a sentence each


@dataclass(frozen=True)
class MeshAsset(Asset):
    """A triangle mesh and how it is coloured."""

    kind = "mesh"
    mesh: Mesh
    material: Material
    others: tuple[Material, ...] = ()  # beside the first, where faces differ (`Mesh.materials`)
    up: Literal["y", "z"] = "y"  # the axis that points up

    @property
    def materials(self) -> tuple[Material, ...]:
        return (self.material, *self.others)


@dataclass(frozen=True)
class GaussiansAsset(Asset):
    """A cloud of 3D Gaussians."""

    kind = "gaussians"
    gaussians: Gaussians
