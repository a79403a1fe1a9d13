"""USDZ: one mesh with a UsdPreviewSurface, packed with its texture. Needs usd-core, which is imported here alone."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from df3d import NoConfig
from df3d.errors import PluginError
from df3d.mesh.finished import as_floats
from df3d.mesh.srgb import linear_colors, to_linear
from df3d.system.files import replace_atomically
from df3d.types import MeshAsset
from df3d_mesh.writing.trimeshes import check_simple, texture_image


class UsdzExporter:
    """Raises PluginError when usd-core is not installed."""

    def __init__(self, config: NoConfig) -> None:
        try:
            import pxr  # noqa: F401
        except ImportError:
            raise PluginError("USDZ needs usd-core, which is not installed", "python -m pip install usd-core") from None

    def write(self, asset: MeshAsset, path: Path) -> list[Path]:
        check_simple(asset, "USDZ")
        from pxr import Sdf, UsdUtils

        with tempfile.TemporaryDirectory() as folder:
            texture = Path(folder) / "albedo.png"
            texture_image(asset.material).save(texture)
            layer = Path(folder) / "asset.usdc"
            _stage(asset, layer, texture.name)
            packed = Path(folder) / "asset.usdz"
            if not UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(layer)), str(packed)):
                raise PluginError("usd-core could not pack the USDZ", "export a .glb instead")
            data = packed.read_bytes()
        replace_atomically(path, lambda temporary: temporary.write_bytes(data))
        return [path]


def _stage(asset: MeshAsset, path: Path, texture: str) -> None:
    from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, Vt

    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y if asset.up == "y" else UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    root = UsdGeom.Xform.Define(stage, "/asset")
    stage.SetDefaultPrim(root.GetPrim())
    mesh = UsdGeom.Mesh.Define(stage, "/asset/mesh")
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(asset.mesh.vertices))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(asset.mesh.faces), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(asset.mesh.faces.astype(np.int32).ravel()))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateDoubleSidedAttr(True)
    if asset.mesh.normals is not None:
        mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(asset.mesh.normals))
        mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    material = UsdShade.Material.Define(stage, "/asset/material")
    surface = UsdShade.Shader.Define(stage, "/asset/material/surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("metallic", Sdf.ValueTypeNames.Float).Set(asset.material.metallic)
    surface.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(asset.material.roughness)
    color = surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f)
    if asset.mesh.uvs is None:
        color.Set(Gf.Vec3f(*to_linear(as_floats(asset.material.base_color).mean((0, 1))).tolist()))
        if asset.mesh.colors is not None:
            tint = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("displayColor", Sdf.ValueTypeNames.Color3fArray, UsdGeom.Tokens.vertex)
            tint.Set(Vt.Vec3fArray.FromNumpy(linear_colors(asset.mesh.colors)))
            reader = UsdShade.Shader.Define(stage, "/asset/material/colors")
            reader.CreateIdAttr("UsdPrimvarReader_float3")
            reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("displayColor")
            color.ConnectToSource(reader.CreateOutput("result", Sdf.ValueTypeNames.Float3))
    else:
        uvs = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex)
        uvs.Set(Vt.Vec2fArray.FromNumpy(asset.mesh.uvs))
        reader = UsdShade.Shader.Define(stage, "/asset/material/uv")
        reader.CreateIdAttr("UsdPrimvarReader_float2")
        reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("st")
        sampler = UsdShade.Shader.Define(stage, "/asset/material/albedo")
        sampler.CreateIdAttr("UsdUVTexture")
        sampler.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(texture)
        sampler.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token).Set("sRGB")
        coordinates = reader.CreateOutput("result", Sdf.ValueTypeNames.Float2)
        sampler.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(coordinates)
        color.ConnectToSource(sampler.CreateOutput("rgb", Sdf.ValueTypeNames.Float3))
    material.CreateSurfaceOutput().ConnectToSource(surface.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
    stage.GetRootLayer().Save()
