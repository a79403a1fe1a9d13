"""MVDream against its authors' own network and cameras, and what is special about views that are denoised together."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from df3d_diffusion.config import MultiViewConfig, SdsConfig
from df3d_diffusion.folder import check_kind
from df3d_diffusion.joint import join_views
from df3d_diffusion.loading import load
from df3d_diffusion.multiview import (
    PREFIX,
    VIEWS,
    MultiViewDenoiser,
    camera_code,
    from_checkpoint,
    is_multi_view,
    stock_config,
)
from df3d_diffusion.sds import from_config
from safetensors.torch import load_file, save_file
from torch import Tensor

from df3d.errors import ModelError
from df3d.prompt import Prompt
from df3d.scene.cameras import look_at, orbit
from df3d.schedule import Schedule, Step
from df3d.types import Cameras, RenderOutput

sys.path.insert(0, str(Path(__file__).parent / "data"))
from record_multiview import CONFIG, weight

DATA = load_file(Path(__file__).parent / "data" / "multiview.safetensors")


def cameras(azimuth: list[float], elevation: list[float]) -> Cameras:
    full = torch.ones(len(azimuth))
    return look_at(torch.tensor(azimuth), torch.tensor(elevation), 2.7 * full, 40 * full, height=8, width=8)


RECORDED = cameras([0, 90, 180, 270, 30, 120, 210, 300], [15.0] * 4 + [40.0] * 4)


def test_the_camera_is_the_authors() -> None:
    """A mirrored or turned convention differs by much more than rounding."""
    torch.testing.assert_close(camera_code(RECORDED), DATA["camera"], atol=1e-6, rtol=0)


class Network:
    """The recorded network as ours, without a VAE."""

    def __init__(self) -> None:
        stock = stock_config(CONFIG)
        state = {PREFIX + name: weight(name, shape) for name, shape in authors_shapes(stock).items()}
        self.unet = from_checkpoint(state, stock).eval()
        self.joint = join_views(self.unet, VIEWS)

    @torch.no_grad()
    def __call__(self, camera: Tensor) -> Tensor:
        found: Tensor = self.unet(DATA["noisy"], DATA["timestep"], DATA["text"], class_labels=camera).sample
        return found


def authors_shapes(stock: dict[str, object]) -> dict[str, torch.Size]:
    """Names and shapes of the authors' own weights, from the recording's configuration."""
    from diffusers import UNet2DConditionModel
    from pipelines import _RESNET, _original

    names = [
        ("time_embedding.linear_1", "time_embed.0"), ("time_embedding.linear_2", "time_embed.2"), ("conv_in", "input_blocks.0.0"),
        ("class_embedding.linear_1", "camera_embed.0"), ("class_embedding.linear_2", "camera_embed.2"),
        ("conv_norm_out", "out.0"), ("conv_out", "out.2"), ("down_blocks.0.downsamplers.0.conv", "input_blocks.2.0.op"),
        ("mid_block.resnets.0", "middle_block.0"), ("mid_block.attentions.0", "middle_block.1"),
        ("mid_block.resnets.1", "middle_block.2"), ("up_blocks.0.upsamplers.0.conv", "output_blocks.1.2.conv"),
    ]  # fmt: skip
    for kind, place in (("resnets", 0), ("attentions", 1)):
        names += [(f"down_blocks.{level}.{kind}.0", f"input_blocks.{2 * level + 1}.{place}") for level in (0, 1)]
        names += [(f"up_blocks.{level}.{kind}.{i}", f"output_blocks.{2 * level + i}.{place}") for level in (0, 1) for i in (0, 1)]
    with torch.device("meta"):
        state = UNet2DConditionModel.from_config(stock).state_dict()
    return {_original(name, [*names, *_RESNET] if ".resnets." in name else names): tensor.shape for name, tensor in state.items()}


def test_the_network_is_the_authors() -> None:
    network = Network()
    torch.testing.assert_close(network(DATA["camera"]), DATA["together"], atol=1e-5, rtol=1e-4)


def test_another_camera_or_views_apart_are_seen() -> None:
    """So that the test above can fail: each changes more than a hundred times what it allows."""
    network = Network()
    turned = camera_code(cameras([90, 180, 270, 360, 30, 120, 210, 300], [15.0] * 4 + [40.0] * 4))
    assert float((network(turned) - DATA["together"]).abs().max()) > 1e-2
    network.joint.views = 1
    assert float((network(DATA["camera"]) - DATA["together"]).abs().max()) > 1e-2


def test_alone_means_no_camera_and_no_other_view() -> None:
    """What the authors' network does without a camera, one frame at a time."""
    network = Network()
    network.joint.views, network.unet.class_embedding = 1, None
    torch.testing.assert_close(network(None), DATA["alone"], atol=1e-5, rtol=1e-4)  # type: ignore[arg-type]


