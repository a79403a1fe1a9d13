"""A small library on disk: boxes, balls and posts in plain colours, as a user's folder of meshes."""

from __future__ import annotations

import csv
from pathlib import Path

import trimesh

OBJECTS = [  # file, noun, caption, extents or radius, colour
    ("red_box.glb", "box", "a red box", (1.0, 0.6, 0.8), (200, 30, 25)),
    ("blue_ball.glb", "ball", "a blue ball", 0.5, (30, 70, 210)),
    ("green_post.glb", "post", "a green post", (0.2, 1.0, 0.2), (40, 150, 45)),
    ("flat_slab.glb", "table", "a brown table", (1.2, 0.3, 1.0), (115, 64, 28)),
]


def make(folder: Path, *, captions: bool = True) -> Path:
    """Write the library."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, _, _, size, color in OBJECTS:
        mesh = trimesh.creation.box(size) if isinstance(size, tuple) else trimesh.creation.icosphere(subdivisions=2, radius=size)
        mesh.visual.vertex_colors = [*color, 255]
        mesh.export(folder / file)
    if captions:
        with (folder / "captions.csv").open("w", newline="") as stream:
            rows = csv.writer(stream)
            rows.writerow(("path", "noun", "caption", "category", "group"))
            rows.writerows((file, noun, caption, "object", file) for file, noun, caption, _, _ in OBJECTS)
    return folder
