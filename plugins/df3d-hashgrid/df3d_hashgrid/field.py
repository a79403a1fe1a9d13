"""The NeRF: a hash grid, a small network for density and one for albedo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from df3d.errors import PluginError
from df3d.protocols import Volume
from df3d.schedule import Step
from df3d.types import FieldSamples, TensorRule
from df3d_hashgrid.config import HashGridConfig
from df3d_hashgrid.encoding import make, note


class HashGridField(nn.Module):
    """A volume in the ball of radius 1.

    density = softplus(scale * network + bias + blob), blob = height * (1 - |x| / radius); albedo = sigmoid(network).
    """

    levels_in_use: Tensor

    def __init__(self, config: HashGridConfig, *, device: str = "cpu", start_from: Volume | None = None) -> None:
        super().__init__()
        self.config = config
        self.encoding, self.notes = make(config, device), note(config.backend, device)
        width = config.levels * config.features
        self.density_in = nn.Linear(width, config.hidden, bias=False)
        self.density_out = nn.Linear(config.hidden, 1, bias=False)
        self.albedo_network = nn.Sequential(nn.Linear(width, config.hidden), nn.ReLU(inplace=True), nn.Linear(config.hidden, 3))
        start = config.levels if config.start_levels is None else min(config.start_levels, config.levels)
        self.register_buffer("levels_in_use", torch.tensor(start))
        self.levels = start
        self.state_rules = {"levels_in_use": TensorRule(low=1, high=config.levels)}
        self.to(device)
        if start_from is not None:
            self._continue(start_from)

    def _continue(self, other: Volume) -> None:
        if not isinstance(other, HashGridField) or other.config.shape() != self.config.shape():
            raise PluginError(
                "field `hashgrid` can only start from a hash grid of the same shape",
                "give both stages the same levels, features, log2_table, base, finest and hidden",
            )
        self.load_state_dict(other.state_dict())

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        result = super().load_state_dict(state_dict, strict, assign)
        self.levels = int(self.levels_in_use)
        return result

    def parameter_groups(self) -> list[dict[str, Any]]:
        networks = [*self.density_in.parameters(), *self.density_out.parameters(), *self.albedo_network.parameters()]
        return [
            {"params": [self.encoding.table], "lr": self.config.grid_rate},
            {"params": networks, "lr": self.config.network_rate},
        ]

    def before_step(self, step: Step) -> None:
        """Bring finer levels into use as the stage goes on."""
        start = self.config.start_levels
        if start is not None:
            share = min(step.progress / max(self.config.levels_until, 1e-9), 1.0)
            self.levels = min(self.config.levels, start + int(share * (self.config.levels - start) + 1e-6))
            self.levels_in_use.fill_(self.levels)

    def density(self, points: Tensor) -> Tensor:
        raw = self.density_out(self.density_in(self._encode(points)).relu_())[:, 0]
        return functional.softplus(self._logit(raw, points))

    def albedo(self, points: Tensor) -> Tensor:
        return torch.sigmoid(self.albedo_network(self._encode(points)))

    def query(self, points: Tensor, *, gradient: bool = False) -> FieldSamples:
        features = self._encode(points)
        hidden = self.density_in(features).relu_()
        logit = self._logit(self.density_out(hidden)[:, 0], points)
        albedo = torch.sigmoid(self.albedo_network(features))
        slope = self._density_gradient(points, hidden, logit) if gradient else None
        return FieldSamples(functional.softplus(logit), albedo, slope)

    def _encode(self, points: Tensor) -> Tensor:
        return self.encoding(self._unit(points), self.levels)

    def _unit(self, points: Tensor) -> Tensor:
        return (points + 1) * 0.5

    def _logit(self, raw: Tensor, points: Tensor) -> Tensor:
        c = self.config
        blob = c.blob_density * (1 - points.norm(dim=-1) / c.blob_radius)
        return c.density_scale * raw + c.density_bias + blob.clamp_min(min(0.0, c.blob_density * (1 - 1 / c.blob_radius)))

    def _density_gradient(self, points: Tensor, hidden: Tensor, logit: Tensor) -> Tensor:
        """d density / d point, (N, 3), by the chain rule written out.

        Between the kinks of ReLU, d raw / d features = (w_out * [hidden > 0]) W_in; the encoding takes it to points.
        """
        c = self.config
        to_features = hidden.detach().sign() @ (self.density_out.weight.T * self.density_in.weight)
        slope = self.encoding.gradient(self._unit(points), to_features, self.levels) * (0.5 * c.density_scale)
        slope = slope - (c.blob_density / c.blob_radius) * functional.normalize(points, dim=-1)
        return torch.sigmoid(logit)[:, None] * slope