@pytest.fixture
def denoiser(mvdream: Path) -> MultiViewDenoiser:
    found = load(str(mvdream), device="cpu", dtype="float32")
    assert isinstance(found, MultiViewDenoiser)
    return found


def test_the_authors_layout_and_the_stock_one_are_one_model(denoiser: MultiViewDenoiser, mvdream: Path, tmp_path: Path) -> None:
    shutil.copytree(mvdream, tmp_path / "stock")
    shutil.rmtree(tmp_path / "stock" / "unet")
    denoiser.unet.save_pretrained(tmp_path / "stock" / "unet")
    other = load(str(tmp_path / "stock"), device="cpu", dtype="float32")
    assert isinstance(other, MultiViewDenoiser)
    assert torch.equal(seen(other), seen(denoiser))


def seen(denoiser: MultiViewDenoiser, views: Cameras | None = RECORDED) -> Tensor:
    draw = torch.Generator().manual_seed(3)
    noisy, text = torch.randn(8, 4, 8, 8, generator=draw), torch.randn(8, 77, 16, generator=draw)
    with torch.no_grad():
        return denoiser.predict(noisy, torch.full((8,), 400), text, views)


def test_a_file_of_the_authors_is_the_same_model(
    denoiser: MultiViewDenoiser, stable_diffusion: Path, mvdream: Path, tmp_path: Path
) -> None:
    """With everything else from its family, whose networks MVDream left as they were."""
    tensors = load_file(mvdream / "unet" / "diffusion_pytorch_model.safetensors")
    rest = {"first_stage_model.x": torch.zeros(1), "cond_stage_model.x": torch.zeros(1)}
    save_file({PREFIX + name: tensor for name, tensor in tensors.items()} | rest, tmp_path / "sd-v2.1-base-4view.safetensors")
    family = tmp_path / "family"
    shutil.copytree(stable_diffusion, family)
    table = json.loads((family / "unet" / "config.json").read_text())
    (family / "unet" / "config.json").write_text(json.dumps({**table, "use_linear_projection": True}))
    other = load(str(tmp_path / "sd-v2.1-base-4view.safetensors"), device="cpu", dtype="float32", family=str(family))
    assert isinstance(other, MultiViewDenoiser)
    assert other.unet.config.sample_size == 32
    assert all(torch.equal(one, two) for one, two in zip(other.unet.parameters(), denoiser.unet.parameters(), strict=True))


def test_views_of_one_object_share_a_timestep_and_stay_together(mvdream: Path) -> None:
    guidance = from_config(MultiViewConfig(model=str(mvdream), dtype="float32", at_once=3))
    asked: list[tuple[int, list[int]]] = []
    whole = guidance.denoiser.predict

    def predict(noisy: Tensor, timestep: Tensor, text: Tensor, views: Cameras | None) -> Tensor:
        asked.append((len(noisy), timestep.tolist()))
        return whole(noisy, timestep, text, views)

    guidance.denoiser.predict = predict  # type: ignore[method-assign]
    images = torch.rand(8, 16, 16, 3)
    guidance.step(RenderOutput(images, images[..., :1]), RECORDED, guidance.encode(Prompt("a red car")), Step(0, 10))
    assert [count for count, _ in asked] == [VIEWS] * 4
    assert all(len(set(timesteps)) == 1 for _, timesteps in asked)
    assert asked[0][1] != asked[1][1]
    guidance._most = 8
    assert guidance.save_memory()
    assert guidance.save_memory() == "asking the model about 4 images at a time"
    assert guidance.save_memory() == ""


def test_contrast_is_brought_back_for_an_object_not_for_a_view(mvdream: Path) -> None:
    guidance = from_config(
        MultiViewConfig(model=str(mvdream), dtype="float32", objective="reconstruction", scale=50.0, rescale=1.0)
    )
    views, images = orbit(4, size=16), torch.rand(4, 16, 16, 3)
    found = {}
    for group in (4, 1):
        guidance.denoiser.group = group
        leaf = images.clone().requires_grad_()
        encoded = guidance.encode(Prompt("a red car"))
        step = guidance.step(RenderOutput(leaf, leaf[..., :1]), views, encoded, Step(0, 10, "same"))
        found[group] = float(step.loss.detach())
    assert found[4] != found[1]


