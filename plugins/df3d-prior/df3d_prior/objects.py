"""Objects as the training draws them: triangles with colours, inside a ball; recoloured, and put together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from df3d.types import Material, MeshAsset
from df3d_prior import colors, placing, raster

CELLS = 24  # of the grid on which an object is looked at from above


@dataclass(frozen=True)
class Object:
    """Triangles, +Y up, the front along +Z. A corner's colour multiplies its texture's, where there is one."""

    corners: np.ndarray  # (F, 3, 3) float32
    paint: np.ndarray  # (F, 3, 3) float32, sRGB of each corner
    places: np.ndarray  # (F, 3, 2) float32, where each corner is in its texture: x to the right, y down, in units of the texture
    textures: np.ndarray  # (F,) int64, index into `images`; -1 for none
    images: tuple[np.ndarray, ...] = ()  # (H, W, 3) float32, sRGB

    @cached_property
    def samples(self) -> tuple[np.ndarray, np.ndarray]:
        """Colours (F * 4, 3) of points of the triangles, and the area that each stands for."""
        weights = np.array(((1, 1, 1), (4, 1, 1), (1, 4, 1), (1, 1, 4)), np.float32)
        weights /= weights.sum(1, keepdims=True)
        paint = np.einsum("sk,fkc->fsc", weights, self.paint)
        at = np.einsum("sk,fkc->fsc", weights, self.places)
        for i, image in enumerate(self.images):
            faces = self.textures == i
            paint[faces] *= looked_up(image, at[faces])
        edges = self.corners[:, 1:] - self.corners[:, :1]
        area = 0.5 * np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
        return paint.reshape(-1, 3), np.repeat(area / 4, 4)

    @cached_property
    def main_colors(self) -> list[str]:
        """Names of its colours, the largest first."""
        return colors.main_colors(*self.samples)

    def painted(self, color: str) -> Object:
        """The same with its main colour turned into another; light and dark stay so."""
        new = np.array(colors.COLORS[color], np.float32)

        def changed(values: np.ndarray, lightness: np.ndarray) -> np.ndarray:
            return np.where(lightness[..., None] > 0, (new * lightness[..., None]).clip(0, 1), values)

        paint, *images = self._lightness
        return replace(
            self,
            paint=changed(self.paint, paint),
            images=tuple(changed(image, light) for image, light in zip(self.images, images, strict=True)),
        )

    @cached_property
    def main(self) -> tuple[int, float]:
        """Its main colour's index into `colors.NAMES`, and how light that is in the mean."""
        found, area = self.samples
        main = colors.NAMES.index(self.main_colors[0]) if self.main_colors else 0
        chosen = colors.name_indexes(found) == main
        return main, max(float(np.average(found @ colors.LIGHTNESS, weights=area * chosen + 1e-12)), 0.05)

    @cached_property
    def _lightness(self) -> tuple[np.ndarray, ...]:
        """Of each corner, and of each image's texels: how light it is beside the mean of the main colour; 0 in other colours."""
        main, mean = self.main

        def lightness(values: np.ndarray) -> np.ndarray:
            flat = values.reshape(-1, 3)
            light = (flat @ colors.LIGHTNESS / mean).clip(0.5, 1.4)
            return (light * (colors.name_indexes(flat) == main)).reshape(values.shape[:-1]).astype(np.float32)

        paint = lightness(self.paint)
        paint[self.textures >= 0] = 0
        return (paint, *(lightness(image) for image in self.images))

    def mask(self) -> Object:
        """The same, white where it has its main colour and black elsewhere."""
        paint, *images = ((light > 0).astype(np.float32)[..., None].repeat(3, -1) for light in self._lightness)
        paint[self.textures >= 0] = 1
        return replace(self, paint=paint, images=tuple(images))

    @cached_property
    def texels(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All images in one list of texels (N, 3), where each begins (I,), and the height and width of each (I, 2)."""
        sizes = np.array([image.shape[:2] for image in self.images], np.int64).reshape(-1, 2)
        starts = np.concatenate([[0], np.cumsum(sizes.prod(1))]).astype(np.int64)
        return np.concatenate([np.zeros((0, 3), np.float32), *(i.reshape(-1, 3) for i in self.images)]), starts, sizes

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest corner, each (3,)."""
        points = self.corners.reshape(-1, 3)
        return points.min(0), points.max(0)

    @cached_property
    def shape(self) -> placing.Shape:
        """What its place beside another depends on."""
        low, high = self.bounds()
        points = self.corners.reshape(-1, 3)
        top = points[points[:, 1] > high[1] - 0.15 * (high[1] - low[1])]
        return placing.Shape(low, high, np.array(seat(self)), 0.5 * (top.min(0) + top.max(0)), top.max(0) - top.min(0))

    def moved(self, scale: float | np.ndarray, offset: np.ndarray) -> Object:
        """The same after `point -> scale * point + offset`; `scale` may be one for each axis, (3,)."""
        return replace(self, corners=(self.corners * scale + offset).astype(np.float32))

    def turned(self, degrees: float, middle: np.ndarray) -> Object:
        """The same after a turn around the vertical axis through `middle` (3,), counter-clockwise from above."""
        return replace(self, corners=((self.corners - middle) @ turn(degrees).T + middle).astype(np.float32))

    def part(self, kept: np.ndarray) -> Object:
        """The triangles (F,) that are kept."""
        arrays = (self.corners[kept], self.paint[kept], self.places[kept], self.textures[kept])
        return Object(*arrays, self.images)

    def fitted(self) -> Object:
        """The same, centred and as large as its ball allows."""
        low, high = self.bounds()
        center = 0.5 * (low + high)
        reach = float(np.linalg.norm(self.corners.reshape(-1, 3) - center, axis=1).max())
        scale = placing.RADIUS / max(reach, 1e-9)
        return self.moved(scale, -center * scale)


def turn(degrees: float) -> np.ndarray:
    """(3, 3) a rotation around the vertical axis, counter-clockwise from above."""
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])


