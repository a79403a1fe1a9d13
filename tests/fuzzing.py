"""Mutated inputs for every door through which a stranger's file comes in.

    python tests/fuzzing.py [--minutes 60] [--door glb] [--seed 0]      NUMBA_BOUNDSCHECK=1 for the kernels

Each door is a small valid input and a function that reads it. What is read is read, or refused with a Df3dError; anything else
is a finding: another exception, the end of the process, more than two gigabytes, or a minute. Inputs that did so are kept in the
folder `fuzz-findings`. `tests/test_fuzz.py` runs a few hundred of them in the suite.
"""

from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from assets import write
from minimal import MINIMAL
from PIL import Image

from df3d.batches import lists
from df3d.batches import plan as batches
from df3d.cli.batch import _text
from df3d.errors import Df3dError
from df3d.evaluation.evaluate import evaluate
from df3d.evaluation.targets import find_targets, read_prompts
from df3d.mesh.files import read
from df3d.mesh.finished import drawable, fitted_asset
from df3d.plugin.catalog import Catalog
from df3d.prompt import Picture
from df3d.recipe import recipe as recipes
from df3d.recipe.compose import compose
from df3d.recipe.recipe import Recipe
from df3d.run.asset_tensors import asset_tensors
from df3d.run.checkpoint import Checkpoints
from df3d.run.parts import build
from df3d.run.recovery import Recovery
from df3d.run.rundir import RunDir
from df3d.scene.cameras import orbit
from df3d.schedule import Step
from df3d.system.images import pixels
from df3d.system.tensors import write_tensors
from df3d.system.text import printable
from df3d.testing import a_mesh
from df3d.types import RenderRequest

MEMORY = 2 << 30  # bytes more than at the start
SECONDS = 60

Mutate = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Door:
    """A kind of file: what its name is, a valid one, how it is changed, and who reads it."""

    name: str
    file: str
    seed: Callable[[Path], bytes]  # made in an empty folder
    mutate: Mutate
    read: Callable[[Path], object]


# ---------------------------------------------------------------------------------------------- changes
NUMBERS = (0, -1, 1, 255, 65535, 2**31 - 1, -(2**31), 2**32 - 1, 2**63, -(2**63), 10**400, 1e308, -0.0)
WORDS = ("", "..", "../x", "/etc/passwd", "a\x1b[2J", "\u202e", "x" * 5000, "\0", "=1+1", "NaN", "coarse", "1e999", "\U0001d54f")


def strange(random: random.Random, depth: int = 0) -> Any:
    """A value that nobody expects."""
    kind = random.randrange(8 if depth < 3 else 5)
    if kind == 0:
        return random.choice(NUMBERS)
    if kind == 1:
        return random.choice(WORDS)
    if kind == 2:
        return random.choice((None, True, False))
    if kind == 3:
        return random.uniform(-10, 10)
    if kind == 4:
        return random.randrange(-5, 300)
    if kind == 5:
        return [strange(random, depth + 1) for _ in range(random.randrange(5))]
    if kind == 6:
        return {random.choice(WORDS): strange(random, depth + 1) for _ in range(random.randrange(4))}
    return [0] * random.choice((100, 10_000))


def change_tree(tree: Any, random: random.Random) -> Any:
    """A JSON value with one to three of its inner values changed, removed, doubled or moved."""
    tree = copy.deepcopy(tree)
    for _ in range(random.randrange(1, 4)):
        places: list[tuple[Any, Any]] = []

        def collect(value: Any, places: list[tuple[Any, Any]] = places) -> None:
            for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
                places.append((value, key))
                collect(value[key])

        collect(tree)
        if not places:
            return strange(random)
        owner, key = random.choice(places)
        how = random.randrange(5)
        if how == 0:
            del owner[key]
        elif how == 1:
            other, there = random.choice(places)
            with suppress(LookupError):
                owner[key] = copy.deepcopy(other[there])
        elif how == 2 and isinstance(owner, list):
            owner.extend([owner[key]] * random.choice((1, 50)))
        elif how == 3 and isinstance(owner[key], int | float) and not isinstance(owner[key], bool):
            owner[key] = owner[key] + random.choice((-1, 1, 2, 100, -100))
        else:
            owner[key] = strange(random)
    return tree


