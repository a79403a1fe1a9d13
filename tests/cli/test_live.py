"""The live view against cameras whose pictures are known, and a server that answers."""

from __future__ import annotations

from types import SimpleNamespace
from urllib.request import urlopen

import pytest
import torch

from df3d.cli.live import HEIGHT, LiveView, camera_of
from df3d.scene.cameras import orbit, rays
from df3d.testing import HollowBall
from df3d.types import Cameras, RenderOutput, RenderRequest


def as_viser(view: Cameras) -> SimpleNamespace:
    """The same camera in viser's convention: looks along +Z, +Y down."""
    from scipy.spatial.transform import Rotation

    turn = view.pose[0, :3, :3] * torch.tensor([1.0, -1.0, -1.0])
    x, y, z, w = Rotation.from_matrix(turn.numpy()).as_quat()
    fov = float(torch.deg2rad(view.fov_y[0]))
    return SimpleNamespace(wxyz=(w, x, y, z), position=view.pose[0, :3, 3].numpy(), fov=fov, aspect=view.width / view.height)


@pytest.mark.parametrize("start", [0.0, 50.0, -130.0])
def test_the_camera_is_the_one_that_the_browser_holds(start: float) -> None:
    wanted = orbit(1, start=start, elevation=25.0, size=HEIGHT)
    found = camera_of(as_viser(wanted))
    assert (found.height, found.width) == (HEIGHT, HEIGHT)
    for ours, theirs in zip(rays(found), rays(wanted), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.azimuth, wanted.azimuth, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.elevation, wanted.elevation, atol=1e-3, rtol=0)


def test_everybody_who_looks_gets_a_picture_and_nobody_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("viser")
    live = LiveView(port=18080)
    try:
        with urlopen(live.address, timeout=10) as answer:
            assert answer.status == 200
        drawn: list[Cameras] = []

        class Plain:
            def render(self, field: HollowBall, cameras: Cameras, request: RenderRequest) -> RenderOutput:
                drawn.append(cameras)
                return RenderOutput(torch.full((1, cameras.height, cameras.width, 3), 0.5), torch.ones(1, 1, 1, 1))

        live(HollowBall(), Plain(), "cpu")
        assert drawn == []
        pictures = []
        scene = SimpleNamespace(set_background_image=lambda image, format: pictures.append(image))
        client = SimpleNamespace(camera=as_viser(orbit(1, size=8)), scene=scene)
        monkeypatch.setattr(live._server, "get_clients", lambda: {0: client, 1: client})
        live(HollowBall(), Plain(), "cpu")
        assert [picture.shape for picture in pictures] == [(HEIGHT, HEIGHT, 3)] * 2
        assert pictures[0].max() == 128
    finally:
        live.close()
    assert capsys.readouterr().out == ""  # stdout is for results
