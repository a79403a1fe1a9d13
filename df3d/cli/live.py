"""The field in the browser while it is optimised: viser holds the camera, the run's own renderer draws between two steps."""

from __future__ import annotations

import io
import time
from contextlib import redirect_stdout
from typing import Any

import torch
from torch import Tensor

from df3d.errors import PluginError
from df3d.protocols import Field, Renderer
from df3d.run.pictures import to_bytes
from df3d.types import Cameras, RenderRequest

SHARE = 0.2  # of the time, at most, that goes into drawing
HEIGHT = 192  # pixels of a picture


class LiveView:
    """Called after every step; draws for everybody who is looking, as often as SHARE allows.

    Raises PluginError when viser is not installed or the port is taken.
    """

    def __init__(self, port: int = 8080) -> None:
        try:
            import viser
        except ImportError:
            raise PluginError("--view needs viser, which is not installed", "python -m pip install viser") from None
        try:
            with redirect_stdout(io.StringIO()):  # viser greets there, and stdout is for results
                self._server: Any = viser.ViserServer(host="127.0.0.1", port=port, label="df3d", verbose=False)
        except OSError as error:
            raise PluginError(f"--view cannot listen on port {port}: {error.strerror}", "close what uses it") from None
        self._server.scene.set_up_direction("+y")
        self._server.on_client_connect(_look_from_the_front)
        self.address = f"http://127.0.0.1:{self._server.get_port()}"
        self._next = 0.0

    def __call__(self, field: Field, renderer: Renderer, device: str) -> None:
        started = time.monotonic()
        clients = list(self._server.get_clients().values())
        if not clients or started < self._next:
            return
        for client in clients:
            with torch.no_grad():
                picture = renderer.render(field, camera_of(client.camera).to(device), RenderRequest()).rgb[0]
            client.scene.set_background_image(to_bytes(picture), format="jpeg")
        now = time.monotonic()
        self._next = now + (now - started) * (1 - SHARE) / SHARE

    def close(self) -> None:
        with redirect_stdout(io.StringIO()):
            self._server.stop()


def _look_from_the_front(client: Any) -> None:
    client.camera.position, client.camera.look_at = (0.0, 0.8, 2.9), (0.0, 0.0, 0.0)
    client.camera.fov = 0.7  # radians


def camera_of(seen: Any) -> Cameras:
    """One camera from viser's: wxyz a quaternion from a camera that looks along +Z with +Y down, fov vertical in radians."""
    w, x, y, z = (float(value) for value in seen.wxyz)
    turn = torch.tensor(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    pose = torch.eye(4)[None].clone()
    pose[0, :3, :3] = turn * torch.tensor([1.0, -1.0, -1.0])
    pose[0, :3, 3] = torch.tensor([float(value) for value in seen.position])
    back: Tensor = torch.nn.functional.normalize(pose[0, :3, 3], dim=0)
    azimuth, elevation = torch.rad2deg(torch.atan2(back[0], back[2])), torch.rad2deg(torch.asin(back[1]))
    fov = torch.rad2deg(torch.tensor([float(seen.fov)]))
    width = max(1, min(4 * HEIGHT, round(HEIGHT * float(seen.aspect))))
    return Cameras(pose, fov, azimuth[None], elevation[None], pose[:, :3, 3].norm(dim=-1), HEIGHT, width)
