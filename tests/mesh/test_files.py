"""Which plugin reads a file and which writes one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from assets import write

from df3d import ExporterPlugin, ImporterPlugin, hookimpl
from df3d.errors import ExportError, PluginError
from df3d.mesh.files import _importer, exporter_for, read, readable
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


def test_endings_are_known_in_any_case(catalog: Catalog, tmp_path: Path) -> None:
    path = write(tmp_path / "a.glb", catalog).rename(tmp_path / "A.GLB")
    assert read(path, catalog).kind == "mesh"
    assert exporter_for(Path("A.GLB"), catalog).name == "glb"
    assert readable(catalog) == sorted(set(readable(catalog)))
    with pytest.raises(PluginError, match="no exporter writes `noending` files") as error:
        exporter_for(Path("noending"), catalog)
    assert ".glb" in error.value.hint


class Readers:
    """Three of one ending: one that recognises what is there, one nothing, and, between them, one that reads all."""

    @hookimpl
    def df3d_importers(self) -> Iterator[ImporterPlugin]:
        given = {"target": "nowhere:Reader", "summary": "Reads", "suffixes": (".xyz",)}
        yield ImporterPlugin(name="none", recognises="os.path:islink", **given)  # type: ignore[arg-type]
        yield ImporterPlugin(name="all", **given)  # type: ignore[arg-type]
        yield ImporterPlugin(name="some", recognises="os.path:isfile", **given)  # type: ignore[arg-type]
        yield ImporterPlugin(name="folders", recognises="os.path:isdir", **{**given, "suffixes": (".abc",)})  # type: ignore[arg-type]

    @hookimpl
    def df3d_exporters(self) -> Iterator[ExporterPlugin]:
        given = {"target": "nowhere:Writer", "summary": "Writes", "suffixes": (".xyz",)}
        yield ExporterPlugin(name="meshes", **given)  # type: ignore[arg-type]
        yield ExporterPlugin(name="clouds", takes=frozenset({"gaussians"}), **given)  # type: ignore[arg-type]


@pytest.fixture
def several() -> Catalog:
    catalog = Catalog.discover()
    catalog.add(Readers())
    return catalog


def test_an_importer_that_recognises_a_file_goes_before_one_that_reads_all(several: Catalog, tmp_path: Path) -> None:
    (tmp_path / "a.xyz").touch()
    assert _importer(tmp_path / "a.xyz", several).name == "some"
    assert _importer(tmp_path / "gone.xyz", several).name == "all"
    assert _importer(tmp_path / "gone.XYZ", several).name == "all"


def test_a_file_that_no_importer_recognises_is_said_with_those_that_were_asked(several: Catalog, tmp_path: Path) -> None:
    (tmp_path / "a.abc").touch()
    with pytest.raises(ExportError, match="no importer recognises") as error:
        read(tmp_path / "a.abc", several)
    assert "folders" in error.value.hint


def test_of_several_exporters_the_one_that_takes_the_asset_writes_it(several: Catalog) -> None:
    assert exporter_for(Path("a.xyz"), several).name == "meshes"
    assert exporter_for(Path("a.xyz"), several, {"gaussians"}).name == "clouds"
    assert exporter_for(Path("a.xyz"), several, {"mesh", "voxels"}).name == "meshes"
    assert exporter_for(Path("a.xyz"), several, {"voxels"}).name == "meshes"
