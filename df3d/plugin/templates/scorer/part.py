"""A scorer: numbers for one asset, which shows itself when it is asked."""

from df3d_my_part.config import MyPartConfig

from df3d.protocols import Subject


class MyPart:
    """`brightness`: the mean of the colours where the object is, over all views of the protocol; 0 to 1."""

    def __init__(self, config: MyPartConfig, *, device: str = "cpu") -> None:
        self.config = config

    def score(self, subject: Subject) -> dict[str, float]:
        inside = subject.opacity > self.config.over
        return {"brightness": float(subject.color.mean(-1)[inside].sum() / inside.sum().clamp_min(1))}
