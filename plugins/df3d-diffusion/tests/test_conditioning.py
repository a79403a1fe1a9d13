from __future__ import annotations

import torch
from df3d_diffusion.conditioning import RAY_CHANNELS, VIEW_CODES, ray_map, view_code

from df3d.scene.cameras import look_at, orbit


def test_a_ray_map_holds_place_and_line_of_every_pixel() -> None:
    cameras = orbit(3, elevation=20.0, distance=3.0, size=64)
    rays = ray_map(cameras, 3, 5)
    assert rays.shape == (3, RAY_CHANNELS, 5, 5)
    assert rays[0, 0, 0].tolist() == rays[0, 0, 4].tolist()
    torch.testing.assert_close(rays[0, 0, 0], torch.tensor([-0.8, -0.4, 0.0, 0.4, 0.8]))
    torch.testing.assert_close(rays[0, 1, :, 0], torch.tensor([0.8, 0.4, 0.0, -0.4, -0.8]))
    direction, moment = rays[:, 3:6], rays[:, 6:9]
    torch.testing.assert_close(direction.norm(dim=1), torch.ones(3, 5, 5))
    torch.testing.assert_close((direction * moment).sum(1), torch.zeros(3, 5, 5), atol=1e-6, rtol=0)
    torch.testing.assert_close(moment[:, :, 2, 2], torch.zeros(3, 3), atol=1e-6, rtol=0)  # it looks at the origin
    torch.testing.assert_close(direction[:, :, 2, 2], -cameras.pose[:, :3, 3] / 3.0)
    origin = cameras.pose[:, :3, 3, None, None].expand_as(direction)
    torch.testing.assert_close(moment, torch.linalg.cross(origin, direction, dim=1))  # o x d, not d x o


def test_an_unknown_camera_leaves_only_the_place() -> None:
    unknown = ray_map(None, 2, 4)
    assert unknown[:, 2:].abs().sum() == 0
    assert torch.equal(unknown[:, :2], ray_map(orbit(2, size=8), 2, 4)[:, :2])


def test_view_codes_are_orthonormal_over_the_sphere() -> None:
    torch.manual_seed(0)
    x, y, z = torch.nn.functional.normalize(torch.randn(200_000, 3), dim=1).unbind(1)
    azimuth, elevation = torch.rad2deg(torch.atan2(x, z)), torch.rad2deg(torch.asin(y))
    full = torch.ones_like(x)
    codes = view_code(look_at(azimuth, elevation, 3.0 * full, 35.0 * full, height=8, width=8), len(x))
    torch.testing.assert_close(codes.T @ codes / len(x), torch.eye(VIEW_CODES), atol=0.03, rtol=0)
    assert view_code(None, 2).eq(0).all()


def test_view_codes_know_left_from_right_and_front_from_back() -> None:
    """The real harmonics (arXiv 2112.05131 lists them too) at cameras whose direction is known."""
    left, front, top = (view_code(look_at(*torch.tensor([[a], [e], [3.0], [35.0]]), height=8, width=8), 1)[0] for a, e in
                        ((90.0, 0.0), (0.0, 0.0), (0.0, 90.0)))  # fmt: skip
    root3, half5, half15 = 3**0.5, 5**0.5 / 2, 15**0.5 / 2
    expected = {  # of degrees 0 to 2: 1, x, y, z, xy, yz, zx, 3y^2 - 1, z^2 - x^2
        "left": [1, root3, 0, 0, 0, 0, 0, -half5, -half15],
        "front": [1, 0, 0, root3, 0, 0, 0, -half5, half15],
        "top": [1, 0, root3, 0, 0, 0, 0, 2 * half5, 0],
    }
    for name, found in (("left", left), ("front", front), ("top", top)):
        torch.testing.assert_close(found[:9], torch.tensor(expected[name]), atol=1e-5, rtol=0)
    # degree 3: y(5y^2-3), x(5y^2-1), z(5y^2-1), xyz, y(z^2-x^2), x(x^2-3z^2), z(z^2-3x^2), each with its factor
    torch.testing.assert_close(left[9:], torch.tensor([0, -((21 / 8) ** 0.5), 0, 0, 0, (35 / 8) ** 0.5, 0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(front[9:], torch.tensor([0, 0, -((21 / 8) ** 0.5), 0, 0, 0, (35 / 8) ** 0.5]), atol=1e-5, rtol=0)
    torch.testing.assert_close(top[9:], torch.tensor([7**0.5, 0, 0, 0, 0, 0, 0]), atol=1e-5, rtol=0)
