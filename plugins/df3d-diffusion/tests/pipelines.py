"""Small random-weight pipelines of every family, made from configs and written to disk as the real ones are."""

from __future__ import annotations

import gzip
import io
import json
import re
from pathlib import Path
from typing import Any, Literal

import sentencepiece
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DDPMScheduler, UNet2DConditionModel
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
)

Family = Literal["sd", "sdxl", "if", "mvdream"]
CLASSES = {"sd": "StableDiffusionPipeline", "sdxl": "StableDiffusionXLPipeline", "if": "IFPipeline", "mvdream": "MVDreamPipeline"}
WIDTH = 16  # of a text encoder


def write_pipeline(folder: Path, family: Family, *, prediction: str = "epsilon", variant: str | None = None) -> Path:
    """A pipeline folder with the parts, classes and layout of a family; its networks are tiny and random."""
    torch.manual_seed(0)
    parts: dict[str, Any] = {"unet": _unet(family), "scheduler": _scheduler(prediction)}
    if family == "if":
        parts |= {"text_encoder": _t5()}
        _write_t5_tokenizer(folder / "tokenizer")
    else:
        parts |= {"vae": _vae(), "text_encoder": _clip(CLIPTextModel), "tokenizer": _clip_tokenizer(folder)}
    if family == "sdxl":
        parts |= {"text_encoder_2": _clip(CLIPTextModelWithProjection), "tokenizer_2": _clip_tokenizer(folder)}
    for name, part in parts.items():
        weights = {"variant": variant} if variant and isinstance(part, torch.nn.Module) else {}
        part.save_pretrained(folder / name, **weights)
    if family == "mvdream":
        _write_authors_unet(parts["unet"], folder / "unet")
    index = {name: [type(part).__module__.split(".")[0], type(part).__name__] for name, part in parts.items()}
    (folder / "model_index.json").write_text(json.dumps({"_class_name": CLASSES[family], **index}))
    return folder


def write_taesd(folder: Path) -> Path:
    """A tiny autoencoder with the class of TAESD, for the latents of `write_pipeline`'s VAE."""
    torch.manual_seed(1)
    AutoencoderTiny(encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8),
                    num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1)).save_pretrained(folder)  # fmt: skip
    return folder


def _unet(family: Family) -> UNet2DConditionModel:
    channels = 3 if family == "if" else 4
    options: dict[str, Any] = {"cross_attention_dim": WIDTH}
    if family == "mvdream":
        options |= {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 16, "use_linear_projection": True}
    if family == "sdxl":
        options = {"cross_attention_dim": 2 * WIDTH, "addition_embed_type": "text_time", "addition_time_embed_dim": 8,
                   "projection_class_embeddings_input_dim": WIDTH + 6 * 8}  # fmt: skip
    return UNet2DConditionModel(
        sample_size=8, in_channels=channels, out_channels=2 * channels if family == "if" else channels,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(32, 64), layers_per_block=1, attention_head_dim=4, **options,
    )  # fmt: skip


AUTHORS = {
    "image_size": 8, "in_channels": 4, "out_channels": 4, "model_channels": 32, "attention_resolutions": [1], "num_res_blocks": 1,
    "channel_mult": [1, 2], "num_head_channels": 8, "transformer_depth": 1, "context_dim": WIDTH, "camera_dim": 16,
    "_class_name": "MultiViewUNetModel",
}  # fmt: skip


def _write_authors_unet(unet: UNet2DConditionModel, folder: Path) -> None:
    """A multi-view UNet as the port of MVDream's authors keeps it: their names, and a configuration of their own."""
    from safetensors.torch import save_file

    tensors = {_original(name, _UNET_NAMES): tensor.contiguous() for name, tensor in unet.state_dict().items()}
    save_file(tensors, folder / "diffusion_pytorch_model.safetensors")
    (folder / "config.json").write_text(json.dumps(AUTHORS))


def _scheduler(prediction: str) -> DDPMScheduler:
    return DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, prediction_type=prediction)


def _vae(**options: Any) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(16, 32), down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4, norm_num_groups=8, scaling_factor=0.18215, **options,
    )  # fmt: skip


def _clip(kind: type) -> Any:
    return kind(
        CLIPTextConfig(vocab_size=49408, hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
                       max_position_embeddings=77, projection_dim=WIDTH)
    )  # fmt: skip


