"""The embedded model: a small text- and camera-conditioned diffusion model, kept as a diffusers pipeline folder.

It denoises 64 x 64 pictures, seen by the UNet as 32 x 32 x 12 (each 2 x 2 block of pixels is one position), and
predicts v. A caption is six words (`captions.Caption.canonical`); their encodings go to the cross-attention of the
middle block and, side by side, to the class embedding. The camera comes as a map of rays beside the image and as a code
in the class embedding.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from df3d_diffusion.conditioning import RAY_CHANNELS, VIEW_CODES
from diffusers import DDPMScheduler, UNet2DConditionModel
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from df3d_toybox.captions import BLANK, COLOR_NAMES, NOUN_NAMES, RELATIONS, SLOTS, VIEWS

TEXT_WIDTH = 128
SIZE, UNSHUFFLE = 64, 2
FOLDER = Path(__file__).parent / "weights"


@dataclass
class ToyboxModel:
    """The four parts of the pipeline folder."""

    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: PreTrainedTokenizerFast
    scheduler: DDPMScheduler

    def networks(self) -> dict[str, nn.Module]:
        return {"unet": self.unet, "text_encoder": self.text_encoder}

    def encode(self, canonical: list[str]) -> Tensor:
        """(B, SLOTS, TEXT_WIDTH) from captions as `Caption.canonical` writes them."""
        tokens = self.tokenizer(canonical, return_tensors="pt").input_ids.to(self.text_encoder.device)
        return self.text_encoder(tokens).last_hidden_state

    def save(self, folder: Path, *, card: dict) -> None:
        """Write a diffusers pipeline folder in bf16; `card` says how it was trained."""
        for name, network in self.networks().items():
            dtype = network.dtype
            network.to(torch.bfloat16).save_pretrained(folder / name)
            network.to(dtype)
        self.tokenizer.save_pretrained(folder / "tokenizer")
        self.scheduler.save_pretrained(folder / "scheduler")
        index = {
            "_class_name": "DiffusionPipeline",
            "unet": ["diffusers", "UNet2DConditionModel"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
            "scheduler": ["diffusers", "DDPMScheduler"],
            "df3d": {"space": "pixel", "image_size": SIZE, "unshuffle": UNSHUFFLE, "rays": True},
        }
        (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
        (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n")


def read(folder: Path) -> ToyboxModel:
    """The model that `save` wrote, in float32. Its configuration does not remember the folder, which is nobody's business."""
    model = create()
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
    model.unet.load_state_dict(unet.state_dict())
    text_encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)
    model.text_encoder.load_state_dict(text_encoder.state_dict())
    return model


def create() -> ToyboxModel:
    """An untrained model; seed torch first for the same one again."""
    words = [BLANK, *COLOR_NAMES, *NOUN_NAMES, *RELATIONS, *VIEWS]
    vocabulary = {word: index for index, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=BLANK))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    text = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=SLOTS,
        projection_dim=TEXT_WIDTH,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
    )
    unet = UNet2DConditionModel(
        sample_size=SIZE // UNSHUFFLE,
        in_channels=3 * UNSHUFFLE**2 + RAY_CHANNELS,
        out_channels=3 * UNSHUFFLE**2,
        down_block_types=("DownBlock2D",) * 3,
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("UpBlock2D",) * 3,
        block_out_channels=(64, 128, 256),
        layers_per_block=1,
        attention_head_dim=8,
        cross_attention_dim=TEXT_WIDTH,
        resnet_time_scale_shift="scale_shift",
        class_embed_type="projection",
        time_embedding_dim=512,
        projection_class_embeddings_input_dim=SLOTS * TEXT_WIDTH + VIEW_CODES,
    )
    return ToyboxModel(
        unet=unet,
        text_encoder=CLIPTextModel(text),
        tokenizer=PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=SLOTS, pad_token=BLANK, unk_token=BLANK),
        scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction"),
    )