def test_without_a_camera_nothing_of_other_views_is_seen(denoiser: MultiViewDenoiser) -> None:
    draw = torch.Generator().manual_seed(3)
    noisy, text = torch.randn(8, 4, 8, 8, generator=draw), torch.randn(8, 77, 16, generator=draw)
    with torch.no_grad():
        one = denoiser.predict(noisy[:1], torch.full((1,), 400), text[:1], None)
    torch.testing.assert_close(seen(denoiser, None)[:1], one, atol=1e-5, rtol=1e-4)
    assert denoiser.unet.class_embedding is not None
    assert float((seen(denoiser)[:1] - one).abs().max()) > 1e-3


def test_an_entropic_student_of_a_multi_view_model(mvdream: Path) -> None:
    options = {"objective": "esd", "dtype": "float32", "t_min": Schedule(0.5), "t_max": Schedule(0.6)}
    guidance = from_config(MultiViewConfig(model=str(mvdream), **options))  # type: ignore[arg-type]
    images = torch.rand(4, 16, 16, 3, requires_grad=True)
    guided = guidance.step(RenderOutput(images, images[..., :1]), orbit(4, size=16), guidance.encode(Prompt("a car")), Step(0, 10))
    guided.loss.backward()
    assert images.grad is not None
    assert float(images.grad.abs().sum()) > 0


def test_what_does_not_fit_is_one_sentence(mvdream: Path, stable_diffusion: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a multi-view model"):
        from_config(SdsConfig(model=str(mvdream)))
    with pytest.raises(ModelError, match="sees one picture at a time"):
        from_config(MultiViewConfig(model=str(stable_diffusion)))
    shutil.copytree(mvdream, tmp_path / "damaged")
    path = tmp_path / "damaged" / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    del tensors["camera_embed.0.weight"]
    save_file(tensors, path)
    with pytest.raises(ModelError, match=r"lack `class_embedding\.linear_1\.weight`"):
        load(str(tmp_path / "damaged"), device="cpu")
    path.unlink()
    with pytest.raises(ModelError, match=r"holds no weights in \.safetensors"):
        load(str(tmp_path / "damaged"), device="cpu")
    table = json.loads((mvdream / "unet" / "config.json").read_text())
    (tmp_path / "damaged" / "unet" / "config.json").write_text(json.dumps({**table, "ip_dim": 16}))
    with pytest.raises(ModelError, match="is ImageDream, which wants a picture"):
        load(str(tmp_path / "damaged"), device="cpu")
    save_file(tensors, path)
    (tmp_path / "damaged" / "unet" / "config.json").write_text(json.dumps({"camera_dim": 16}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(str(tmp_path / "damaged"), device="cpu")
    check_kind("it", json.loads((mvdream / "model_index.json").read_text()), table)


def test_the_authors_configuration_in_the_words_of_a_stock_network() -> None:
    """MVDream's own, whose fourth level looks at nothing: levels run from fine to coarse, and on the way up back."""
    own = {
        "image_size": 32, "in_channels": 4, "out_channels": 8, "model_channels": 320, "attention_resolutions": [4, 2, 1],
        "num_res_blocks": 2, "channel_mult": [1, 2, 4, 4], "num_head_channels": 64, "context_dim": 1024,
    }  # fmt: skip
    stock = stock_config(own)
    look, blind = "CrossAttnDownBlock2D", "DownBlock2D"
    assert stock["down_block_types"] == [look, look, look, blind]
    assert stock["up_block_types"] == ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"]
    assert stock["block_out_channels"] == [320, 640, 1280, 1280]
    assert stock["attention_head_dim"] == [5, 10, 20, 20]
    assert (stock["sample_size"], stock["in_channels"], stock["out_channels"]) == (32, 4, 8)
    assert (stock["layers_per_block"], stock["cross_attention_dim"], stock["transformer_layers_per_block"]) == (2, 1024, 1)
    assert stock_config({**own, "transformer_depth": 3})["transformer_layers_per_block"] == 3


def test_a_network_of_many_views_is_known_by_its_configuration() -> None:
    told = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 16}
    assert is_multi_view(told)
    assert is_multi_view({"camera_dim": 16})
    assert not is_multi_view({**told, "projection_class_embeddings_input_dim": 32})
    assert not is_multi_view({"projection_class_embeddings_input_dim": 16})
    assert not is_multi_view({"camera_dim": 12})
