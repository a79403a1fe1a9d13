"""Record the gradients of ASD, SDI and RFDS as their authors' code gives them, for tests of ours.

usage: python record_objectives.py <ScaleDreamer checkout> <threestudio checkout> <rectified_flow_prior checkout> [objectives.safetensors]

Run as they are: `SDTimestepShiftedScoreDistillationGuidance.__call__`, `StableDiffusionSDIGuidance.__call__` and
`RectifiedFlowGuidance.forward`, on small random networks. Replaced: the VAE (latents of ours), the texts, the draws of timesteps
and noise, SDI's grid of timesteps (it asks for timestep -99 first), and packages that are not installed. README.md says what is kept.
"""
import importlib
import importlib.util
import sys
import types
import typing

import torch
from diffusers import (DDIMInverseScheduler, DDIMScheduler, DDPMScheduler, FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel,
                       StableDiffusion3Pipeline, StableDiffusionPipeline, UNet2DConditionModel)  # fmt: skip  # noqa: F401
from diffusers.loaders import AttnProcsLayers  # noqa: F401
from safetensors.torch import save_file

MISSING = ("jaxtyping", "typeguard", "omegaconf", "pytorch_lightning", "igl", "tinycudann", "torchvision", "cv2", "matplotlib", "nerfacc",
           "extern")
draw = torch.Generator().manual_seed(2)
LATENTS, NOISE = (torch.randn(2, 4, 8, 8, generator=draw) for _ in range(2))
T = torch.tensor([137, 811])
TEXT, EMPTY = (3 * torch.randn(1, 4, 16, generator=draw) for _ in range(2))
FLOW_LATENTS, FLOW_NOISE = (torch.randn(2, 16, 8, 8, generator=draw) for _ in range(2))
FLOW_TEXT, FLOW_EMPTY = (torch.randn(1, 5, 32, generator=draw) for _ in range(2))  # the last row is the pooled one
LOOKS = torch.randn(9, 1, 4, 8, 8, generator=draw)  # the noise of SDI's steps
data = {"alphas_cumprod": None, "latents": LATENTS, "noise": NOISE, "t": T, "text": TEXT, "empty": EMPTY, "looks": LOOKS,
        "flow_latents": FLOW_LATENTS, "flow_noise": FLOW_NOISE, "flow_text": FLOW_TEXT, "flow_empty": FLOW_EMPTY}  # fmt: skip


class Anything(types.ModuleType):
    """Stands for a package that is not installed: whatever is asked of it is there, and does nothing."""

    __path__: list[str] = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__class_getitem__": lambda cls, item: typing.Any, "__init__": lambda self, *a, **k: None,
                               "__call__": lambda self, *a, **k: a[0] if a else None})  # fmt: skip


class Finder:
    """Finds every part of a package that is not installed."""

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name.split(".")[0] in STUBBED else None

    def create_module(self, spec):
        return Anything(spec.name)

    def exec_module(self, module):
        if module.__name__ == "pytorch_lightning.utilities.rank_zero":
            module.rank_zero_only = lambda function: function
        if module.__name__ == "omegaconf":
            module.DictConfig, module.OmegaConf = type("DictConfig", (dict,), {}), Anything("OmegaConf")


STUBBED = {name for name in MISSING if importlib.util.find_spec(name) is None}
sys.meta_path.append(Finder())


def module(root, name):
    """A module of a checkout of threestudio or of a fork, without the __init__ files, which import all of it."""
    for known in [known for known in sys.modules if known.split(".")[0] == "threestudio"]:
        del sys.modules[known]
    for part in ("", ".utils", ".models", ".models.guidance", ".models.prompt_processors"):
        package = sys.modules["threestudio" + part] = types.ModuleType("threestudio" + part)
        package.__path__ = [f"{root}/threestudio{part.replace('.', '/')}"]
    sys.modules["threestudio"].register = lambda name: lambda cls: cls
    sys.modules["threestudio"].info = sys.modules["threestudio"].debug = lambda *a, **k: None
    found = importlib.import_module("threestudio.models.guidance." + name)
    assert found.__file__.startswith(root)
    return found


class Recorder(torch.nn.Module):
    """Asks a network, and keeps questions and answers."""

    def __init__(self, network):
        super().__init__()
        self.network, self.calls = network, []

    def forward(self, hidden_states, timestep, encoder_hidden_states, **more):
        answer = self.network(hidden_states, timestep=timestep, encoder_hidden_states=encoder_hidden_states, **more)
        raw = answer[0] if isinstance(answer, tuple) else answer.sample
        text = encoder_hidden_states
        if pooled := [more["pooled_projections"]] if "pooled_projections" in more else []:
            width = text.shape[-1] - pooled[0].shape[-1]
            text = torch.cat([text, torch.nn.functional.pad(pooled[0], (0, width))[:, None]], dim=1)
        self.calls.append((hidden_states, timestep, text, raw))
        return answer

    def keep(self, case):
        for name, parts in zip(("in", "t", "emb", "out"), zip(*self.calls, strict=True), strict=True):
            data[f"{case}/unet_{name}"] = torch.cat(parts)


