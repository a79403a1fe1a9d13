"""What an exporter promises."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import SkipTest

from df3d.mesh.files import read
from df3d.plugin.records import (
    ExporterPlugin,
)
from df3d.testing.contracts.contract import Contract
from df3d.testing.fakes import a_mesh, an_asset
from df3d.types import MeshAsset


class ExporterContract(Contract):
    kind = "exporter"

    def exercise(self, config: Any) -> None:
        with TemporaryDirectory() as folder:
            self.plugin.build(config).write(an_asset(self.plugin.takes), Path(folder, f"asset{self.plugin.suffixes[0]}"))

    @property
    def plugin(self) -> ExporterPlugin:
        return self.catalog.exporters.get(self.name)

    def test_it_writes_its_file_first_and_replaces_an_old_one(self, tmp_path: Path) -> None:
        plugin = self.plugin
        path = tmp_path / f"asset{plugin.suffixes[0]}"
        path.write_text("old")
        files = plugin.build(self.config).write(an_asset(plugin.takes), path)
        assert files[0] == path
        assert all(file.is_file() and file.stat().st_size > 0 for file in files)
        assert path.read_bytes() != b"old"
        assert sorted(files) == sorted(tmp_path.iterdir())
        allowed = {path.name, *(name.format(stem=path.stem) for name in plugin.side_files)}
        assert {file.name for file in files} <= allowed, "its record does not name a file that it writes"

    def test_what_it_writes_can_be_read_back(self, tmp_path: Path) -> None:
        plugin = self.plugin
        if not any(plugin.suffixes[0] in importer.suffixes for importer in self.catalog.importers):
            raise SkipTest(f"nothing reads {plugin.suffixes[0]} files")
        path, asset = tmp_path / f"asset{plugin.suffixes[0]}", an_asset(plugin.takes)
        plugin.build(self.config).write(asset, path)
        again = read(path, self.catalog)
        assert again.kind == asset.kind
        if isinstance(again, MeshAsset):
            assert len(again.mesh.faces) == len(a_mesh().mesh.faces)
