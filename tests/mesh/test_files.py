"""Which plugin reads a file and which writes one."""

from __future__ import annotations

from pathlib import Path

import pytest

from df3d.errors import ExportError, PluginError
from df3d.mesh.files import exporter_for, read
from df3d.plugin.catalog import Catalog


def test_what_cannot_be_read_or_written_is_said(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no exporter writes `.fbx` files"):
        exporter_for(Path("a.fbx"), catalog)
    with pytest.raises(ExportError, match="there is no file"):
        read(tmp_path / "a.glb", catalog)
    with pytest.raises(ExportError, match="is not a file that can be read"):
        read(tmp_path / "a.html", catalog)
    header = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    (tmp_path / "b.ply").write_text(header + "0 0 0\n")
    with pytest.raises(ExportError, match="holds no triangles|cannot be read"):
        read(tmp_path / "b.ply", catalog)
