"""Workers as an array of Slurm jobs: saved and queued again before their time is over, and after they had to give way.

The script asks for a signal some time before its limit (`sbatch --signal`). On it the worker saves a checkpoint and ends, and the
job goes back into the queue; the next time it goes on from there. Slurm sends the same signal to a job that has to give way where
it is set up with `PreemptParameters=send_user_signal`. Without that the job is killed, queued again by `--requeue`, and loses the
steps since its last checkpoint. (Slurm's manual of sbatch, --signal and --requeue, and of slurm.conf.)
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from df3d.batches.launchers.options import SlurmConfig
from df3d.errors import ConfigError, ModelError, RunError

EVERY = 10.0  # seconds between two questions to Slurm
SCRIPT = """#!/bin/bash
{options}
again=
stop() {{ kill -TERM "$child" 2>/dev/null; }}
trap 'again=yes; stop' USR1
trap 'stop' TERM INT
for try in 1 2 3; do
  {command} </dev/null &
  child=$!
  while :; do  # a signal ends `wait` before the worker has ended
    wait "$child"
    code=$?
    kill -0 "$child" 2>/dev/null || break
  done
  [ -n "$again" ] && break
  case $code in 0|1|130|143) break ;; esac  # anything else: it was killed, and goes on
done
if [ -n "$again" ]; then
  scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}" && exit 0
fi
exit "$code"
"""


def ready(config: SlurmConfig) -> None:
    """Raises ModelError where there is no Slurm, and ConfigError for a share of a GPU, which it does not give."""
    if missing := [name for name in ("sbatch", "squeue", "scancel") if not shutil.which(name)]:
        raise ModelError(
            f"launcher `slurm` needs Slurm's commands, and there is no `{missing[0]}` here", "run it on a login node of the cluster"
        )
    if config.gpus != int(config.gpus):
        raise ConfigError(f"Slurm gives whole GPUs, not {config.gpus:g}", "write for example --gpus-per-worker 1")


class SlurmWorker:
    """One job of the array."""

    def __init__(self, array: SlurmArray, task: int) -> None:
        self._array, self._task = array, task

    def poll(self) -> int | None:
        """None while it waits or runs; then 0: what became of its runs is in their folders."""
        return None if self._array.has(self._task) else 0

    def cancel(self) -> None:
        _slurm("scancel", f"{self._array.job}_{self._task}")


class SlurmArray:
    """A submitted array; Slurm is asked about all of its jobs at once, now and then."""

    def __init__(self, job: str, count: int, *, detached: bool) -> None:
        self.job = job
        self._left = set() if detached else set(range(count))
        self._asked = time.monotonic()

    def has(self, task: int) -> bool:
        """Whether a job of it waits or runs."""
        if self._left and time.monotonic() - self._asked >= EVERY:
            self._asked = time.monotonic()
            done = subprocess.run(["squeue", "-h", "-r", "-j", self.job, "-o", "%K"], capture_output=True, text=True)  # noqa: S607
            if done.returncode == 0 or "Invalid job id" in done.stderr:  # an answer; anything else is a controller that is busy
                self._left &= {int(word) for word in done.stdout.split() if word.isdecimal()}
        return task in self._left


class SlurmLauncher:
    """Submits one array."""

    def __init__(self, config: SlurmConfig) -> None:
        self._config = config

    def start(self, command: Sequence[str], count: int, environment: Mapping[str, str]) -> list[SlurmWorker]:
        """Raises RunError with Slurm's own words when it does not take the jobs."""
        folder = Path(command[command.index("--worker") + 1] if "--worker" in command else ".").absolute() / ".batch" / "slurm"
        folder.mkdir(parents=True, exist_ok=True)
        script = folder / "worker.sh"
        script.write_text(self._script(command, count, environment, folder), encoding="utf-8")
        job = _slurm("sbatch", "--parsable", str(script)).strip().partition(";")[0]
        array = SlurmArray(job, count, detached=self._config.detach)
        return [SlurmWorker(array, task) for task in range(count)]

    def _script(self, command: Sequence[str], count: int, environment: Mapping[str, str], folder: Path) -> str:
        config = self._config
        options = {
            "job-name": "df3d", "array": f"0-{count - 1}", "output": str(folder / "%A_%a.log"), "open-mode": "append",
            "signal": f"B:USR1@{config.warning}", "cpus-per-task": str(config.threads), "gpus-per-task": f"{config.gpus:g}",
            "ntasks": "1", "mem": config.memory, "time": config.time, "partition": config.partition, "account": config.account,
        }  # fmt: skip
        if not config.gpus:
            del options["gpus-per-task"]
        lines = [f"#SBATCH --{name}={shlex.quote(value)}" for name, value in options.items() if value]
        lines += ["#SBATCH --requeue", *(f"#SBATCH {shlex.quote(word)}" for word in shlex.split(config.extra))]
        variables = {"OMP_NUM_THREADS": str(config.threads), **environment}
        words = ["env", *(f"{name}={value}" for name, value in variables.items()), *command]
        return SCRIPT.format(options="\n".join(lines), command=shlex.join(words))


def _slurm(*command: str) -> str:
    """What one of Slurm's commands printed.

    Raises RunError with its own words when it refuses.
    """
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        words = re.sub(r"\s+", " ", done.stderr.strip() or done.stdout.strip())
        raise RunError(f"`{command[0]}` refuses: {words[:300]}", "set what it asks for with --launch, as in --launch partition=gpu")
    return done.stdout
