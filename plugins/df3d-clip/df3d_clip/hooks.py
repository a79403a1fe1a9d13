"""What this plugin offers."""

from __future__ import annotations

from collections.abc import Iterable

from df3d import GuidancePlugin, ScorerPlugin, hookimpl
from df3d_clip.config import ClipGuidanceConfig, ClipModelConfig, ClipScorerConfig, JanusConfig

df3d_api = 1


@hookimpl
def df3d_scorers() -> Iterable[ScorerPlugin]:
    yield ScorerPlugin(
        name="clip",
        summary="CLIP score and CLIP R-Precision, in colour and of the shape",
        config=ClipScorerConfig,
        target="df3d_clip.retrieval:ClipScorer",
        headline=("score", "view_r1", "view_r1_geo"),
        lower=frozenset({"rank", "rank_geo"}),
        ready="df3d_clip.config:ready",
    )
    yield ScorerPlugin(
        name="janus",
        summary="How many faces, by what CLIP says of front, side and back",
        config=JanusConfig,
        target="df3d_clip.janus:JanusScorer",
        headline=("faces", "leakage"),
        lower=frozenset({"faces", "leakage", "repetition"}),
        ready="df3d_clip.config:ready",
    )
    yield ScorerPlugin(
        name="consistency",
        summary="How alike neighbouring views are to CLIP, and how sharp",
        config=ClipModelConfig,
        target="df3d_clip.consistency:ConsistencyScorer",
        headline=("guarded", "neighbours", "sharpness"),
        ready="df3d_clip.config:ready",
    )


@hookimpl
def df3d_guidance() -> Iterable[GuidancePlugin]:
    yield GuidancePlugin(
        name="clip",
        summary="CLIP guidance, as in Dream Fields",
        config=ClipGuidanceConfig,
        target="df3d_clip.guidance:ClipGuidance",
        accepts=frozenset({"text"}),
        ready="df3d_clip.config:ready",
    )
