"""Names of models, and the hub: a small one on this machine stands in for the real one."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from command import df3d
from df3d_diffusion import models
from df3d_diffusion.config import SdsConfig
from df3d_diffusion.models import ALIASES, choose_files, hubs_of, resolve

from df3d.errors import ModelError

COMMIT = "a" * 40


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's protocol as huggingface_hub asks for: `sd21`'s repository is `folder`, `big/gated` is gated, and
    everything else is missing."""

    folder: Path

    def do_GET(self) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        api = parts[0] == "api"
        name = "/".join(parts[2:4] if api else parts[0:2])
        files = {str(p.relative_to(self.folder)): p for p in sorted(self.folder.rglob("*")) if p.is_file()}
        if name == "big/gated":
            self._answer(403, reason="GatedRepo")
        elif name != ALIASES["sd21"].hubs[0]:
            self._answer(401, reason="RepoNotFound")
        elif api and "tree" in parts:
            tree = [{"type": "file", "path": n, "size": p.stat().st_size, "oid": COMMIT} for n, p in files.items()]
            self._answer(200, json.dumps(tree).encode())
        elif api:
            siblings = [{"rfilename": name} for name in files]
            self._answer(200, json.dumps({"id": name, "sha": COMMIT, "siblings": siblings, "tags": []}).encode())
        else:
            self._answer(200, files["/".join(parts[4:])].read_bytes())

    do_HEAD = do_GET

    def _answer(self, code: int, body: bytes = b"", *, reason: str = "") -> None:
        self.send_response(code)
        self.send_header("X-Error-Code", reason)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(stable_diffusion: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which `df3d` asks the small hub."""
    served = tmp_path / "served"
    shutil.copytree(stable_diffusion, served, ignore=shutil.ignore_patterns("clip-vocabulary"))
    (served / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"a pickle that nobody wants")
    (served / "v2.ckpt").write_bytes(b"another")
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Served", (Hub,), {"folder": served}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    yield {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    server.shutdown()


def test_pulling_brings_what_a_run_needs_and_no_pickle(hub: dict[str, str]) -> None:
    done = df3d("models", "pull", "sd21", **hub)
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip())
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"model_index.json", "unet/diffusion_pytorch_model.safetensors", "tokenizer/tokenizer.json"} <= found
    assert not any(name.endswith((".bin", ".ckpt")) for name in found)
    listed = json.loads(df3d("models", "--json", **hub).stdout)
    assert {row["name"]: row["folder"] is not None for row in listed}["sd21"]
    assert not {row["name"]: row["folder"] is not None for row in listed}["sdxl"]
    offline = df3d("models", "--json", HF_HUB_OFFLINE="1", **hub)
    assert json.loads(offline.stdout) == listed


@pytest.mark.parametrize(
    ("model", "message", "hint"),
    [
        ("big/gated", "`big/gated` is gated", "hf auth login"),
        ("no/such", "no/such: not there, or private", "check the name"),
        ("sdxl", "stabilityai/stable-diffusion-xl-base-1.0: not there", "check the name"),
        ("sd12", "there is no model `sd12`", "did you mean"),
        ("runwayml/stable-diffusion-v1-5", "is gone from the hub", "df3d models pull sd15"),
    ],
)
def test_what_cannot_be_fetched_says_why(hub: dict[str, str], model: str, message: str, hint: str) -> None:
    done = df3d("models", "pull", model, **hub)
    assert done.returncode == 1
    error, advice = done.stderr.strip().splitlines()[-2:]
    assert message in error
    assert hint in advice


@pytest.mark.parametrize(
    ("file", "changed", "message"),
    [
        ("model_index.json", {"_class_name": "FluxPipeline", "unet": None, "transformer": ["diffusers", "X"]}, "is a transformer"),
        ("model_index.json", {"text_encoder": [None, None], "text_encoder_2": ["transformers", "X"]}, "as SDXL's refiner is"),
        ("unet/config.json", {"in_channels": 9}, "is an inpainting model"),
    ],
)
def test_what_df3d_does_not_know_is_not_fetched(
    hub: dict[str, str], tmp_path: Path, file: str, changed: dict[str, object], message: str
) -> None:
    path = tmp_path / "served" / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    if "transformer" in changed:
        shutil.rmtree(tmp_path / "served" / "unet")
    done = df3d("models", "pull", "sd21", **hub)
    assert done.returncode == 1
    assert message in done.stderr
    assert not list((tmp_path / "hub").rglob("*.safetensors"))
    (sd21,) = [m for m in json.loads(df3d("models", "--json", **hub).stdout) if m["name"] == "sd21"]
    assert sd21["folder"] is None


def test_a_lora_is_not_fetched(hub: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "served" / "model_index.json").unlink()
    (tmp_path / "served" / "pytorch_lora_weights.safetensors").write_bytes(b"small")
    done = df3d("models", "pull", "sd21", **hub)
    assert (done.returncode, "is a LoRA" in done.stderr) == (1, True)


def test_offline_nothing_is_asked(hub: dict[str, str]) -> None:
    done = df3d("models", "pull", "sd21", HF_HUB_OFFLINE="1", **hub)
    assert done.returncode == 1
    assert "HF_HUB_OFFLINE is set" in done.stderr


def test_no_answer_is_one_line(hub: dict[str, str]) -> None:
    done = df3d("models", "pull", "sd21", **{**hub, "HF_ENDPOINT": "http://127.0.0.1:9"})
    assert done.returncode == 1
    assert "could not be fetched" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_without_its_weights_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "on_disk", lambda hub: None)
    with pytest.raises(ModelError) as error:
        resolve("sdxl")
    assert error.value.message == "model `sdxl` is not on this machine (7 GB, licence: CreativeML OpenRAIL++-M)"
    assert "df3d models pull sdxl" in error.value.hint
    assert "--recipe toybox" in error.value.hint
    with pytest.raises(ModelError, match="is not on this machine"):
        resolve("someone/something@v1")
    assert resolve(str(tmp_path)) == tmp_path
    (tmp_path / "sdxl").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="`sdxl` is not on this machine"):
        resolve("sdxl")  # a folder that lies about does not take the place of a model's name
    assert resolve("./sdxl") == Path("sdxl")


@pytest.mark.parametrize("endpoint", ["http://me:hf_secret@127.0.0.1:9/x", "hf_secret", "http://me:hf_secret", "file:///hf_secret"])
def test_no_password_of_an_endpoint_is_told(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    answers, said = models.hub_answers(0.5)
    assert not answers
    assert "hf_secret" not in said


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "sd").mkdir()
    assert resolve("~/sd") == tmp_path / "sd"


def test_names_are_aliases_hub_ids_or_mistakes() -> None:
    assert hubs_of("sd15")[0] == "stable-diffusion-v1-5/stable-diffusion-v1-5"
    assert hubs_of("someone/something@main") == ("someone/something@main",)
    for wrong in ("./nowhere", "sd1 5", "a/b/c", ""):
        with pytest.raises(ModelError):
            resolve(wrong)


def test_files_are_half_precision_safetensors_part_by_part() -> None:
    names = [
        "model_index.json", "README.md", "v1-5.safetensors", "unet/config.json", "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.non_ema.safetensors",
        "unet/diffusion_pytorch_model.bin", "vae/config.json", "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model-00001-of-00002.safetensors", "text_encoder/model-00002-of-00002.safetensors",
        "text_encoder/model.safetensors.index.json", "tokenizer/vocab.json", "tokenizer/merges.txt", "tokenizer/spiece.model",
        "safety_checker/model.safetensors", "unet/deeper/model.safetensors",
    ]  # fmt: skip
    assert choose_files(names) == [
        "model_index.json", "text_encoder/model.safetensors.index.json", "tokenizer/merges.txt", "tokenizer/spiece.model",
        "tokenizer/vocab.json", "unet/config.json", "vae/config.json", "text_encoder/model-00001-of-00002.safetensors",
        "text_encoder/model-00002-of-00002.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    ]  # fmt: skip
    whole = choose_files(n for n in names if ".fp16" not in n)
    assert [n for n in whole if n.startswith("unet/")] == ["unet/config.json", "unet/diffusion_pytorch_model.safetensors"]
    assert choose_files(n for n in names if n != "model_index.json") == []
    assert choose_files(["model_index.json", "unet/model.bin"]) == []
    taesd = ["config.json", "diffusion_pytorch_model.bin", "diffusion_pytorch_model.safetensors", "taesd_encoder.onnx"]
    assert choose_files(taesd) == ["config.json", "diffusion_pytorch_model.safetensors"]


def test_of_a_clip_its_own_weights_are_taken() -> None:
    names = [
        "open_clip_config.json",
        "open_clip_model.bin",
        "open_clip_model.safetensors",
        "model.safetensors",
        "config.json",
    ]
    assert choose_files(names) == ["open_clip_config.json", "open_clip_model.safetensors"]
    assert choose_files(["open_clip_config.json", "model.safetensors"]) == []


def test_everything_a_guidance_names_must_be_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "on_disk", lambda hub: None)
    models.ready(SdsConfig(model=str(tmp_path)))
    models.ready(SdsConfig(model=str(tmp_path), vae=str(tmp_path)))
    with pytest.raises(ModelError, match="model `taesd` is not on this machine"):
        models.ready(SdsConfig(model=str(tmp_path), vae="taesd"))


def test_the_second_place_of_a_model_serves_where_the_first_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {hub: tmp_path / str(i) for i, hub in enumerate(ALIASES["sd15"].hubs)}
    monkeypatch.setattr(models, "on_disk", places.get)
    assert resolve("sd15") == tmp_path / "0"
    del places[ALIASES["sd15"].hubs[0]]
    assert resolve("sd15") == tmp_path / "1"


def test_only_safetensors_are_one_file_of_a_model(tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").write_bytes(b"")
    (tmp_path / "a.safetensors").write_bytes(b"")
    assert models.is_single_file(str(tmp_path / "a.safetensors"))
    assert not models.is_single_file(str(tmp_path))
    with pytest.raises(ModelError, match="is not a .safetensors file"):
        models.is_single_file(str(tmp_path / "a.ckpt"))


def test_a_model_is_on_disk_where_its_weights_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the revision that is asked for; an index alone is none."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    place = tmp_path / "models--someone--something"
    (place / "refs").mkdir(parents=True)
    for revision, weights in (("main", ""), ("v1", "unet"), ("v2", "transformer")):
        commit = hashlib.sha1(revision.encode()).hexdigest()
        (place / "refs" / revision).write_text(commit)
        folder = place / "snapshots" / commit
        folder.mkdir(parents=True)
        (folder / "model_index.json").write_text("{}")
        if weights:
            (folder / weights).mkdir()
            (folder / weights / "x.safetensors").write_bytes(b"")
    assert models.on_disk("someone/something") is None
    for revision in ("v1", "v2"):
        found = models.on_disk(f"someone/something@{revision}")
        assert found is not None
        assert found.name == hashlib.sha1(revision.encode()).hexdigest()