def change_bytes(data: bytes, random: random.Random) -> bytes:
    """Bits turned, parts cut, doubled or filled, numbers made extreme."""
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8, 40))):
        place, length = random.randrange(len(found) + 1), random.choice((1, 2, 4, 8, 64))
        how = random.randrange(6)
        if how == 0 and found:
            found[place % len(found)] ^= 1 << random.randrange(8)
        elif how == 1:
            del found[place : place + length]
        elif how == 2:
            found[place:place] = found[place : place + length] * random.choice((1, 3))
        elif how == 3:
            found[place : place + 4] = struct.pack("<I", random.choice((0, 1, 2**31, 2**32 - 1, len(data))))
        elif how == 4:
            found[place : place + length] = random.randbytes(length)
        elif random.random() < 0.2:
            del found[place:]
    return bytes(found)


def change_text(data: bytes, random: random.Random) -> bytes:
    """Words of a text exchanged for strange ones, or its bytes changed."""
    if random.random() < 0.3:
        return change_bytes(data, random)
    words = data.decode("utf-8", "replace").split(" ")
    for _ in range(random.randrange(1, 4)):
        place = random.randrange(len(words))
        words[place] = random.choice((str(strange(random))[:200], random.choice(words), words[place] + "\n" + random.choice(words)))
    return " ".join(words).encode("utf-8", "replace")


def change_json(data: bytes, random: random.Random) -> bytes:
    if random.random() < 0.15:
        return change_bytes(data, random)
    if random.random() < 0.02:
        return b"[" * 100_000
    return json.dumps(change_tree(json.loads(data), random)).encode()


def change_toml(data: bytes, random: random.Random) -> bytes:
    import tomllib

    import tomli_w

    if random.random() < 0.3:
        return change_text(data, random)
    with suppress(TypeError, ValueError, AttributeError, RecursionError, UnicodeError):
        return tomli_w.dumps(change_tree(tomllib.loads(data.decode()), random)).encode()
    return change_text(data, random)


def change_lines(data: bytes, random: random.Random) -> bytes:
    """JSON lines."""
    lines = data.splitlines()
    place = random.randrange(len(lines))
    lines[place] = change_json(lines[place], random)
    return b"\n".join(lines)


def change_glb(data: bytes, random: random.Random) -> bytes:
    if random.random() < 0.3:
        return change_bytes(data, random)
    (length,) = struct.unpack_from("<I", data, 12)
    text = json.dumps(change_tree(json.loads(data[20 : 20 + length]), random)).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    if random.random() < 0.3:
        rest = rest[:8] + change_bytes(rest[8:], random)
    return struct.pack("<4sII", b"glTF", 2, 20 + len(text) + len(rest)) + struct.pack("<I4s", len(text), b"JSON") + text + rest


def change_safetensors(data: bytes, random: random.Random) -> bytes:
    """Numbers, header, or both; the header's length stays right, so that what it says is believed."""
    if random.random() < 0.2:
        return change_bytes(data, random)
    (length,) = struct.unpack_from("<Q", data)
    header, body = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
    how = random.randrange(4)
    names = [name for name in header if name != "__metadata__"]
    if how == 0:
        header = change_tree(header, random)
    elif how == 1:  # another shape of as many numbers, or another type of as many bytes
        one = header[random.choice(names)]
        size = int(np.prod(one["shape"]))
        one["shape"] = random.choice(([size], [size, 1], [1, size], [1, *one["shape"]], one["shape"][::-1]))
        if one["dtype"] == "F32" and random.random() < 0.5:
            one["dtype"] = random.choice(("I32", "U32"))
    elif how == 2:
        name = random.choice(names)
        start, stop = header[name]["data_offsets"]
        fill = random.choice((b"\xff", b"\x00", b"\x7f", struct.pack("<f", float("nan")), struct.pack("<q", 2**40), b"\x80"))
        body[start:stop] = (fill * (stop - start))[: stop - start]
    else:
        header["x" + random.choice(names)] = header.pop(random.choice(names))
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(body)


# ---------------------------------------------------------------------------------------------- doors
@cache
def catalog() -> Catalog:
    return Catalog.discover()


