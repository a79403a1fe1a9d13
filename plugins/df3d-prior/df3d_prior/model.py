"""The model: a small text- and camera-conditioned diffusion model on pixels, kept as a diffusers pipeline folder.

It denoises 64 x 64 pictures, seen by the UNet as 32 x 32 x 12 (each 2 x 2 block of pixels is one position), and predicts v.
A caption is `SLOTS` words, among them a word for each object that it knows; their encodings go to the cross-attention of
the middle block and, side by side, to the class embedding. The camera comes as a map of rays beside the image and as a code
in the class embedding.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from df3d_diffusion.conditioning import RAY_CHANNELS, SKETCH_CHANNELS, VIEW_CODES
from df3d_diffusion.joint import join_views
from df3d_diffusion.networks import pack, quiet, whole
from diffusers import DDPMScheduler, UNet2DConditionModel
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from df3d_prior.words import BLANK, SLOTS

TEXT_WIDTH = 128
CHANNELS = (64, 128, 256)  # of the UNet, at 32, 16 and 8 positions a side
SIZE, UNSHUFFLE = 64, 2
SKETCHES = 2  # small pictures that the UNet sees, one for each thing of a caption


@dataclass
class Model:
    """The four parts of the pipeline folder, and how many views of an object are denoised together."""

    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: PreTrainedTokenizerFast
    scheduler: DDPMScheduler
    views: int = 1

    def networks(self) -> dict[str, nn.Module]:
        return {"unet": self.unet, "text_encoder": self.text_encoder}

    def join(self, views: int) -> None:
        """From now on every `views` pictures of a batch are of one object, and are denoised together."""
        self.views = views
        join_views(self.unet, views)

    def encode(self, captions: list[str]) -> Tensor:
        """(B, SLOTS, TEXT_WIDTH) from captions as `words.Caption.canonical` writes them."""
        tokens = self.tokenizer(captions, return_tensors="pt").input_ids.to(self.text_encoder.device)
        return self.text_encoder(tokens).last_hidden_state

    @property
    def words(self) -> list[str]:
        """All words, in the order of their embeddings."""
        vocabulary = self.tokenizer.get_vocab()
        return sorted(vocabulary, key=lambda word: vocabulary[word])

    def embeddings(self) -> Tensor:
        """(W, TEXT_WIDTH) what each word begins as; a parameter."""
        return self.text_encoder.get_input_embeddings().weight

    def save(self, folder: Path, *, card: dict) -> None:
        """Write a diffusers pipeline folder in bf16, the UNet's matrices in bytes; `card` says how it was trained."""
        quiet()
        for name, network in self.networks().items():
            dtype = network.dtype
            network.to(torch.bfloat16).save_pretrained(folder / name)
            network.to(dtype)
        pack(folder / "unet")
        self.tokenizer.save_pretrained(folder / "tokenizer")
        self.scheduler.save_pretrained(folder / "scheduler")
        index = {
            "_class_name": "DiffusionPipeline",
            "unet": ["diffusers", "UNet2DConditionModel"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
            "scheduler": ["diffusers", "DDPMScheduler"],
            "df3d": {"space": "pixel", "image_size": SIZE, "unshuffle": UNSHUFFLE, "rays": True, "sketches": SKETCHES},
        }
        if self.views > 1:
            index["df3d"] |= {"views": self.views}
        (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
        (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n")


def create(words: list[str]) -> Model:
    """An untrained model; seed torch first for the same one again. `words` are beside BLANK."""
    everything = [BLANK, *words]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(everything)}, unk_token=BLANK))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    text = CLIPTextConfig(
        vocab_size=len(everything),
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=TEXT_WIDTH // 32,
        max_position_embeddings=SLOTS,
        projection_dim=TEXT_WIDTH,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
    )
    unet = UNet2DConditionModel(
        sample_size=SIZE // UNSHUFFLE,
        in_channels=3 * UNSHUFFLE**2 + RAY_CHANNELS + SKETCH_CHANNELS * SKETCHES,
        out_channels=3 * UNSHUFFLE**2,
        down_block_types=("DownBlock2D",) * 3,
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("UpBlock2D",) * 3,
        block_out_channels=CHANNELS,
        layers_per_block=1,
        attention_head_dim=8,
        cross_attention_dim=TEXT_WIDTH,
        resnet_time_scale_shift="scale_shift",
        class_embed_type="projection",
        time_embedding_dim=512,
        projection_class_embeddings_input_dim=SLOTS * TEXT_WIDTH + VIEW_CODES,
    )
    return Model(
        unet=unet,
        text_encoder=CLIPTextModel(text),
        tokenizer=PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=SLOTS, pad_token=BLANK, unk_token=BLANK),
        scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction"),
    )


def take_over(model: Model, origin: Model) -> None:
    """Give a model the weights of another one, words by their names."""
    for name, network in model.networks().items():
        old, new = origin.networks()[name].state_dict(), network.state_dict()
        for key, value in old.items():
            if new[key].shape == value.shape:
                new[key] = value
        network.load_state_dict(new)
    with torch.no_grad():
        place = {word: i for i, word in enumerate(origin.words)}
        for i, word in enumerate(model.words):
            if word in place:
                model.embeddings()[i] = origin.embeddings()[place[word]]


def read(folder: Path) -> Model:
    """The model that `save` wrote, in float32. Its configuration does not remember the folder, which is nobody's business."""
    vocabulary = PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer").get_vocab()
    model = create(sorted(vocabulary, key=lambda word: vocabulary[word])[1:])
    quiet()
    unet = whole(folder / "unet", UNet2DConditionModel, torch_dtype=torch.float32).state_dict()
    known = unet["conv_in.weight"]
    unseen = model.unet.conv_in.weight[:, known.shape[1] :].detach()  # of sketches, in what was made before there were any
    unet["conv_in.weight"] = torch.cat([known, unseen], dim=1)
    model.unet.load_state_dict(unet)
    text_encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32, use_safetensors=True)
    model.text_encoder.load_state_dict(text_encoder.state_dict())
    layout = json.loads((folder / "model_index.json").read_text())["df3d"]
    if (views := layout.get("views", 1)) > 1:
        model.join(views)
    return model
