"""The options of cameras, light and background, as recipes set them. No torch: they are read before it loads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from df3d.plugin.records import Workload
from df3d.plugin.schema import option
from df3d.prompt import View
from df3d.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class OrbitConfig:
    """Random training cameras, all looking at the origin."""

    views: int = option(4, "cameras a step", low=1, high=256)
    size: int | Schedule = option(
        64, "height and width of a render, pixels; one that changes goes by multiples of 8", low=1, high=4096
    )
    elevation: tuple[float, float] = option((-10.0, 60.0), "lowest and highest, degrees")
    distance: tuple[float, float] = option((3.0, 3.0), "nearest and farthest from the origin")
    fov_y: tuple[float, float] = option((35.0, 35.0), "narrowest and widest vertical field of view, degrees")

    def __post_init__(self) -> None:
        if not self.distance[0] > 1.0:
            raise ValueError("`distance` must be more than 1: the object fills the unit ball")


def workload(config: OrbitConfig) -> Workload:
    """What a step with these cameras asks of the other parts."""
    return Workload(config.views, config.size if isinstance(config.size, int) else int(max(config.size.ends)))


@dataclass(frozen=True, kw_only=True)
class ShadingConfig:
    """How renders are lit. In training each step draws a mode; outside training `lambertian` is used if it can occur."""

    albedo_until: float = option(0.2, "share of the stage in which only albedo is shown")
    lambertian: float = option(0.75, "probability of light after that")
    textureless: float = option(0.5, "share of the lit steps in which the albedo is white")
    ambient: float = option(0.1, "light from everywhere")
    diffuse: float = option(0.9, "light from the point light")
    light: Literal["random", "head"] = option("random", "a point light near the camera, or one at the camera")

    def __post_init__(self) -> None:
        if not (0 <= self.lambertian <= 1 and 0 <= self.textureless <= 1):
            raise ValueError("`lambertian` and `textureless` are probabilities between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class BackgroundConfig:
    """What a renderer puts behind the object."""

    background: Literal["fixed", "random", "learned"] = option("fixed", "what is behind the object")
    background_color: tuple[float, float, float] = option((1.0, 1.0, 1.0), "of the fixed background, sRGB in [0, 1]")


@dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """View-dependent prompting (DreamFusion, arXiv 2209.14988, section 3.2): which cameras see which view, in degrees."""

    enabled: bool = option(True, "add the view to the prompt")
    front: float = option(45.0, "azimuths up to this far from the front are a front view")
    back: float = option(45.0, "azimuths up to this far from the back are a back view")
    overhead: float = option(60.0, "elevations above this are an overhead view")

    def view(self, azimuth: float, elevation: float) -> View:
        """The view a camera has; azimuth 0 is the front."""
        away = abs((azimuth + 180.0) % 360.0 - 180.0)
        if elevation > self.overhead:
            return "overhead"
        return "front" if away <= self.front else "back" if away >= 180.0 - self.back else "side"