@cache
def minimal() -> Recipe:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "r.toml").write_text(MINIMAL)
        return compose(recipes.read(Path(folder, "r.toml")), catalog()).recipe


def a_manifest(folder: Path) -> bytes:
    told = {"prompt": "a car", "negative": "", "seed": 0, "recipe": "toybox", "device": "cpu", "status": "finished",
            "asset": "asset.glb", "versions": {"df3d": "0.1.0"}, "seconds": 1.5, "peak_memory_mib": 900,
            "recovery": {"coarse": {"rung": 1, "rollbacks": 0}}, "fit": [["coarse.renderer.tile", 4096]],
            "files": ["asset.glb"], "stages": ["coarse"]}  # fmt: skip
    return json.dumps(told).encode()


def read_a_list(path: Path) -> None:
    mistakes = lists.Mistakes(path.name)
    lists.read(_text(str(path)), mistakes)
    mistakes.tell()


def a_batch(folder: Path) -> bytes:
    rows = [{"prompt": "a car", "seed": 0, "folder": "a-car"}]
    return json.dumps({"recipe": "toybox", "settings": ["a=1"], "device": "cpu", "rows": rows}).encode()


def read_manifest(path: Path) -> None:
    run = RunDir(path.parent)
    run.asset()
    Recovery(**run.recovery("coarse"))
    list(evaluate(find_targets([path.parent], catalog()), {}, catalog()))
    run.update_manifest({"status": "running"})


def read_recipe(path: Path) -> None:
    compose(recipes.read(path), catalog())


def a_mesh_file(name: str) -> Callable[[Path], bytes]:
    return lambda folder: write(folder / name, catalog()).read_bytes()


def read_mesh(path: Path) -> None:
    """Reads it, scores it and draws it."""
    asset = fitted_asset(read(path, catalog()))
    geometry = catalog().scorers.get("geometry")
    targets = find_targets([path], catalog(), prompt="a box")
    list(evaluate(targets, {"geometry": geometry.build(geometry.config(), device="cpu")}, catalog()))
    field, renderer = drawable(asset, catalog(), {}, device="cpu")
    with torch.no_grad():
        renderer.render(field, orbit(1, size=32), RenderRequest())


def a_material(folder: Path) -> bytes:
    write(folder / "a.obj", catalog())
    return (folder / "a.mtl").read_bytes()


ENTRY, METADATA = b"[df3d]\nstrange = strange_hooks\n", b"Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n"


def a_plugin(folder: Path) -> bytes:
    """An installed distribution."""
    place = folder / "strange-1.0.dist-info"
    place.mkdir()
    (folder / "strange_hooks.py").write_text("df3d_api = 1\n")
    (place / "METADATA").write_bytes(METADATA)
    (place / "entry_points.txt").write_bytes(ENTRY)
    return ENTRY


def a_plugin_s_metadata(folder: Path) -> bytes:
    a_plugin(folder)
    return METADATA


def read_plugins(path: Path) -> None:
    """Everything else is found, and what is said of it can be shown."""
    sys.path.insert(0, str(path.parents[1]))
    try:
        found = Catalog.discover()
    finally:
        sys.path.pop(0)
    assert "glb" in found.exporters.names()
    for plugin in found.plugins:
        assert printable(f"{plugin.name} {plugin.distribution} {plugin.version} {plugin.problem}").isprintable()


def a_picture(kind: str) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 7, 3)).astype(np.uint8)).save(folder / f"p.{kind}")
        return (folder / f"p.{kind}").read_bytes()

    return make


FIELDS = {
    "hashgrid": ("hashgrid", "raymarch", {"levels": 2, "log2_table": 6, "base": 4, "finest": 8, "hidden": 4, "start_levels": 1},
                 {"samples": 8, "occupancy": 8, "background": "learned"}),
    "tets": ("tets", "raster", {"resolution": 4, "levels": 2, "log2_table": 6, "base": 4, "finest": 8, "hidden": 4}, {}),
    "texture": ("texture", "raster", {"size": 16, "faces": 100}, {}),
}  # fmt: skip


