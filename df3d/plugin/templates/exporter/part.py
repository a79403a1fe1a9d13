"""OFF: a line `OFF`, a line with the numbers of vertices and faces, then these."""

from pathlib import Path

from df3d_my_part.config import MyPartConfig

from df3d import MeshAsset
from df3d.system.files import replace_atomically


class MyPart:
    def __init__(self, config: MyPartConfig) -> None:
        self.config = config

    def write(self, asset: MeshAsset, path: Path) -> list[Path]:
        """The file is there whole or not at all."""
        mesh, digits = asset.mesh, self.config.digits
        lines = ["OFF", f"{len(mesh.vertices)} {len(mesh.faces)} 0"]
        lines += [" ".join(f"{number:.{digits}f}" for number in vertex) for vertex in mesh.vertices]
        lines += [" ".join(map(str, (3, *face))) for face in mesh.faces]
        replace_atomically(path, lambda temporary: temporary.write_text("\n".join(lines) + "\n", encoding="utf-8"))
        return [path]
