"""The materials of a glTF as df3d draws them: one picture of colour and opacity each (glTF 2.0, section 3.9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from df3d.mesh.srgb import to_linear, to_srgb
from df3d.types import Material, Wrap
from df3d_mesh.reading.gltf_tree import GLOSSINESS, Tree

LARGEST = 4096  # pixels along a side of a texture that is kept as it is
WHITE = np.ones((1, 1, 3), np.float32)
WRAPS: dict[int, Wrap] = {10497: "repeat", 33071: "clamp", 33648: "mirror"}
NEAREST = 9728  # of samplers


@dataclass(frozen=True)
class Coordinates:
    """Which set of texture coordinates a texture is read by, and how that is moved (KHR_texture_transform)."""

    set: int = 0
    offset: tuple[float, float] = (0.0, 0.0)
    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)

    def moved(self, uvs: np.ndarray) -> np.ndarray:
        """(P, 2) float32, origin at the top left."""
        cosine, sine = np.cos(self.rotation), np.sin(self.rotation)
        turn = np.array([[cosine, sine], [-sine, cosine]]) * np.array(self.scale)
        return (uvs @ turn.T + np.array(self.offset)).astype(np.float32)


@dataclass(frozen=True)
class Sampler:
    """How a texture is looked up."""

    wrap: tuple[Wrap, Wrap] = ("repeat", "repeat")
    nearest: bool = False


@dataclass(frozen=True)
class Painted:
    """A material, and where its picture lies on a surface; None where it has no picture."""

    material: Material
    coordinates: Coordinates | None
    glow: tuple[float, float, float] = (0.0, 0.0, 0.0)  # linear light of its own, which is in the colours of the material too
    surface: tuple[float, float, float] = (1.0, 1.0, 1.0)  # its linear colour without that light and its picture


class Materials:
    """Makes each material once; `picture` opens an image by its number, or returns None."""

    def __init__(self, tree: Tree, picture: Callable[[int], Image.Image | None], note: Callable[[str], None]) -> None:
        self._tree, self._open, self._note = tree, picture, note
        self._made: dict[int | None, Painted] = {}

    def get(self, index: int | None) -> Painted:
        if index not in self._made:
            self._made[index] = self._make({} if index is None else self._tree["materials"][index])
        return self._made[index]

    def _make(self, material: Tree) -> Painted:
        extensions = material.get("extensions", {})
        base = material.get("pbrMetallicRoughness", {})
        factor, texture = base.get("baseColorFactor", [1, 1, 1, 1]), base.get("baseColorTexture")
        if (old := extensions.get(GLOSSINESS)) is not None:
            factor, texture = old.get("diffuseFactor", [1, 1, 1, 1]), old.get("diffuseTexture")
        strength = extensions.get("KHR_materials_emissive_strength", {}).get("emissiveStrength", 1.0)
        glow = np.array(material.get("emissiveFactor", [0, 0, 0]), np.float32) * strength
        lamp = material.get("emissiveTexture") if glow.any() else None
        color, place, sampler = self._texture(texture)
        shine, shine_place, shine_sampler = self._texture(lamp)
        if "KHR_materials_unlit" in extensions:  # which shows the base colour alone
            shine, glow = None, np.zeros(3, np.float32)
        if shine is not None and color is not None and shine_place == place and shine_sampler != sampler:
            self._note("an emissive texture is looked up as the colours are, and not as its sampler says")
        if shine is not None and color is not None and shine_place != place:
            self._note("an emissive texture that lies otherwise than the colours is not drawn")
            shine, glow = None, np.zeros(3, np.float32)
        if color is None:
            place, sampler = shine_place, shine_sampler
        rgb, alpha = mixed(color, np.array(factor, np.float32), shine, glow)
        mode, cutoff = material.get("alphaMode", "OPAQUE"), float(material.get("alphaCutoff", 0.5))
        if mode == "MASK" and cutoff > 1:  # section 3.9.4: all of it is transparent
            alpha, cutoff = np.zeros_like(alpha), 0.5
        plain = not base or "metallicRoughnessTexture" in base  # whose factors alone say nothing
        return Painted(
            Material(
                rgb,
                metallic=0.0 if plain else float(base.get("metallicFactor", 1.0)),
                roughness=0.9 if plain else float(base.get("roughnessFactor", 1.0)),
                unlit="KHR_materials_unlit" in extensions,
                opacity=None if mode == "OPAQUE" else alpha,
                cutoff=cutoff if mode == "MASK" else None,
                wrap=sampler.wrap,
                nearest=sampler.nearest,
                two_sided=bool(material.get("doubleSided", False)),
            ),
            place,
            tuple(map(float, glow)),  # type: ignore[arg-type]
            tuple(map(float, factor[:3])),  # type: ignore[arg-type]
        )

    def _texture(self, told: Tree | None) -> tuple[np.ndarray | None, Coordinates | None, Sampler]:
        """(T, T, 4) uint8 of a texture that a material names, sRGB and opacity; where it lies; and how it is looked up."""
        plain = Sampler()
        if told is None:
            return None, None, plain
        moved = told.get("extensions", {}).get("KHR_texture_transform", {})
        place = Coordinates(
            int(moved.get("texCoord", told.get("texCoord", 0))),
            tuple(map(float, moved.get("offset", (0, 0)))),  # type: ignore[arg-type]
            float(moved.get("rotation", 0)),
            tuple(map(float, moved.get("scale", (1, 1)))),  # type: ignore[arg-type]
        )
        textures = self._tree.get("textures", [])
        if not isinstance(told.get("index"), int) or not 0 <= told["index"] < len(textures):
            raise ValueError(f"a material names texture {told.get('index')!s:.20}, and there are {len(textures)}")
        texture = textures[told["index"]]
        source = texture.get("extensions", {}).get("EXT_texture_webp", {}).get("source", texture.get("source"))
        if source is None:
            kinds = ", ".join(texture.get("extensions", {})) or "no source"
            self._note(f"a texture is not drawn: {kinds}")
            return None, None, plain
        picture = self._open(source)
        if picture is None:
            return None, None, plain
        sampler = self._tree["samplers"][texture["sampler"]] if "sampler" in texture else {}
        told_wrap = sampler.get("wrapS", 10497), sampler.get("wrapT", 10497)
        if unknown := set(told_wrap) - set(WRAPS):
            raise ValueError(f"a sampler wraps in the way {min(unknown)}, which glTF does not have")
        wrap = WRAPS[told_wrap[0]], WRAPS[told_wrap[1]]
        return as_array(picture), place, Sampler(wrap, sampler.get("magFilter") == NEAREST)


def as_array(picture: Image.Image) -> np.ndarray:
    """(H, W, 4) uint8 of a picture of any kind: 16 bits, grey, a palette, CMYK; a large one is made smaller."""
    if max(picture.size) > LARGEST:
        picture = picture.resize((min(picture.width, LARGEST), min(picture.height, LARGEST)))
    if picture.mode.startswith("I"):
        grey = (np.asarray(picture, np.float32) / 257).round().clip(0, 255).astype(np.uint8)
        return np.stack([grey, grey, grey, np.full_like(grey, 255)], axis=2)
    return np.asarray(picture.convert("RGBA"))


def mixed(color: np.ndarray | None, factor: np.ndarray, shine: np.ndarray | None, glow: np.ndarray) -> tuple[Any, Any]:
    """(T, T, 3) sRGB and (T, T) opacity: colour times its factor, and the light that it gives itself."""
    if color is None and shine is None:
        rgb = to_srgb((factor[:3] + glow).clip(0, 1)).astype(np.float32)
        return rgb[None, None], np.full((1, 1), factor[3], np.float32)
    sizes = [image.shape for image in (color, shine) if image is not None]
    shape = (max(size[0] for size in sizes), max(size[1] for size in sizes), 4)  # the finer one of the two stays as it is
    image = np.full(shape, 255, np.uint8) if color is None else _resized(color, shape)
    steps = np.arange(256) / 255
    if (factor != 1).any():  # a table for each channel
        image = np.stack([_table(to_linear(steps) * factor[k])[image[..., k]] for k in range(3)]
                         + [(steps * factor[3] * 255).round().clip(0, 255).astype(np.uint8)[image[..., 3]]], axis=2)  # fmt: skip
    rgb, alpha = np.ascontiguousarray(image[..., :3]), np.ascontiguousarray(image[..., 3])
    if glow.any():
        lamp = np.ones(3) if shine is None else to_linear(_resized(shine, shape)[..., :3].astype(np.float32) / 255)
        rgb = _table(to_linear(rgb.astype(np.float32) / 255) + lamp * glow)
    return rgb, alpha


def _table(linear: np.ndarray) -> np.ndarray:
    """sRGB bytes of linear light."""
    return (to_srgb(linear.clip(0, 1)) * 255).round().astype(np.uint8)


def _resized(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if image.shape[:2] == shape[:2]:
        return image
    return np.asarray(Image.fromarray(image, "RGBA").resize((shape[1], shape[0]), Image.Resampling.BILINEAR))