def looked_up(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(..., 3) texels nearest to places (..., 2); outside [0, 1] the texture repeats."""
    height, width = image.shape[:2]
    x = np.floor((places[..., 0] % 1.0) * width).astype(int).clip(0, width - 1)
    y = np.floor((places[..., 1] % 1.0) * height).astype(int).clip(0, height - 1)
    return image[y, x]


def of_asset(asset: MeshAsset) -> Object:
    """A mesh asset's triangles, fitted to the ball. Faces without area are left out."""
    mesh = asset.mesh
    corners = mesh.vertices[mesh.faces].astype(np.float32)
    if asset.up == "z":
        corners = corners[..., [0, 2, 1]] * np.array((1, 1, -1), np.float32)
    kept = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) > 1e-12
    faces, corners = mesh.faces[kept], corners[kept]
    material = np.zeros(len(faces), np.int64) if mesh.materials is None else mesh.materials[kept]
    paint = np.ones((len(faces), 3, 3), np.float32) if mesh.colors is None else mesh.colors[faces][..., :3].astype(np.float32)
    places = np.zeros((len(faces), 3, 2), np.float32)
    if mesh.uvs is not None:
        places = mesh.uvs[faces].astype(np.float32) * np.array((1, -1), np.float32) + np.array((0, 1), np.float32)
    textures = np.full(len(faces), -1, np.int64)
    images: list[np.ndarray] = []
    for index, one in enumerate(asset.materials):
        image, own = _image(one), material == index
        if not own.any():
            continue
        if image.shape[:2] == (1, 1) or mesh.uvs is None:
            paint[own] *= image.mean((0, 1))
        else:
            textures[own] = len(images)
            images.append(image)
    return Object(corners, paint, places, textures, tuple(images)).fitted()


def _image(material: Material) -> np.ndarray:
    image = np.asarray(material.base_color)
    scale = 1 / 255 if image.dtype == np.uint8 else 1.0
    return np.ascontiguousarray(image[..., :3] * np.float32(scale), dtype=np.float32)


def together(one: Object, other: Object) -> Object:
    """Two objects as one, where they are."""
    shifted = np.where(other.textures >= 0, other.textures + len(one.images), -1)
    return Object(
        np.concatenate([one.corners, other.corners]),
        np.concatenate([one.paint, other.paint]),
        np.concatenate([one.places, other.places]),
        np.concatenate([one.textures, shifted]),
        one.images + other.images,
    )


def joined(relation: str, one: Object, other: Object) -> Object:
    """`one` on, wearing or beside `other`, or `two` of it: the parts are where `placing.places` puts them."""
    (scale, offset), (other_scale, other_offset) = placing.places(relation, one.shape, other.shape)
    return together(one.moved(scale, offset), other.moved(other_scale, other_offset))


def seat(base: Object) -> tuple[float, float, float, float, float]:
    """The largest level place seen from above: middle x, height, middle z, half its width and half its length."""
    low, high = base.bounds()
    heights, level, x, z = _from_above(base, low, high)
    found = np.isfinite(heights)
    heights = np.where(found, heights, low[1])
    bins = np.clip(((heights - low[1]) / max(high[1] - low[1], 1e-6) * 24).astype(int), 0, 23)
    seen = level & found
    if not seen.any():
        middle = 0.5 * (low + high)
        return middle[0], high[1], middle[2], 0.3 * (high - low)[0], 0.3 * (high - low)[2]
    counts = np.bincount(bins[seen], minlength=24).astype(float)
    best = int(np.argmax((counts + np.append(counts[1:], 0)) * np.linspace(0.6, 1.0, 24)))
    there = seen & (np.abs(bins - best) <= 1)
    xs, zs = x[there], z[there]
    wide = [0.5 * float(np.percentile(v, 95) - np.percentile(v, 5)) for v in (xs, zs)]
    least = 0.12 * float((high - low)[[0, 2]].max())
    return float(np.median(xs)), float(np.median(heights[there])), float(np.median(zs)), max(wide[0], least), max(wide[1], least)


def _from_above(base: Object, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, ...]:
    """On a grid over the object's box: height of the topmost surface (-inf for none), whether it is level there, x and z."""
    x, z = (low[k] + (np.arange(CELLS) + 0.5) * (high[k] - low[k]) / CELLS for k in (0, 2))
    heights, level = np.full((CELLS, CELLS), -np.inf), np.zeros((CELLS, CELLS), bool)
    raster.heights(base.corners.astype(float), x, z, heights, level)
    grid_x, grid_z = np.meshgrid(x, z, indexing="ij")
    return heights.reshape(-1), level.reshape(-1), grid_x.reshape(-1), grid_z.reshape(-1)
