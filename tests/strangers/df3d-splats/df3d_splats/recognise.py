"""Which PLY files hold Gaussians. No torch, no numpy."""

from pathlib import Path


def is_splats(path: Path) -> bool:
    """Whether the header of a PLY speaks of the rotations of Gaussians."""
    with path.open("rb") as file:
        return b"property float rot_0" in file.read(4096).split(b"end_header")[0]
