"""What a penalty promises."""

from __future__ import annotations

from dataclasses import replace

import torch

from df3d.plugin.records import (
    PenaltyPlugin,
)
from df3d.scene.cameras import orbit
from df3d.testing.contracts.contract import Contract
from df3d.testing.fakes import FIELDS, a_render


class PenaltyContract(Contract):
    kind = "penalty"

    @property
    def plugin(self) -> PenaltyPlugin:
        return self.catalog.penalties.get(self.name)

    def test_it_is_a_finite_number_that_has_a_gradient(self) -> None:
        render, _ = a_render(orbit(2, size=16))
        field = FIELDS["surface" if "mesh" in self.plugin.needs else "volume"]()
        value = self.plugin.build()(render, field)
        assert value.shape == ()
        assert bool(torch.isfinite(value))
        assert value.requires_grad, "nothing would learn from it"

    def test_it_says_what_it_needs(self) -> None:
        """With that and colours alone it works."""
        render, _ = a_render(orbit(1, size=16))
        kept = {"rgb", "opacity", *self.plugin.needs}
        bare = replace(render, **{name: None for name in vars(render) if name not in kept})  # type: ignore[arg-type]
        assert bool(torch.isfinite(self.plugin.build()(bare, FIELDS["volume"]())))