@cache
def parts_of(name: str) -> Any:
    field, renderer, options, drawing = FIELDS[name]
    stage = {"name": "coarse", "steps": 4, "field": {"use": field, **options}, "renderer": {"use": renderer, **drawing},
             "guidance": {"use": "toybox"}, "cameras": {"views": 1, "size": 8}}  # fmt: skip
    plan = compose(recipes.from_table({"stage": [stage]}), catalog()).stages[0]
    return build(plan, device="cpu", start_from=None, seed=0)


def a_checkpoint(name: str) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        parts = parts_of(name)
        for group in parts.optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)
        parts.optimizer.step()
        return Checkpoints(folder).save(2, parts.trainable(), parts.optimizer).read_bytes()

    return make


def read_checkpoint(name: str) -> Callable[[Path], None]:
    def use(path: Path) -> None:
        parts = copy.deepcopy(parts_of(name))
        Checkpoints(path.parent).restore(parts.trainable(), parts.optimizer)
        parts.renderer.refresh(parts.field, Step(3, 4))
        render = parts.renderer.render(parts.field, orbit(1, size=16), RenderRequest(Step(3, 4)))
        if render.rgb.requires_grad:
            render.rgb.square().mean().backward()  # type: ignore[no-untyped-call]
            parts.optimizer.step()

    return use


def an_asset_checkpoint(folder: Path) -> bytes:
    tensors, metadata = asset_tensors(a_mesh()) or ({}, {})
    write_tensors(folder / "a.safetensors", tensors, {"step": "1", **metadata})
    return (folder / "a.safetensors").read_bytes()


def read_asset_checkpoint(path: Path) -> None:
    asset = Checkpoints(path.parent).restore_asset()
    assert asset is not None
    field, renderer = drawable(fitted_asset(asset), catalog(), {}, device="cpu")
    with torch.no_grad():
        renderer.render(field, orbit(1, size=16), RenderRequest())


def of_package(package: str, module: str, make: str, name: str) -> Callable[[Path], bytes]:
    """A file of a small model that a plugin's own tests write."""

    def seed(folder: Path) -> bytes:
        sys.path.insert(0, str(Path(__file__).parents[1] / "plugins" / package / "tests"))
        made = __import__(module)
        options = ("sd",) if make == "write_pipeline" else ()
        return bytes((getattr(made, make)(folder, *options) / name).read_bytes())

    return seed


def read_clip(path: Path) -> None:
    from df3d_clip.model import Clip

    Clip(str(path.parent)).texts(["a car"])


def read_pipeline(path: Path) -> None:
    from df3d_diffusion.loading import load

    load(str(path.parent if path.name == "model_index.json" else path.parents[1]), device="cpu").encode_text([str(time.time())])


STEP = "coarse/step-000002.safetensors"
CLIP = ("df3d-clip", "clips", "tiny_clip")
PIPELINE = ("df3d-diffusion", "pipelines", "write_pipeline")
DOORS = {
    door.name: door
    for door in (
        Door("run.json", "run.json", a_manifest, change_json, read_manifest),
        Door("run.toml", "run.toml", lambda folder: minimal().toml().encode(), change_toml, read_recipe),
        Door("batch.json", "batch.json", a_batch, change_json, lambda path: batches.load(path.parent)),
        Door("list", "list.txt", lambda folder: b"a red car\n# no\na blue chair\n", change_text, read_a_list),
        Door("list.csv", "list.csv", lambda folder: b'prompt,seed,set\na red car,3,steps=3\n"a, b",,\n', change_text, read_a_list),
        Door("list.jsonl", "list.jsonl", lambda folder: b'{"prompt": "a car", "seed": 1, "set": {"steps": 3}}\n{"prompt": "b"}',
             change_lines, read_a_list),
        Door("prompts.csv", "prompts.csv", lambda folder: b'path,prompt\na.glb,"a red car"\n', change_text, read_prompts),
        Door("prompts.jsonl", "prompts.jsonl", lambda folder: b'{"path": "a.glb", "prompt": "a car"}\n{"path": "b", "prompt": "c"}',
             change_lines, read_prompts),
        Door("glb", "a.glb", a_mesh_file("a.glb"), change_glb, read_mesh),
        Door("gltf", "a.gltf", a_mesh_file("a.gltf"), change_json, read_mesh),
        Door("obj", "a.obj", a_mesh_file("a.obj"), change_text, read_mesh),
        Door("mtl", "a.mtl", a_material, change_text, lambda path: read_mesh(path.with_suffix(".obj"))),
        Door("plugin", "strange-1.0.dist-info/entry_points.txt", a_plugin, change_text, read_plugins),
        Door("plugin metadata", "strange-1.0.dist-info/METADATA", a_plugin_s_metadata, change_text, read_plugins),
        Door("ply", "a.ply", a_mesh_file("a.ply"), change_bytes, read_mesh),
        Door("stl", "a.stl", a_mesh_file("a.stl"), change_bytes, read_mesh),
        *(Door(kind, f"p.{kind}", a_picture(kind), change_bytes, lambda path: pixels(Picture(path)))
          for kind in ("png", "jpg", "webp", "gif", "bmp")),
        *(Door(f"checkpoint {name}", STEP, a_checkpoint(name), change_safetensors, read_checkpoint(name)) for name in FIELDS),
        Door("checkpoint asset", STEP, an_asset_checkpoint, change_safetensors, read_asset_checkpoint),
        *(Door(f"clip {name}", name, of_package(*CLIP, name), change, read_clip)
          for name, change in (("open_clip_config.json", change_json), ("open_clip_model.safetensors", change_safetensors))),
        *(Door(f"model {name}", name, of_package(*PIPELINE, name), change_json, read_pipeline)
          for name in ("model_index.json", "unet/config.json", "vae/config.json", "text_encoder/config.json",
                       "scheduler/scheduler_config.json", "tokenizer/tokenizer_config.json")),
        Door("model weights", "text_encoder/model.safetensors", of_package(*PIPELINE, "text_encoder/model.safetensors"),
             change_safetensors, read_pipeline),
    )
}  # fmt: skip


