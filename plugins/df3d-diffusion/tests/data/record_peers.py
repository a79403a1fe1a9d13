"""Record the SDS / Perp-Neg gradients of threestudio and stable-dreamfusion.

usage: python record.py <threestudio checkout> <stable-dreamfusion checkout> [out.safetensors]

Runs the REAL functions of both code bases (imported from the checkouts; only third-party
packages that are not installed, the VAE and the random draws are replaced) on a tiny
random-weight UNet, and records every denoiser call and the gradient of the loss they return.
"""
import ast, importlib, importlib.util, json, sys, types, typing, warnings
from types import SimpleNamespace

warnings.filterwarnings("ignore")
import torch
# real imports first, so that the stubs below cannot confuse their availability checks
from diffusers import (AutoencoderKL, DDIMScheduler, DDPMScheduler, PNDMScheduler,  # noqa: F401
                       StableDiffusionPipeline, UNet2DConditionModel)
from transformers import AutoTokenizer, BertForMaskedLM, CLIPTextModel, CLIPTokenizer  # noqa: F401
from safetensors.torch import save_file

TS, SDF = sys.argv[1], sys.argv[2]
OUT = sys.argv[3] if len(sys.argv) > 3 else "peers.safetensors"
torch.set_num_threads(1)


# ------------------------------------------------------------------ stubs for missing packages
class _Any:
    def __class_getitem__(cls, item):
        return typing.Any

    def __init__(self, *a, **k):
        pass

    def __call__(self, *a, **k):
        return a[0] if a and callable(a[0]) else None

    def __getattr__(self, n):
        return _Any()


class _Stub(types.ModuleType):
    __path__ = []

    def __getattr__(self, n):
        if n.startswith("__"):
            raise AttributeError(n)
        return _Any


STUBBED = []


def stub(*names):
    for name in names:
        top = name.split(".")[0]
        if top not in STUBBED and (top in sys.modules or importlib.util.find_spec(top)):
            continue
        if top not in STUBBED:
            STUBBED.append(top)
        for i in range(1, name.count(".") + 2):
            full = ".".join(name.split(".")[:i])
            mod = sys.modules.setdefault(full, _Stub(full))
            if i > 1:
                setattr(sys.modules[full.rpartition(".")[0]], full.rpartition(".")[2], mod)


stub("jaxtyping", "typeguard", "omegaconf", "pytorch_lightning.utilities.rank_zero", "igl", "tinycudann",
     "torchvision.utils", "torchvision.transforms.functional", "cv2", "matplotlib.pyplot", "tensorboardX",
     "torchmetrics", "rich.console", "torch_ema", "psutil", "imageio", "tqdm", "packaging")
if "omegaconf" in STUBBED:
    sys.modules["omegaconf"].OmegaConf = _Any()
    sys.modules["omegaconf"].DictConfig = type("DictConfig", (dict,), {})
if "pytorch_lightning" in STUBBED:
    sys.modules["pytorch_lightning.utilities.rank_zero"].rank_zero_only = lambda f: f

# the threestudio package itself: bare packages that point at the checkout, so that the __init__ files
# (which import every model of the code base) are skipped, but the modules we use are the real files.
for p in ("", ".utils", ".models", ".models.guidance", ".models.prompt_processors"):
    m = types.ModuleType("threestudio" + p)
    m.__path__ = [TS + "/threestudio" + p.replace(".", "/")]
    sys.modules["threestudio" + p] = m
_t = sys.modules["threestudio"]
_t.register = lambda name: (lambda cls: cls)
_t.info = _t.debug = _t.warn = lambda *a, **k: None

sys.path.insert(0, SDF)
ts_guid = importlib.import_module("threestudio.models.guidance.stable_diffusion_guidance")
ts_prompt = importlib.import_module("threestudio.models.prompt_processors.base")
sdf_sd = importlib.import_module("guidance.sd_utils")
sdf_utils = importlib.import_module("nerf.utils")
for mod, root in ((ts_guid, TS), (ts_prompt, TS), (sdf_sd, SDF), (sdf_utils, SDF)):
    assert mod.__file__.startswith(root), mod.__file__