def _clip_tokenizer(folder: Path) -> CLIPTokenizer:
    """CLIP's own vocabulary, which open-clip-torch ships."""
    import open_clip

    packed = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    merges = gzip.decompress(packed.read_bytes()).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    from open_clip.tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(merge.split()) for merge in merges)]
    vocabulary = {word: i for i, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    source = folder / "clip-vocabulary"
    source.mkdir(parents=True, exist_ok=True)
    (source / "vocab.json").write_text(json.dumps(vocabulary))
    (source / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    return CLIPTokenizer(str(source / "vocab.json"), str(source / "merges.txt"), model_max_length=77)


def _t5(width: int = WIDTH) -> T5EncoderModel:
    return T5EncoderModel(T5Config(vocab_size=64, d_model=width, d_kv=8, d_ff=32, num_layers=2, num_heads=2))


def _write_t5_tokenizer(folder: Path) -> None:
    """As DeepFloyd's folder has it, around a sentencepiece model trained on the spot."""
    text = ["a red car, front view", "a blue dog, side view", "the back of a chair", "ugly and blurry"] * 4
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text), model_writer=trained, vocab_size=30, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        minloglevel=2,
    )  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "spiece.model").write_bytes(trained.getvalue())
    special = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    config = {"tokenizer_class": "T5Tokenizer", "model_max_length": 512, "extra_ids": 0, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def write_single_file(folder: Path, path: Path) -> Path:
    """The networks of a `write_pipeline` folder of Stable Diffusion in one file, with the original release's names."""
    from safetensors.torch import load_file, save_file

    unet = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    vae = load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    text = load_file(folder / "text_encoder" / "model.safetensors")
    tensors = {"model.diffusion_model." + _original(name, _UNET_NAMES): tensor for name, tensor in unet.items()}
    for name, tensor in vae.items():
        new = _original(name, _VAE_NAMES)
        matrix = ".attn_1." in new and tensor.ndim == 2  # its projections were convolutions of one pixel
        tensors["first_stage_model." + new] = tensor[:, :, None, None] if matrix else tensor
    prefix = "cond_stage_model.transformer." + ("" if next(iter(text)).startswith("text_model.") else "text_model.")
    tensors |= {prefix + name: tensor for name, tensor in text.items()}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


_RESNET = [("norm1", "in_layers.0"), ("conv1", "in_layers.2"), ("norm2", "out_layers.0"), ("conv2", "out_layers.3"),
           ("time_emb_proj", "emb_layers.1"), ("conv_shortcut", "skip_connection")]  # fmt: skip
_UNET_NAMES = [
    ("time_embedding.linear_1", "time_embed.0"), ("time_embedding.linear_2", "time_embed.2"), ("conv_in", "input_blocks.0.0"),
    ("conv_norm_out", "out.0"), ("conv_out", "out.2"),
    ("class_embedding.linear_1", "camera_embed.0"), ("class_embedding.linear_2", "camera_embed.2"),
    ("down_blocks.0.resnets.0", "input_blocks.1.0"), ("down_blocks.0.attentions.0", "input_blocks.1.1"),
    ("down_blocks.0.downsamplers.0.conv", "input_blocks.2.0.op"), ("down_blocks.1.resnets.0", "input_blocks.3.0"),
    ("mid_block.resnets.0", "middle_block.0"), ("mid_block.attentions.0", "middle_block.1"),
    ("mid_block.resnets.1", "middle_block.2"),
    ("up_blocks.0.resnets.0", "output_blocks.0.0"), ("up_blocks.0.resnets.1", "output_blocks.1.0"),
    ("up_blocks.0.upsamplers.0.conv", "output_blocks.1.1.conv"),
    ("up_blocks.1.resnets.0", "output_blocks.2.0"), ("up_blocks.1.attentions.0", "output_blocks.2.1"),
    ("up_blocks.1.resnets.1", "output_blocks.3.0"), ("up_blocks.1.attentions.1", "output_blocks.3.1"),
]  # fmt: skip
_VAE_NAMES = [
    ("conv_norm_out", "norm_out"), ("conv_shortcut", "nin_shortcut"),
    ("encoder.down_blocks.0.downsamplers.0", "encoder.down.0.downsample"),
    ("decoder.up_blocks.0.upsamplers.0", "decoder.up.1.upsample"),
    *((f"encoder.down_blocks.{i}.resnets", f"encoder.down.{i}.block") for i in range(2)),
    *((f"decoder.up_blocks.{i}.resnets", f"decoder.up.{1 - i}.block") for i in range(2)),
    ("mid_block.resnets.0", "mid.block_1"), ("mid_block.resnets.1", "mid.block_2"), ("mid_block.attentions.0", "mid.attn_1"),
    ("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out"),
]  # fmt: skip


def _original(name: str, names: list[tuple[str, str]]) -> str:
    """Every part of a diffusers name that `names` lists, as the original release has it."""
    if ".resnets." in name and names is _UNET_NAMES:
        names = [*names, *_RESNET]
    for new, old in names:
        name = re.sub(rf"(^|\.){re.escape(new)}(?=\.)", rf"\g<1>{old}", name)
    return name


Transformer = Literal["sd3", "sd3-without-t5", "sana", "prx", "pixart"]


def write_transformer_pipeline(folder: Path, family: Transformer) -> Path:
    """A pipeline folder whose network is a transformer; its parts are tiny and random."""
    import diffusers
    from diffusers import FlowMatchEulerDiscreteScheduler

    torch.manual_seed(0)
    flow: Any = FlowMatchEulerDiscreteScheduler(shift=3.0)
    index: dict[str, Any] = {"_class_name": family}
    parts: dict[str, Any] = {"scheduler": flow}
    if family.startswith("sd3"):
        parts |= {
            "transformer": diffusers.SD3Transformer2DModel(
                sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
                num_attention_heads=4, joint_attention_dim=2 * WIDTH, caption_projection_dim=32,
                pooled_projection_dim=2 * WIDTH, pos_embed_max_size=16),
            "vae": _vae(shift_factor=0.06, force_upcast=False),
        }  # fmt: skip
        for end in ("", "_2"):
            parts |= {f"text_encoder{end}": _clip(CLIPTextModelWithProjection), f"tokenizer{end}": _clip_tokenizer(folder)}
        if family == "sd3":
            parts["text_encoder_3"] = _t5(2 * WIDTH)
            _write_t5_tokenizer(folder / "tokenizer_3")
    elif family == "sana":
        from transformers import Gemma2Config, Gemma2Model

        parts |= {
            "transformer": diffusers.SanaTransformer2DModel(
                patch_size=1, in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2, attention_head_dim=4,
                num_cross_attention_heads=2, cross_attention_head_dim=4, cross_attention_dim=8, caption_channels=8, sample_size=8),
            "vae": diffusers.AutoencoderDC(
                latent_channels=4, attention_head_dim=2, encoder_block_types=("ResBlock", "EfficientViTBlock"),
                decoder_block_types=("ResBlock", "EfficientViTBlock"), encoder_block_out_channels=(8, 8),
                decoder_block_out_channels=(8, 8), encoder_qkv_multiscales=((), (5,)), decoder_qkv_multiscales=((), (5,)),
                encoder_layers_per_block=(1, 1), decoder_layers_per_block=(1, 1), downsample_block_type="conv",
                upsample_block_type="interpolate", decoder_norm_types="rms_norm", decoder_act_fns="silu", scaling_factor=0.41407),
            "text_encoder": Gemma2Model(Gemma2Config(
                vocab_size=64, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
                num_key_value_heads=1, head_dim=4)),
        }  # fmt: skip
        _write_t5_tokenizer(folder / "tokenizer")
    elif family == "prx":
        index["default_sample_size"] = 16
        parts |= {
            "transformer": diffusers.PRXTransformer2DModel(
                patch_size=1, in_channels=4, depth=2, num_heads=2, hidden_size=8, context_in_dim=8, axes_dim=[2, 2]),
            "vae": _vae(force_upcast=False),
            "text_encoder": _t5(8),
        }  # fmt: skip
        _write_t5_tokenizer(folder / "tokenizer")
    else:
        parts |= {
            "scheduler": DDPMScheduler(),
            "transformer": diffusers.PixArtTransformer2DModel(
                sample_size=8, num_layers=2, patch_size=2, attention_head_dim=8, num_attention_heads=3, caption_channels=32,
                in_channels=4, cross_attention_dim=24, out_channels=8, attention_bias=True, activation_fn="gelu-approximate",
                num_embeds_ada_norm=1000, norm_type="ada_norm_single", norm_elementwise_affine=False, norm_eps=1e-6),
            "vae": _vae(force_upcast=False),
            "text_encoder": _t5(32),
        }  # fmt: skip
        _write_t5_tokenizer(folder / "tokenizer")
    with torch.no_grad():
        for parameter in parts["transformer"].parameters():  # some begin as zeros, and would hide the text
            parameter.add_(0.1 * torch.randn_like(parameter))
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    index |= {name: [type(part).__module__.split(".")[0], type(part).__name__] for name, part in parts.items()}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder
