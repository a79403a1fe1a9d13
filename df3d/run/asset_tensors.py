"""What a source made, as the tensors and metadata of a checkpoint file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from df3d.types import Asset, Gaussians, GaussiansAsset, Material, Mesh, MeshAsset


def asset_tensors(asset: Asset) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """An asset as tensors and metadata; None of a kind that is not df3d's own."""
    if isinstance(asset, MeshAsset):
        arrays = {**_arrays("mesh", asset.mesh), **_arrays("material", asset.material)}
    elif isinstance(asset, GaussiansAsset):
        arrays = _arrays("gaussians", asset.gaussians)
    else:
        return None
    numbers = {k: v for k, v in vars(asset.material).items() if isinstance(v, bool | float)} if isinstance(asset, MeshAsset) else {}
    told = {"kind": asset.kind, "material": json.dumps(numbers), "provenance": json.dumps(asset.provenance)}
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}, told


def asset_from(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Asset:
    """The asset that `asset_tensors` took apart.

    Raises KeyError, TypeError or ValueError when it is none.
    """
    groups: dict[str, dict[str, Any]] = {"mesh": {}, "material": {}, "gaussians": {}}
    for name, tensor in tensors.items():
        group, _, key = name.partition(".")
        groups[group][key] = tensor.numpy()
    provenance = json.loads(metadata["provenance"])
    if metadata["kind"] == "gaussians":
        return GaussiansAsset(Gaussians(**groups["gaussians"]), provenance=provenance)
    material = Material(**groups["material"], **json.loads(metadata["material"]))
    return MeshAsset(Mesh(**groups["mesh"]), material, provenance=provenance)


def _arrays(group: str, value: Any) -> dict[str, np.ndarray]:
    found = {f"{group}.{f.name}": getattr(value, f.name) for f in fields(value)}
    return {name: array for name, array in found.items() if isinstance(array, np.ndarray)}