def fixed(timestep, noises):
    """torch's draws, which give what is given."""
    left = list(noises)
    return {"randint": lambda *a, **k: timestep.clone(), "randn_like": lambda x: left.pop(0).clone(),
            "normal": lambda *a, size, **k: torch.zeros(size)}  # fmt: skip


class Draws:
    def __init__(self, timestep, noises):
        self.given = fixed(timestep, noises)

    def __enter__(self):
        self.old = {name: getattr(torch, name) for name in self.given}
        for name, function in self.given.items():
            setattr(torch, name, function)

    def __exit__(self, *_):
        for name, function in self.old.items():
            setattr(torch, name, function)


def guidance(cls, **config):
    made = object.__new__(cls)
    if issubclass(cls, torch.nn.Module):
        torch.nn.Module.__init__(made)
    for name, value in {"cfg": cls.Config(half_precision_weights=False, **config), "device": "cpu", "weights_dtype": torch.float32,
                        "num_train_timesteps": 1000, "grad_clip_val": None}.items():  # fmt: skip
        object.__setattr__(made, name, value) if name == "device" else setattr(made, name, value)
    made.set_min_max_steps()
    return made


def texts(count):
    """Stands for a prompt: text, then no text, the same from all sides."""
    both = torch.cat([TEXT.expand(count, -1, -1), EMPTY.expand(count, -1, -1)])
    return types.SimpleNamespace(use_perp_neg=False, get_text_embeddings=lambda *a, **k: both)


def asked(made, latents, prompt, timestep, noises, loss, **more):
    """The gradient of a loss of theirs with respect to the latents."""
    leaf = latents.clone().requires_grad_(True)
    made.encode_images = lambda images: leaf
    angles = torch.zeros(len(latents))
    with Draws(timestep, noises):
        found = made(torch.zeros(len(latents), 8, 8, 3), prompt, angles, angles, angles, **more)
    found[loss].backward()
    return leaf.grad


def main():
    scaledreamer, threestudio, flows, *out = sys.argv[1:]
    torch.manual_seed(0)
    network = UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(32, 64), layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16, attention_head_dim=8, norm_num_groups=8,
    ).eval().requires_grad_(False)  # fmt: skip
    told = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
            "prediction_type": "epsilon", "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}  # fmt: skip
    data["alphas_cumprod"] = DDIMScheduler(**told).alphas_cumprod

    cls = module(scaledreamer, "stable_diffusion_asd_guidance").SDTimestepShiftedScoreDistillationGuidance
    made = guidance(cls, guidance_scale=7.5, plus_ratio=0.1)
    made.scheduler = DDPMScheduler(**{k: v for k, v in told.items() if k not in ("set_alpha_to_one", "steps_offset")})
    made.alphas, made.unet, made.use_perp_neg = made.scheduler.alphas_cumprod, Recorder(network), False
    data["asd/gradient"] = asked(made, LATENTS, texts(2), T, [NOISE], "loss_asd")
    made.unet.keep("asd")

    cls = module(threestudio, "stable_diffusion_sdi_guidance").StableDiffusionSDIGuidance
    for row, t in enumerate(T.tolist()):
        made = guidance(cls, guidance_scale=7.5, inversion_guidance_scale=-7.5, inversion_n_steps=10, inversion_eta=0.3)
        made.scheduler, made.inverse_scheduler = DDIMScheduler(**told), DDIMInverseScheduler(**told)
        made.scheduler.set_timesteps(50)
        made.unet = Recorder(network)
        made.get_inversion_timesteps = lambda top, count, t=t: torch.tensor([*range(0, t, 100), t])
        data[f"sdi{row}/gradient"] = asked(made, LATENTS[row : row + 1], texts(1), T[row : row + 1], LOOKS, "loss_sdi")
        made.unet.keep(f"sdi{row}")

    network = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=16, out_channels=16, num_layers=1, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=32, caption_projection_dim=16, pooled_projection_dim=24, pos_embed_max_size=8,
    ).eval().requires_grad_(False)  # fmt: skip
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))  # the last layer is made of zeros
    cls = module(flows, "RFDS_sd3").RectifiedFlowGuidance
    cls.transformer = property(lambda self: self.network)
    made = guidance(cls, guidance_scale=7.5)
    made.noise_scheduler_copy = FlowMatchEulerDiscreteScheduler(shift=3.0)
    made.network = Recorder(network)
    both = torch.cat([FLOW_TEXT.expand(2, -1, -1), FLOW_EMPTY.expand(2, -1, -1)])
    prompt = types.SimpleNamespace(get_text_embeddings=lambda *a, **k: (both[:, :-1], both[:, -1, :24]))
    eye = torch.eye(4).expand(2, -1, -1)
    data["rfds/gradient"] = asked(made, FLOW_LATENTS, prompt, 999 - T, [FLOW_NOISE], "loss_rfds", mvp_mtx=eye, c2w=eye)
    made.network.keep("rfds")

    path = out[0] if out else "objectives.safetensors"
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in data.items()}, path)
    print({name: tuple(tensor.shape) for name, tensor in data.items()})


if __name__ == "__main__":
    main()