@cache
def prepared(name: str) -> tuple[Path, bytes]:
    """A folder with the valid input of a door and what lies beside it, and that input."""
    folder = Path(tempfile.mkdtemp(prefix="df3d-fuzz-"))
    data = DOORS[name].seed(folder)
    path = folder / DOORS[name].file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return folder, data


def once(name: str, data: bytes) -> str:
    """Give a door an input; returns what was wrong, "" when it was read or refused."""
    folder, _ = prepared(name)
    path = folder / DOORS[name].file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    try:
        DOORS[name].read(path)
    except Df3dError as error:
        return "" if error.message and "\n" not in error.message.strip() else f"no sentence: {error.message!r}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return "".join(traceback.format_exception(error))
    return ""


# ---------------------------------------------------------------------------------------------- the loop
def _work(name: str, seed: int, seconds: float, folder: Path) -> None:
    """A worker: inputs for one door until the time is up; what it looks at is kept, should the process end."""
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError(f"more than {SECONDS} s")))
    valid = prepared(name)[1]
    problem = once(name, valid)
    if problem:
        raise SystemExit(f"the valid input of {name} is not read:\n{problem}")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    chance, until, count = random.Random(seed), time.monotonic() + seconds, 0
    while time.monotonic() < until:
        data = DOORS[name].mutate(valid, chance)
        (folder / "now").write_bytes(data)
        signal.alarm(SECONDS)
        problem = once(name, data)
        signal.alarm(0)
        count += 1
        if problem:
            place = folder / f"{seed}-{count}"
            place.with_suffix(".input").write_bytes(data)
            place.with_suffix(".txt").write_text(problem)
        (folder / "count").write_text(str(count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--door", choices=DOORS, action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz-findings"))
    options = parser.parse_args()
    names = options.door or list(DOORS)
    total = findings = 0
    for name in names:
        folder = options.out / name.replace(" ", "-").replace("/", "-")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        worker = multiprocessing.get_context("spawn").Process(
            target=_work, args=(name, options.seed, options.minutes * 60 / len(names), folder)
        )
        worker.start()
        worker.join()
        count = int((folder / "count").read_text()) if (folder / "count").exists() else 0
        found = len(list(folder.glob("*.txt")))
        if worker.exitcode:
            found += 1
            print(f"{name}: the process ended with {worker.exitcode} at {folder / 'now'}", flush=True)
        print(f"{name}: {count} inputs, {found} findings", flush=True)
        total, findings = total + count, findings + found
    print(f"{total} inputs, {findings} findings")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
