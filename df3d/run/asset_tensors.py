"""What a source made, as the tensors and metadata of a checkpoint file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from df3d.mesh.finished import as_floats
from df3d.system.tensors import check_tensors
from df3d.types import Asset, Gaussians, GaussiansAsset, Material, Mesh, MeshAsset, TensorRule

EXPECTED: dict[str, dict[str, tuple[str, tuple[int | None, ...]]]] = {  # type and shape of each tensor; None: any size
    "mesh": {
        "mesh.vertices": ("float32", (None, 3)),
        "mesh.faces": ("int64", (None, 3)),
        "mesh.normals": ("float32", (None, 3)),
        "mesh.uvs": ("float32", (None, 2)),
        "mesh.tangents": ("float32", (None, 4)),
        "mesh.colors": ("float32", (None, 3)),
        "material.base_color": ("float32", (None, None, 3)),
        "material.normal": ("float32", (None, None, 3)),
    },
    "gaussians": {
        "gaussians.means": ("float32", (None, 3)),
        "gaussians.scales": ("float32", (None, 3)),
        "gaussians.rotations": ("float32", (None, 4)),
        "gaussians.opacities": ("float32", (None,)),
        "gaussians.harmonics": ("float32", (None, None, 3)),
    },
}
OPTIONAL = {"mesh.normals", "mesh.uvs", "mesh.tangents", "mesh.colors", "material.normal"}
RULES = {
    "mesh.vertices": TensorRule(rows="mesh.vertices", low=-1e6, high=1e6),
    "mesh.faces": TensorRule(indexes="mesh.vertices"),
    **{f"mesh.{name}": TensorRule(rows="mesh.vertices") for name in ("normals", "uvs", "tangents")},
    "mesh.colors": TensorRule(rows="mesh.vertices", low=0, high=1),
    "material.base_color": TensorRule(low=0, high=1),
    "material.normal": TensorRule(low=0, high=1),
    **{f"gaussians.{name}": TensorRule(rows="gaussians.means") for name in ("rotations", "harmonics")},
    "gaussians.scales": TensorRule(rows="gaussians.means", low=0),
    "gaussians.opacities": TensorRule(rows="gaussians.means", low=0, high=1),
}


def asset_tensors(asset: Asset) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """An asset as tensors and metadata; None of a kind that is not df3d's own, or with several materials."""
    if isinstance(asset, MeshAsset):
        if asset.others or asset.material.opacity is not None:
            return None
        arrays = {**_arrays("mesh", asset.mesh), **_arrays("material", asset.material)}
    elif isinstance(asset, GaussiansAsset):
        arrays = _arrays("gaussians", asset.gaussians)
    else:
        return None
    numbers = (
        {k: v for k, v in vars(asset.material).items() if k in ("metallic", "roughness", "unlit")}
        if isinstance(asset, MeshAsset)
        else {}
    )
    told = {"kind": asset.kind, "material": json.dumps(numbers), "provenance": json.dumps(asset.provenance)}
    arrays = {name: as_floats(array) if name.startswith("material.") else array for name, array in arrays.items()}
    kinds = {name: kind for tensors in EXPECTED.values() for name, (kind, _) in tensors.items()}
    return {name: torch.from_numpy(np.ascontiguousarray(array, kinds[name])) for name, array in arrays.items()}, told


def asset_from(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Asset:
    """The asset that `asset_tensors` took apart.

    Raises KeyError, TypeError or ValueError when it is none.
    """
    kind, provenance = metadata["kind"], json.loads(metadata["provenance"])
    if kind not in EXPECTED or not isinstance(provenance, dict):
        raise ValueError(f"it holds no asset, but `{kind}`")
    expected = {name: (getattr(torch, dtype), _shape(tensors.get(name), shape)) for name, (dtype, shape) in EXPECTED[kind].items()}
    check_tensors(tensors, expected, RULES, OPTIONAL)
    groups: dict[str, dict[str, Any]] = {"mesh": {}, "material": {}, "gaussians": {}}
    for name, tensor in tensors.items():
        group, _, key = name.partition(".")
        groups[group][key] = tensor.numpy()
    if kind == "gaussians":
        return GaussiansAsset(Gaussians(**groups["gaussians"]), provenance=provenance)
    numbers = json.loads(metadata["material"])
    if not isinstance(numbers, dict):
        raise ValueError("`material` of it is not a table")
    for key, value in numbers.items():
        if (type(value) is bool) != (key == "unlit") or not 0 <= value <= 1:
            raise ValueError(f"`{key}` of its material cannot be `{value}`")
    return MeshAsset(Mesh(**groups["mesh"]), Material(**groups["material"], **numbers), provenance=provenance)


def _shape(tensor: Tensor | None, shape: tuple[int | None, ...]) -> tuple[int, ...]:
    """An expected shape, with the size that a tensor has where any will do."""
    found = tensor.shape if tensor is not None and tensor.dim() == len(shape) else [1] * len(shape)
    return tuple(size if size is not None else max(int(there), 1) for size, there in zip(shape, found, strict=True))


def _arrays(group: str, value: Any) -> dict[str, np.ndarray]:
    found = {f"{group}.{f.name}": getattr(value, f.name) for f in fields(value)}
    return {name: array for name, array in found.items() if isinstance(array, np.ndarray)}
