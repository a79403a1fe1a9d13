"""Round Gaussians whose places, sizes, opacities and colours learn, and whose number changes on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from df3d import EmptyFieldError, Gaussians, GaussiansAsset, Step, TensorRule
from df3d.protocols import Surface
from df3d.scene.resize import resize_rows
from df3d.types import RenderOutput
from df3d_splats.config import SplatsConfig

ROWS = {"means": 3, "sizes": 1, "solidity": 1, "colors": 3}
HARMONIC = 0.28209479177387814  # the constant one: 1 / (2 sqrt(pi))


class SplatsField(nn.Module):
    """Capability "gaussians". Densification and pruning as in 3D Gaussian Splatting (arXiv 2308.04079, section 5.2), in small."""

    def __init__(self, config: SplatsConfig, *, device: str = "cpu", start_from: Any = None) -> None:
        super().__init__()
        self.config = config
        for name, values in self._first(config, start_from).items():
            self.register_parameter(name, nn.Parameter(values.to(device)))
        self.register_buffer("pull", torch.zeros(len(self.means), device=device))  # gradient of the places since the last change

    def _first(self, config: SplatsConfig, start: Any) -> dict[str, Tensor]:
        if isinstance(start, GaussiansAsset):
            cloud = start.gaussians
            opacity = torch.from_numpy(cloud.opacities).clamp(1e-4, 1 - 1e-4)[:, None]
            colors = torch.from_numpy(np.ascontiguousarray(cloud.harmonics[:, 0])) * HARMONIC + 0.5
            sizes = torch.from_numpy(cloud.scales).mean(1, keepdim=True).log()
            means = torch.from_numpy(cloud.means.copy())
            return {
                "means": means,
                "sizes": sizes,
                "solidity": torch.logit(opacity),
                "colors": torch.logit(colors.clamp(0.01, 0.99)),
            }
        if isinstance(start, SplatsField):
            return {name: getattr(start, name).detach().clone() for name in ROWS}
        generator = torch.Generator().manual_seed(int(torch.randint(2**31, (1,))))
        if isinstance(start, Surface):
            vertices = start.surface().vertices.detach().cpu()
            means = vertices[torch.randint(len(vertices), (config.count,), generator=generator)]
        else:
            means = 0.25 * torch.randn(config.count, 3, generator=generator)
        full = torch.ones(config.count, 1)
        return {
            "means": means,
            "sizes": full * float(np.log(config.size)),
            "solidity": 0 * full,
            "colors": 0 * full.expand(-1, 3).clone(),
        }

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [getattr(self, name)], "lr": self.config.rate} for name in ROWS]

    def before_step(self, step: Step) -> None: ...

    @torch.no_grad()
    def after_backward(self, optimizer: torch.optim.Optimizer, render: RenderOutput, step: Step) -> None:
        """Every few steps: drop the faint ones, and split those whose places are pulled most."""
        assert self.means.grad is not None
        self.pull += self.means.grad.norm(dim=-1)
        if (step.index + 1) % self.config.densify_every:
            return
        kept = (torch.sigmoid(self.solidity[:, 0]) > self.config.faint).nonzero()[:, 0]
        if not len(kept):
            return
        room = max(0, min(self.config.most - len(kept), len(kept) // 5))
        split = kept[self.pull[kept].argsort(descending=True, stable=True)[:room]]
        noise = torch.randn(len(split), 3, generator=step.generator("densify")).to(self.means)
        for name in ROWS:
            parameter = getattr(self, name)
            added = parameter.detach()[split]
            resize_rows(optimizer, parameter, kept, added + noise * self.sizes.detach()[:1].exp() if name == "means" else added)
        self.pull = self.pull.new_zeros(len(self.means))

    @property
    def state_rules(self) -> dict[str, TensorRule]:
        return {name: TensorRule(rows="means") for name in (*ROWS, "pull")}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """However many there are in it."""
        for name in ROWS:
            parameter = getattr(self, name)
            parameter.data = parameter.data.new_zeros(state[name].shape)
        self.pull = self.pull.new_zeros(state["pull"].shape)
        return super().load_state_dict(state, strict, assign)

    @torch.no_grad()
    def asset(self) -> GaussiansAsset:
        if not len(self.means):
            raise EmptyFieldError("no Gaussian is left", "lower `field.faint`")
        means, sizes, solidity, colors = (getattr(self, name).cpu() for name in ROWS)
        turns = torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(len(means), 4)
        harmonics = (torch.sigmoid(colors)[:, None] - 0.5) / HARMONIC
        arrays = (means, sizes.exp().expand(-1, 3), turns, torch.sigmoid(solidity)[:, 0], harmonics)
        return GaussiansAsset(Gaussians(*(np.ascontiguousarray(array.numpy()) for array in arrays)))
