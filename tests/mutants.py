"""Mutation testing: each mutant of a list is a small mistake in the code, and some test should fail because of it.

    python tests/mutants.py [--list tests/mutants.toml] [--only WORD]

The tree is copied, one mistake at a time is made in the copy, and the tests that its entry names run there until one fails. Printed
are the mutants that live, and how many died. An entry has `file`, `old` (which must be in it once), `new` and `tests`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def copy_of_the_tree(folder: Path) -> None:
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True)
    for name in filter(None, names.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def dies(mutant: dict[str, str], folder: Path) -> bool:
    """Whether a test fails when the mistake is made."""
    file = folder / mutant["file"]
    text = file.read_text()
    if text.count(mutant["old"]) != 1:
        raise SystemExit(f"{mutant['file']} holds `{mutant['old']}` {text.count(mutant['old'])} times: mend the list")
    file.write_text(text.replace(mutant["old"], mutant["new"]))
    paths = [str(folder), *(str(path.parent) for path in folder.glob("plugins/*/pyproject.toml"))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutant["tests"].split()]
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    finally:
        file.write_text(text)
    if done.returncode not in (0, 1):
        raise SystemExit(f"the tests of `{mutant['new']}` did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", type=Path, default=ROOT / "tests" / "mutants.toml")
    parser.add_argument("--only", default="", help="mutants whose file or text holds this")
    options = parser.parse_args()
    mutants = [m for m in tomllib.loads(options.list.read_text())["mutant"] if options.only in f"{m['file']} {m['old']} {m['new']}"]
    alive, started = [], time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copy_of_the_tree(Path(folder))
        for mutant in mutants:
            dead = dies(mutant, Path(folder))
            print(f"{'died ' if dead else 'LIVES'} {mutant['file']}: {mutant['old']} -> {mutant['new']}", flush=True)
            alive += [] if dead else [mutant]
    print(f"{len(mutants) - len(alive)} of {len(mutants)} died, in {(time.monotonic() - started) / 60:.1f} minutes")
    sys.exit(bool(alive))


if __name__ == "__main__":
    main()
