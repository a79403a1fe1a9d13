"""The live view against cameras whose pictures are known, and a server that answers."""

from __future__ import annotations

from types import SimpleNamespace
from urllib.request import urlopen

import pytest
import torch

from df3d.cli import live as module
from df3d.cli.live import HEIGHT, LiveView, _look_from_the_front, camera_of
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


@pytest.mark.parametrize(("aspect", "width"), [(1.0, 192), (1.5, 288), (0.501, 96), (100.0, 768), (0.0001, 1)])
def test_the_picture_is_as_wide_as_the_window_within_reason(aspect: float, width: int) -> None:
    seen = as_viser(orbit(1, size=8))
    seen.aspect = aspect
    assert (camera_of(seen).height, camera_of(seen).width) == (192, width)


def test_drawing_takes_a_fifth_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """One picture that took a second is followed by four without one."""
    drawn: list[Cameras] = []

    class Plain:
        def render(self, field: HollowBall, cameras: Cameras, request: RenderRequest) -> RenderOutput:
            drawn.append(cameras)
            clock[0] += 1.0
            return RenderOutput(torch.zeros(1, 2, 2, 3), torch.ones(1, 2, 2, 1))

    clock, scene = [10.0], SimpleNamespace(set_background_image=lambda image, format: None)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    live = LiveView.__new__(LiveView)
    client = SimpleNamespace(camera=as_viser(orbit(1, size=8)), scene=scene)
    live._server, live._next = SimpleNamespace(get_clients=lambda: {0: client}), 0.0
    live(HollowBall(), Plain(), "cpu")
    for clock[0] in (11.0, 14.99):
        live(HollowBall(), Plain(), "cpu")
    assert len(drawn) == 1
    clock[0] = 15.0
    live(HollowBall(), Plain(), "cpu")
    assert len(drawn) == 2


def test_who_comes_looks_from_the_front() -> None:
    client = SimpleNamespace(camera=SimpleNamespace())
    _look_from_the_front(client)
    x, y, z = client.camera.position
    assert x == 0
    assert z > 2 > y > 0  # a little from above
    assert client.camera.look_at == (0.0, 0.0, 0.0)
    assert client.camera.fov == pytest.approx(torch.deg2rad(torch.tensor(40.0)).item(), abs=0.01)
