"""What every importer promises."""

from pathlib import Path

from df3d.testing import ImporterContract


class TestMyPart(ImporterContract):
    name = "my-part"

    def write(self, path: Path) -> None:
        path.write_text("OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n")
