"""A small Slurm of one machine, for tests: `sbatch`, `squeue`, `scancel` and `scontrol requeue` that really run processes.

`install(folder)` writes the commands; jobs and their states lie in the folder. `limit` is the seconds after which a job gets the
signal that its script asked for; a job that does not end is killed a while later and, as with --requeue, started again.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = ("sbatch", "squeue", "scancel", "scontrol")


def install(folder: Path, *, limit: float = 1e9, preempt: float = 1e9) -> str:
    """The PATH with the commands at its front. `preempt`: seconds after which a job is killed, once, without a warning."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"limit": limit, "preempt": preempt}))
    for name in COMMANDS:
        (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {folder} {name} "$@"\n')
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def _sbatch(folder: Path, arguments: list[str]) -> None:
    script = Path(arguments[-1])
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.+)$", script.read_text(), re.MULTILINE))
    if "moon" in options.get("partition", ""):
        print("sbatch: error: invalid partition specified: moon", file=sys.stderr)
        raise SystemExit(1)
    first, last = map(int, options["array"].split("-"))
    job = str(100 + len(list(folder.glob("job-*"))))
    (folder / f"job-{job}").mkdir()
    for task in range(first, last + 1):
        (folder / f"job-{job}" / f"{task}.waits").touch()
        command = [
            sys.executable,
            __file__,
            str(folder),
            "daemon",
            job,
            str(task),
            str(script),
            options["signal"].split("@")[0][2:],
        ]
        log = options["output"].strip("'").replace("%A", job).replace("%a", str(task))
        with open(log, "ab") as output:
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    print(f"{job};here")


def _daemon(folder: Path, job: str, task: str, script: str, warning: str) -> None:
    """What slurmd does for a job: run it, warn it, kill it, and run it again where it was queued again."""
    place, config = folder / f"job-{job}", json.loads((folder / "config.json").read_text())
    preempted = False
    while True:
        (place / f"{task}.begins").open("a").write("x")
        own = {**os.environ, "SLURM_ARRAY_JOB_ID": job, "SLURM_ARRAY_TASK_ID": task}
        process = subprocess.Popen(["bash", script], env=own, start_new_session=True)
        (place / f"{task}.pid").write_text(str(process.pid))
        began, warned = time.monotonic(), False
        again = False
        while process.poll() is None:
            age = time.monotonic() - began
            if age > config["limit"] and not warned:
                warned = True
                process.send_signal(getattr(signal, f"SIG{warning}"))  # B: to the shell alone
            if age > config["preempt"] and not preempted:
                preempted = again = True
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.05)
        if (place / f"{task}.requeue").exists():
            (place / f"{task}.requeue").unlink()
            again = True
        if not again or (place / f"{task}.cancelled").exists():
            (place / f"{task}.waits").unlink()
            return


def _squeue(folder: Path, arguments: list[str]) -> None:
    job = arguments[arguments.index("-j") + 1]
    if (folder / "busy").exists():
        print("slurm_load_jobs error: Unable to contact slurm controller", file=sys.stderr)
        raise SystemExit(1)
    found = sorted((folder / f"job-{job}").glob("*.waits"))
    if not found:  # as Slurm does once it has forgotten a job
        print("slurm_load_jobs error: Invalid job id specified", file=sys.stderr)
        raise SystemExit(1)
    for path in found:
        print(path.stem)


def _scancel(folder: Path, arguments: list[str]) -> None:
    job, task = arguments[-1].split("_")
    (folder / f"job-{job}" / f"{task}.cancelled").touch()
    os.killpg(int((folder / f"job-{job}" / f"{task}.pid").read_text()), signal.SIGTERM)


def _scontrol(folder: Path, arguments: list[str]) -> None:
    job, task = arguments[-1].split("_")
    (folder / f"job-{job}" / f"{task}.requeue").touch()


if __name__ == "__main__":
    folder, name, *arguments = sys.argv[1:]
    commands = {"sbatch": _sbatch, "squeue": _squeue, "scancel": _scancel, "scontrol": _scontrol}
    if name == "daemon":
        _daemon(Path(folder), *arguments)
    else:
        commands[name](Path(folder), arguments)
