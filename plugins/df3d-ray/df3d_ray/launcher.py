"""Workers as Ray actors.

Ray restarts an actor whose process or node goes (`max_restarts`), and leaves it to the caller to ask it again
(`max_task_retries=0`): what a worker does may be done twice without harm, since finished runs are left alone. Fractions of a GPU
share it and its memory. (docs.ray.io, "Actor fault tolerance" and "Accelerator support".)
"""

from __future__ import annotations

import json
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from df3d import Run
from df3d.errors import PluginError, RunError
from df3d_ray.actor import Hands, versions
from df3d_ray.config import RayConfig
from df3d_ray.packing import notes_of, pack, put_notes, unpack

PASSED = ("DF3D_", "HF_", "TRANSFORMERS_", "PYTORCH_", "HUGGINGFACE_")
KEPT_HERE = ("DF3D_PARENT", "DF3D_CACHE")


class Rows:
    """The runs of a batch whose folder the nodes do not see: which are to be made, and what comes back of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.batch = (folder / "batch.json").read_text(encoding="utf-8")
        names = [str(row["folder"]) for row in json.loads(self.batch)["rows"]]
        self.left = deque(name for name in names if not self._is_done(name))

    def _is_done(self, name: str) -> bool:
        try:
            return Run(self.folder / name).asset is not None
        except RunError:
            return False

    def begun(self, name: str) -> tuple[bytes | None, str]:
        """What there is of a run, and of notes on its failed tries."""
        return pack(self.folder / name), notes_of(self.folder, name)

    def put(self, name: str, made: bytes | None, tries: str) -> None:
        """Put what came of a run in its place, whole or not at all."""
        if made is not None:
            unpack(made, self.folder / name, self.folder / ".batch")
        put_notes(self.folder, name, tries)


class RayWorker:
    """One actor: first it is asked who it is, then it works until nothing is left. `poll` takes it from one to the next."""

    def __init__(self, actor: Any, command: Sequence[str], team: Team) -> None:
        self._actor, self._command, self._team = actor, list(command), team
        self._name = ""  # of the run in work, where runs are handed out
        self._stopping = self._cleaned = False
        self._code: int | None = None
        self._doing = actor.about.remote(str(team.folder))
        self._then: Callable[[Any], None] = self._begin

    def poll(self) -> int | None:
        """Its exit code, or None while it works or waits for its place in the cluster.

        Raises PluginError when its node has other versions than this machine.
        """
        import ray

        while self._code is None and ray.wait([self._doing], timeout=0)[0]:
            try:
                answer = ray.get(self._doing)
            except ray.exceptions.RayError as error:
                if self._stopping or isinstance(error, ray.exceptions.RayTaskError):
                    self._code = 130 if self._stopping else 70
                    self._give_back()
                    break
                self._give_back()
                self._doing, self._then = self._actor.about.remote(str(self._team.folder)), self._begin
                break
            self._then(answer)
        if self._code is not None and self._team.rows is not None and not self._cleaned:
            self._cleaned = True
            ray.wait([self._actor.clean.remote()], timeout=10)
        return self._code

    def cancel(self) -> None:
        self._stopping = True
        self._actor.stop.remote()

    def _begin(self, about: Any) -> None:
        self._team.check(about)
        if self._team.rows is None:
            self._doing, self._then = self._actor.work.remote(self._command), self._end
        else:
            self._next()

    def _end(self, code: Any) -> None:
        self._code = int(code)

    def _next(self) -> None:
        rows = self._team.rows
        assert rows is not None
        if self._stopping or not rows.left:
            self._code = 130 if self._stopping else 0
            return
        self._name = rows.left.popleft()
        at = self._command.index("--worker")
        command = [*self._command[:at], *self._command[at + 2 :]]
        self._doing, self._then = self._actor.make.remote(command, rows.batch, self._name, *rows.begun(self._name)), self._take

    def _take(self, made: Any) -> None:
        rows = self._team.rows
        assert rows is not None
        rows.put(self._name, *made)
        self._name = ""
        self._next()

    def _give_back(self) -> None:
        """The run that the actor had in work is for another, or for itself when it is back."""
        if self._name and self._team.rows is not None:
            self._team.rows.left.appendleft(self._name)
            self._name = ""


class Team:
    """What the workers of a batch have in common; `folder` is None where their command is of no batch."""

    def __init__(self, folder: Path | None, shared: str) -> None:
        self.folder, self._shared = folder, {"yes": True, "no": False}.get(shared)
        self.rows = Rows(folder) if folder and self._shared is False else None

    def check(self, about: Mapping[str, Any]) -> None:
        """Raises PluginError when a node has other versions than this machine, or sees the folder where another does not."""
        node = about["node"]
        own = versions()
        for what, there in about["versions"].items():
            if there != own[what]:
                raise PluginError(f"node {node} has {what} {there}, and this machine {own[what]}", "install the same on all nodes")
        if self.folder is None:
            return
        if self._shared is None:
            self._shared = bool(about["sees"])
            self.rows = None if self._shared else Rows(self.folder)
        elif self._shared and not about["sees"]:
            raise PluginError(
                f"node {node} does not see the folder {self.folder}",
                "mount it there too, or add --launch shared=no",
            )


class RayLauncher:
    """Connects to the cluster at the first worker."""

    def __init__(self, config: RayConfig) -> None:
        self._config = config
        self._team: Team | None = None

    def workers(self) -> int:
        """As many as the cluster carries."""
        have, gpus = self._cluster(), self._gpus()
        return max(1, int(have["GPU"] / gpus) if gpus else int(have.get("CPU", 1) / self._config.threads))

    def start(self, command: Sequence[str], count: int, environment: Mapping[str, str]) -> list[RayWorker]:
        """Raises PluginError when there is no such cluster, or it has another version of Ray or Python."""
        import ray

        self._cluster()
        folder = None
        if "--worker" in command:  # actors work elsewhere than this process
            at = command.index("--worker") + 1
            folder = Path(command[at]).absolute()
            command = [*command[:at], str(folder), *command[at + 1 :]]
        self._team = self._team or Team(folder, self._config.shared)
        config, gpus = self._config, self._gpus()
        passed = {name: value for name, value in os.environ.items() if name.startswith(PASSED) and name not in KEPT_HERE}
        own = {**passed, "OMP_NUM_THREADS": str(config.threads), **({} if gpus else {"CUDA_VISIBLE_DEVICES": ""}), **environment}
        asked: dict[str, Any] = {"num_cpus": config.threads, "num_gpus": gpus, "runtime_env": {"env_vars": own}}
        kind: Any = ray.remote(max_restarts=-1, max_task_retries=0, max_concurrency=2, **asked)
        return [RayWorker(kind(Hands).remote(own), command, self._team) for _ in range(count)]

    def _gpus(self) -> float:
        told = self._config.gpus
        return told if told >= 0 else float(min(1.0, self._cluster().get("GPU", 0.0)))

    def _cluster(self) -> dict[str, float]:
        """What the cluster has of each resource; connects to it, or starts one on this machine."""
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # `uv run` here is not what workers should repeat
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        if not ray.is_initialized():
            _check_answers(self._config.address)
            try:
                ray.init(address=self._config.address or "local", include_dashboard=False if not self._config.address else None,
                         logging_level=logging.WARNING)  # fmt: skip
            except (ConnectionError, RuntimeError, ValueError, OSError) as error:
                where = self._config.address or "this machine"
                reason = " ".join(str(error).split())[:300]
                hint = "start one with `ray start --head`, or leave out the address" if self._config.address else "see `ray status`"
                raise PluginError(f"no Ray cluster can be used at {where}: {reason}", hint) from None
        return dict(ray.cluster_resources())


def _check_answers(address: str) -> None:
    """Raises PluginError where nothing listens at an address: Ray itself would try for many minutes."""
    place, _, port = address.removeprefix("ray://").rpartition(":")
    if not place or not port.isdecimal():  # none, or `auto`, which Ray looks up
        return
    try:
        socket.create_connection((place.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PluginError(
            f"no Ray cluster can be used at {address}: {reason}", "start one with `ray start --head`, or leave out the address"
        ) from None
