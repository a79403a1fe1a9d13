"""Small random-weight pipelines of every family, made from configs and written to disk as the real ones are."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast


def write_pipeline(folder: Path, *, latent: bool, prediction: str = "epsilon") -> Path:
    """A pipeline folder with the parts and layout of Stable Diffusion, or of DeepFloyd IF without its VAE."""
    torch.manual_seed(0)
    channels = 4 if latent else 3
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=channels, out_channels=channels if latent else 2 * channels,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=16, attention_head_dim=4,
    )  # fmt: skip
    text = CLIPTextModel(
        CLIPTextConfig(vocab_size=40, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
                       max_position_embeddings=12, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    )  # fmt: skip
    words = ["<pad>", "<bos>", "<eos>", "a", "red", "car", "front", "side", "back", "overhead", "view", "ugly", ","]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=12, pad_token="<pad>", unk_token="<pad>")
    unet.save_pretrained(folder / "unet")
    text.save_pretrained(folder / "text_encoder")
    fast.save_pretrained(folder / "tokenizer")
    DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, prediction_type=prediction).save_pretrained(
        folder / "scheduler"
    )
    index: dict[str, object] = {"_class_name": "StableDiffusionPipeline" if latent else "IFPipeline"}
    if latent:
        AutoencoderKL(
            block_out_channels=(16, 32), down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=4, norm_num_groups=8, scaling_factor=0.18215,
        ).save_pretrained(folder / "vae")  # fmt: skip
        index["vae"] = ["diffusers", "AutoencoderKL"]
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder
