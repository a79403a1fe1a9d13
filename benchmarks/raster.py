"""The CPU rasteriser beside the best alternative that installs with pip: rays cast by Embree, weights and gradients by torch.

    python -m pip install embreex
    python benchmarks/raster.py [--triangles 50000] [--size 512] [--runs 10]

Differentiable rasterisers proper need a CUDA toolkit (nvdiffrast) or a compiler and minutes of building (PyTorch3D, whose
wheels end at Python 3.10). Embree finds the nearest triangle of each pixel's ray; the perspective-correct weights, the
interpolated attributes and their gradients to vertices and attributes are written in torch. It has no antialiasing, so
that its silhouettes give no gradient; the time of ours is given with antialiasing and without.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import df3d  # noqa: F401 - first, for it settles how the threads of torch wait

# isort: split
import numpy as np
import torch
from df3d_nvdiffrast.raster import make
from df3d_nvdiffrast.renderer import project
from torch import Tensor

from df3d.scene.cameras import orbit, rays
from df3d.system import cpu, machine


def bumpy_ball(triangles: int) -> tuple[Tensor, Tensor]:
    """A closed surface of about so many triangles, with hollows that hide one another."""
    rings = round((triangles / 4) ** 0.5)
    theta = torch.linspace(0.02, torch.pi - 0.02, rings + 1)[:, None]
    phi = torch.arange(2 * rings)[None] * (torch.pi / rings)
    radius = 0.75 + 0.12 * torch.sin(7 * theta) * torch.cos(9 * phi)
    points = radius[..., None] * torch.stack([theta.sin() * phi.sin(), theta.cos().expand_as(radius), theta.sin() * phi.cos()], -1)
    corner = torch.arange((rings + 1) * 2 * rings).view(rings + 1, 2 * rings)
    a, b, c, d = corner[:-1], corner[:-1].roll(-1, 1), corner[1:], corner[1:].roll(-1, 1)
    return points.view(-1, 3), torch.cat([torch.stack([a, c, b], -1).view(-1, 3), torch.stack([b, c, d], -1).view(-1, 3)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triangles", type=int, default=50_000)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    machine.keep_freed_memory()
    vertices, faces = bumpy_ball(options.triangles)
    attributes, view = torch.rand(1, len(vertices), 6), orbit(1, size=options.size)
    upstream = torch.rand(1, options.size, options.size, 6)
    rasterizer = make("cpu", "cpu")[0]

    def ours(edges: bool) -> Tensor:
        moving, carried = vertices.clone().requires_grad_(), attributes.clone().requires_grad_()
        clip = project(moving, view)
        seen = rasterizer.rasterize(clip, faces, options.size, options.size)
        image = rasterizer.interpolate(carried, seen, faces)
        if edges:
            image = rasterizer.antialias(image, seen, clip, faces)
        (image * upstream).sum().backward()
        return image.detach()

    origins, directions = (t.reshape(-1, 3) for t in rays(view))

    def embree() -> Tensor:
        from embreex import rtcore_scene
        from embreex.mesh_construction import TriangleMesh

        moving, carried = vertices.clone().requires_grad_(), attributes.clone().requires_grad_()
        scene = rtcore_scene.EmbreeScene()  # anew each time: the vertices move in every step
        TriangleMesh(scene, vertices[faces].numpy())
        hit = torch.from_numpy(scene.run(origins.numpy(), directions.numpy()).astype(np.int64))
        (found,) = (hit >= 0).nonzero(as_tuple=True)
        corners = moving[faces[hit[found]]]
        o, d = origins[found], directions[found]
        one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]  # Moeller and Trumbore (1997)
        across, back = torch.linalg.cross(d, two), o - corners[:, 0]
        scale = 1 / (one * across).sum(-1)
        v = (back * across).sum(-1) * scale
        w = (d * torch.linalg.cross(back, one)).sum(-1) * scale
        weights = torch.stack([1 - v - w, v, w], -1)
        values = (weights[..., None] * carried[0][faces[hit[found]]]).sum(1)
        image = torch.zeros(options.size**2, 6).index_copy(0, found, values).view_as(upstream)
        (image * upstream).sum().backward()
        return image.detach()

    works: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: ours(True),
        "ours without edges": lambda: ours(False),
        "embree": embree,
    }
    images = {name: work() for name, work in works.items()}  # compiles, and checks that they draw the same
    apart = (images["ours without edges"] - images["embree"]).abs().amax(-1) > 1e-2
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(options.runs):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            times[name].append((time.perf_counter() - start) * 1e3)
    print(f"{len(faces)} triangles, {options.size} x {options.size}, forward and backward, {cpu.threads()} threads")
    print(f"pixels that differ: {float(apart.float().mean()):.2%}")
    for name, found in times.items():
        print(f"{name}: {statistics.median(found):.1f} ms ({min(found):.1f} to {max(found):.1f})")
    ratio = statistics.median(b / a for a, b in zip(times["ours"], times["embree"], strict=True))
    print(f"embree / ours: {ratio:.2f}")


if __name__ == "__main__":
    main()
