"""The PLY of 3D Gaussian Splatting: one vertex a Gaussian, scales as logarithms, opacities as logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from df3d import ExportError, Gaussians, GaussiansAsset, NoConfig
from df3d.system.files import replace_atomically

FIELDS = (
    "x",
    "y",
    "z",
    "f_dc_0",
    "f_dc_1",
    "f_dc_2",
    "opacity",
    "scale_0",
    "scale_1",
    "scale_2",
    "rot_0",
    "rot_1",
    "rot_2",
    "rot_3",
)


class SplatExporter:
    def __init__(self, config: NoConfig) -> None: ...

    def write(self, asset: GaussiansAsset, path: Path) -> list[Path]:
        cloud = asset.gaussians
        opacity = np.clip(cloud.opacities, 1e-6, 1 - 1e-6)
        columns = (
            cloud.means,
            cloud.harmonics[:, 0],
            np.log(opacity / (1 - opacity))[:, None],
            np.log(cloud.scales),
            cloud.rotations,
        )
        rows = np.concatenate(columns, axis=1).astype("<f4")
        properties = "".join(f"property float {name}\n" for name in FIELDS)
        header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(rows)}\n{properties}end_header\n".encode()
        replace_atomically(path, lambda temporary: temporary.write_bytes(header + rows.tobytes()))
        return [path]


class SplatImporter:
    def __init__(self, config: NoConfig) -> None: ...

    def read(self, path: Path) -> GaussiansAsset:
        """Raises ExportError when it is no such PLY, or a cut one."""
        header, _, data = path.read_bytes().partition(b"end_header\n")
        names = [line.split()[2].decode() for line in header.splitlines() if line.startswith(b"property float")]
        if tuple(names) != FIELDS or len(data) % (4 * len(FIELDS)) or not data:
            raise ExportError(f"`{path}` holds no Gaussians that can be read", "give a PLY of 3D Gaussian Splatting that is whole")
        rows = np.frombuffer(data, "<f4").reshape(-1, len(FIELDS)).astype(np.float32)
        means, harmonics, opacity, scales, turns = np.split(rows, [3, 6, 7, 10], axis=1)
        cloud = Gaussians(means, np.exp(scales), turns, 1 / (1 + np.exp(-opacity[:, 0])), harmonics[:, None])
        return GaussiansAsset(cloud)