# stable-dreamfusion's defaults, read from the add_argument calls of its main.py
SDF_OPT = {}
for node in ast.walk(ast.parse(open(SDF + "/main.py").read())):
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
        name = node.args[0].value.lstrip("-")
        for kw in node.keywords:
            if kw.arg == "default" and name in ("negative_w", "front_decay_factor", "side_decay_factor",
                                                "guidance_scale", "lambda_guidance", "t_range"):
                SDF_OPT[name] = ast.literal_eval(kw.value)
opt = SimpleNamespace(**SDF_OPT)

# ------------------------------------------------------------------ tiny denoiser and inputs
torch.manual_seed(0)
unet = UNet2DConditionModel(
    sample_size=8, in_channels=4, out_channels=4, block_out_channels=(32, 64), layers_per_block=1,
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    cross_attention_dim=16, attention_head_dim=8, norm_num_groups=8).eval().requires_grad_(False)
scheduler = DDIMScheduler(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                          prediction_type="epsilon", clip_sample=False, set_alpha_to_one=False, steps_offset=1)

g = torch.Generator().manual_seed(1)
LATENTS = torch.randn(2, 4, 8, 8, generator=g)
NOISE = torch.randn(2, 4, 8, 8, generator=g)
T = torch.tensor([137, 811])
EMB = {k: 3.0 * torch.randn(4, 16, generator=g) for k in ("uncond", "side", "front", "back", "overhead")}
AZ = torch.tensor([30.0, -120.0])
ELEV, DIST = 15.0, 1.5

tensors = {}


def put(name, x):
    x = x.detach()
    tensors[name] = (x.float() if x.is_floating_point() else x.to(torch.int64)).contiguous().clone()


put("common/alphas_cumprod", scheduler.alphas_cumprod)
put("common/latents", LATENTS)
put("common/noise", NOISE)
put("common/t", T)
put("common/azimuth", AZ)
for k, v in EMB.items():
    put(f"common/emb_{k}", v)


