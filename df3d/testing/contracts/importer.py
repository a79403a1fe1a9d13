"""What an importer promises."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import SkipTest

from df3d.errors import Df3dError
from df3d.plugin.records import (
    ImporterPlugin,
)
from df3d.protocols import Importer
from df3d.testing.contracts.contract import Contract
from df3d.testing.fakes import an_asset
from df3d.types import Asset


class ImporterContract(Contract):
    """Give `write(path)` where no installed exporter writes what it reads."""

    kind = "importer"

    def exercise(self, config: Any) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder, f"asset{self.plugin.suffixes[0]}")
            self.write(path)
            self.plugin.build(config).read(path)

    @property
    def plugin(self) -> ImporterPlugin:
        return self.catalog.importers.get(self.name)

    def write(self, path: Path) -> None:
        """A file that it can read, by an exporter for the same name."""
        for exporter in self.catalog.exporters:
            if path.suffix in exporter.suffixes:
                exporter.build(exporter.config()).write(an_asset(exporter.takes), path)
                if not self.plugin.recognises or self.plugin.ask("recognises", path):
                    return
        raise SkipTest(f"no exporter writes {path.suffix} files for it")

    def test_it_reads_its_files(self, tmp_path: Path) -> None:
        path = tmp_path / f"asset{self.plugin.suffixes[0]}"
        self.write(path)
        asset = self.plugin.build(self.config).read(path)
        assert isinstance(asset, Asset)
        assert asset.kind

    def test_rubbish_is_refused_with_a_hint(self, tmp_path: Path) -> None:
        for content in (b"", b"\xff\x00rubbish" * 20):
            path = tmp_path / f"rubbish{self.plugin.suffixes[0]}"
            path.write_bytes(content)
            refusal = _refusal(self.plugin.build(self.config), path)
            assert refusal is not None, "it read rubbish"
            assert str(path) in refusal.message
            assert refusal.hint


def _refusal(importer: Importer, path: Path) -> Df3dError | None:
    try:
        importer.read(path)
    except Df3dError as error:
        return error
    return None
