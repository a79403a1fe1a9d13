"""Guidances that stay loaded from one run to the next, so that many prompts load a model once."""

from __future__ import annotations

from typing import Any

from df3d.plugin.records import GuidancePlugin
from df3d.protocols import Guidance, Reconfigurable, Trainable
from df3d.recipe.plan import ConfiguredPart, StagePlan

Key = tuple[str, str, str]  # a guidance's name, its options as text, the device


class KeptGuidance:
    """Guidances by what they were built from. One that learns differs after a run, and is built anew each time."""

    def __init__(self) -> None:
        self.built: dict[Key, Guidance[Any]] = {}

    def of(self, stage: StagePlan, device: str) -> dict[str, Guidance[Any]]:
        """The guidances of a stage by their names: kept ones where they serve, with the options of the stage, or new ones.

        Before a new one is built, those that this stage does not use are let go of: two models need not fit side by side.
        """
        used = {(part.name, repr(part.config), device): part for part in stage.guidance}
        return {part.name: self._of(key, part, set(used)) for key, part in used.items()}

    def forget(self) -> None:
        """Let go of all, as after a run that failed or ran out of memory: what it left behind spoils no other."""
        self.built.clear()

    def _of(self, key: Key, part: ConfiguredPart[GuidancePlugin], used: set[Key]) -> Guidance[Any]:
        guidance = self.built[key] if key in self.built else self._reconfigured(key, part.config)
        if guidance is None:
            for other in set(self.built) - used:
                del self.built[other]
            guidance = part.plugin.build(part.config, device=key[2])
        if not _learns(guidance):
            self.built[key] = guidance
        return guidance

    def _reconfigured(self, key: Key, config: object) -> Guidance[Any] | None:
        name, _, device = key
        for (other, _, place), guidance in self.built.items():
            if (other, place) == (name, device) and isinstance(guidance, Reconfigurable):
                found: Guidance[Any] | None = guidance.with_config(config)
                if found is not None:
                    return found
        return None


def _learns(guidance: Guidance[Any]) -> bool:
    return isinstance(guidance, Trainable) and bool(guidance.parameter_groups() or guidance.state_dict())