class Recorder(torch.nn.Module):
    """Stands in for the UNet: calls the tiny UNet and keeps the inputs and the output."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, x, t, encoder_hidden_states):
        y = unet(x, t, encoder_hidden_states=encoder_hidden_states)
        self.calls.append((x.clone(), t.clone(), encoder_hidden_states.clone(), y.sample.clone()))
        return y


class Draws:
    """Makes torch.randint / torch.randn_like return the given t / noise, and notes how they were asked."""

    def __init__(self, t, noise):
        self.t, self.noise, self.log = t, noise, []

    def __enter__(self):
        self.old = torch.randint, torch.randn_like

        def randint(lo, hi, size, **k):
            assert tuple(size) == tuple(self.t.shape) and lo <= int(self.t.min()) and int(self.t.max()) < hi
            self.log.append(("randint", lo, hi))
            return self.t.clone()

        def randn_like(x):
            assert x.shape == self.noise.shape
            self.log.append(("randn_like",))
            return self.noise.clone()

        torch.randint, torch.randn_like = randint, randn_like
        return self

    def __exit__(self, *a):
        torch.randint, torch.randn_like = self.old
        assert self.log == [("randint", 20, 981), ("randn_like",)], self.log


def put_calls(case, rec):
    (x, t, e, y), = rec.calls  # exactly one denoiser call
    put(case + "/unet_in", x)
    put(case + "/unet_t", t.long())
    put(case + "/unet_emb", e)
    put(case + "/unet_out", y)


# ------------------------------------------------------------------ threestudio
def ts_prompts(emb, use_perp_neg):
    """A real PromptProcessor (its configure() runs), given the embeddings instead of a text encoder."""
    cls = ts_prompt.PromptProcessor

    class Cfg(cls.Config):
        def get(self, k, default=None):  # OmegaConf's get
            return getattr(self, k, default)

    p = object.__new__(cls)
    p.cfg, p.device = Cfg(use_perp_neg=use_perp_neg), "cpu"
    p.prepare_text_embeddings = lambda: None

    def load():
        p.text_embeddings, p.uncond_text_embeddings = emb["side"][None], emb["uncond"][None]
        p.text_embeddings_vd = torch.stack([emb[d.name] for d in p.directions])
        p.uncond_text_embeddings_vd = torch.stack([emb["uncond"] for _ in p.directions])

    p.load_text_embeddings = load
    p.configure()
    return p()


def ts_guidance(**cfg):
    cls = ts_guid.StableDiffusionGuidance
    s = object.__new__(cls)
    s.cfg, s.device, s.weights_dtype = cls.Config(half_precision_weights=False, **cfg), "cpu", torch.float32
    s.unet, s.scheduler, s.alphas = Recorder(), scheduler, scheduler.alphas_cumprod
    s.num_train_timesteps, s.grad_clip_val = 1000, None
    s.set_min_max_steps(s.cfg.min_step_percent, s.cfg.max_step_percent)
    return s


def ts_run(perp, rows, elev=ELEV, **cfg):
    """StableDiffusionGuidance.__call__ with the VAE encoder replaced by 'return our latents'."""
    s = ts_guidance(**cfg)
    lat = LATENTS[rows].clone().requires_grad_(True)
    s.encode_images = lambda imgs: lat
    s.decode_latents = lambda z: torch.zeros(())  # only feeds use_img_loss=True, which is off
    b = len(rows)
    inner, keep = s.compute_grad_sds, {}
    s.compute_grad_sds = lambda *a: keep.setdefault("r", inner(*a))
    with Draws(T[rows], NOISE[rows]):
        out = s(torch.zeros(b, 8, 8, 3), ts_prompts(EMB, perp), torch.full((b,), elev), AZ[rows], torch.full((b,), DIST))
    out["loss_sds"].backward()
    grad, _, ev = keep["r"]
    assert torch.allclose(lat.grad * b, grad, rtol=1e-3, atol=1e-5 * grad.abs().max().item())
    return s.unet, lat.grad, ev, out["loss_sds"]


for scale in (100.0, 7.5):
    for weighting in ("sds", "uniform", "fantasia3d"):
        rec, grad, ev, loss = ts_run(False, [0, 1], guidance_scale=scale, weighting_strategy=weighting)
        if "threestudio/sds/unet_in" not in tensors:
            put_calls("threestudio/sds", rec)
        else:
            for k, v in zip(("in", "t", "emb", "out"), rec.calls[0]):
                assert torch.equal(tensors["threestudio/sds/unet_" + k].float(), v.float())
        n = f"threestudio/sds/grad_{weighting}_cfg{scale:g}"
        put(n, grad)
        put(n.replace("/grad_", "/loss_"), loss)

for case, rows, elev in (("perpneg_az30", [0], ELEV), ("perpneg_az-120", [1], ELEV),
                         ("perpneg_az30_overhead", [0], 70.0), ("perpneg_batch2", [0, 1], ELEV)):
    case = "threestudio/" + case
    for scale in (100.0, 7.5):
        rec, grad, ev, loss = ts_run(True, rows, elev, guidance_scale=scale)
        put(f"{case}/grad_cfg{scale:g}", grad)
        put(f"{case}/loss_cfg{scale:g}", loss)
    put_calls(case, rec)
    put(case + "/neg_weights", ev["neg_guidance_weights"])


# ------------------------------------------------------------------ stable-dreamfusion
def sdf_guidance():
    s = object.__new__(sdf_sd.StableDiffusion)
    torch.nn.Module.__init__(s)
    s.device, s.precision_t = torch.device("cpu"), torch.float32
    s.unet, s.scheduler, s.alphas = Recorder(), scheduler, scheduler.alphas_cumprod
    s.num_train_timesteps = 1000
    s.min_step, s.max_step = int(1000 * opt.t_range[0]), int(1000 * opt.t_range[1])
    return s


def sdf_run(perp, rows, text_z, weights=None, **kw):
    s = sdf_guidance()
    lat = LATENTS[rows].clone().requires_grad_(True)
    s.encode_imgs = lambda imgs: lat
    rgb = torch.zeros(len(rows), 3, 8, 8)
    with Draws(T[rows], NOISE[rows]):
        loss = s.train_step_perpneg(text_z, weights, rgb, **kw) if perp else s.train_step(text_z, rgb, **kw)
    loss.backward()
    return s.unet, lat.grad, loss


EMB1 = {k: v[None] for k, v in EMB.items()}  # their embeddings are [1, tokens, dim]


def sdf_text(rows):
    """As Trainer.train_step (nerf/utils.py:602-606, 626): uncond rows first, then adjust_text_embeddings."""
    z, w = sdf_utils.adjust_text_embeddings(EMB1, AZ[rows], opt)
    return torch.cat([EMB1["uncond"]] * len(rows) + [z]), w


z, _ = sdf_text([0, 1])
z = z[:4]  # uncond x2, interpolated positive x2: the same pos_z as the plain branch nerf/utils.py:609-626
for scale, gs in ((100, 1), (7.5, 1), (7.5, 0.1)):
    rec, grad, loss = sdf_run(False, [0, 1], z, guidance_scale=scale, grad_scale=gs)
    if gs == 1 and scale == 100:
        put_calls("stable_dreamfusion/sds", rec)
    n = f"stable_dreamfusion/sds/grad_cfg{scale:g}_gs{gs:g}"
    put(n, grad)
    put(n.replace("/grad_", "/loss_"), loss)

for case, rows in (("perpneg_az30", [0]), ("perpneg_az-120", [1]), ("perpneg_batch2", [0, 1])):
    case = "stable_dreamfusion/" + case
    z, w = sdf_text(rows)
    for scale in (100, 7.5):
        rec, grad, loss = sdf_run(True, rows, z, w, guidance_scale=scale, grad_scale=1)
        put(f"{case}/grad_cfg{scale:g}", grad)
        put(f"{case}/loss_cfg{scale:g}", loss)
    put_calls(case, rec)
    put(case + "/weights", w)

# ------------------------------------------------------------------ Perp-Neg weights over azimuth
# one-hot embeddings (front, side, back, overhead, uncond) show which embeddings are mixed, and how
names = ["front", "side", "back", "overhead", "uncond"]
eye = {n: torch.eye(5)[i][None] for i, n in enumerate(names)}
az = torch.arange(-180, 181, 15).float()
put("perpneg_weights/azimuth", az)
e, w = ts_prompts(eye, True).get_text_embeddings_perp_neg(torch.full_like(az, ELEV), az, torch.full_like(az, DIST), True)
n = len(az)
assert torch.equal(e[n:2 * n, 0], eye["uncond"].expand(n, -1))
put("perpneg_weights/threestudio/pos_mix", e[:n, 0])
put("perpneg_weights/threestudio/neg_mix", e[2 * n:, 0].reshape(n, 2, 5))
put("perpneg_weights/threestudio/neg_weights", w)
e, w = sdf_utils.adjust_text_embeddings({k: v[None] for k, v in eye.items()}, az, opt)
e, w = e[:, 0].reshape(3, n, 5).transpose(0, 1), w.reshape(3, n).T
assert torch.equal(w[:, 0], torch.ones(n))
put("perpneg_weights/stable_dreamfusion/pos_mix", e[:, 0])
put("perpneg_weights/stable_dreamfusion/neg_mix", e[:, 1:])
put("perpneg_weights/stable_dreamfusion/neg_weights", w[:, 1:])

meta = {"recording": json.dumps({"embedding_order_of_mix": names, "stable_dreamfusion_opt": SDF_OPT,  # one key: byte-stable
                                 "torch": torch.__version__, "stubbed": STUBBED}, sort_keys=True)}
save_file(tensors, OUT, metadata=meta)
print("stubbed:", STUBBED)
print("stable-dreamfusion defaults:", SDF_OPT)
for k, v in tensors.items():
    print(f"{k:60s} {str(v.dtype)[6:]:8s} {list(v.shape)}  |max| {v.abs().max().item():.4g}")
