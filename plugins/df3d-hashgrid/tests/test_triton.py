"""The Triton encoding: on a GPU where there is one, else in Triton's interpreter; and compiled for GPUs that are not here."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"  # read when the kernels are defined

pytest.importorskip("triton")
from df3d_hashgrid.config import GridConfig  # noqa: E402
from df3d_hashgrid.encoding import make  # noqa: E402
from df3d_hashgrid.encoding.torch import TorchEncoding  # noqa: E402

from df3d.errors import PluginError  # noqa: E402

CONFIGS = [
    GridConfig(levels=4, log2_table=8, base=4, finest=64, backend="triton"),  # hashed levels
    GridConfig(levels=3, log2_table=16, base=4, finest=16, backend="triton"),  # dense levels
    GridConfig(levels=2, features=6, log2_table=10, base=8, finest=32, backend="triton"),  # not a power of two
]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("levels", [1, 2])
def test_triton_equals_torch_in_values_and_gradients(config: GridConfig, levels: int) -> None:
    torch.manual_seed(0)
    plain, fast = TorchEncoding(config).to(DEVICE), make(config, DEVICE)
    plain.table.data.normal_()
    fast.table.data.copy_(plain.table.data)
    points = torch.cat([torch.rand(297, 3), torch.tensor([[0.0, 0, 0], [1, 1, 1], [1, 0, 0.5]])]).to(DEVICE)
    given, direction = torch.randn(len(points), config.levels * config.features), torch.randn(len(points), 3)
    found = []
    for encoding in (plain, fast):
        cotangent = given.to(DEVICE).requires_grad_()
        features = encoding(points, levels)
        slope = encoding.gradient(points, cotangent, levels)
        found.append([
            features, *torch.autograd.grad((features * cotangent.detach()).sum(), encoding.table), slope,
            *torch.autograd.grad((slope * direction.to(DEVICE)).sum(), [cotangent, encoding.table]),
        ])  # fmt: skip
    for expected, result in zip(*found, strict=True):
        assert expected.abs().max() > 0
        torch.testing.assert_close(result, expected, atol=1e-5 * float(expected.abs().max()), rtol=0)


def test_no_points_are_no_trouble() -> None:
    encoding = make(CONFIGS[0], DEVICE)
    none = torch.empty(0, 3, device=DEVICE)
    assert encoding(none, 4).shape == (0, 8)
    assert encoding.gradient(none, torch.empty(0, 8, device=DEVICE), 4).shape == (0, 3)


def test_without_a_gpu_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(PluginError, match="works on a GPU only"):
        make(CONFIGS[0], "cpu")


def test_the_kernels_compile_for_gpus_that_are_not_here() -> None:
    """To machine code, for an RTX 30 and an H100: what the interpreter lets pass and a compiler does not."""
    script = """
        import triton
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource
        from df3d_hashgrid.encoding import triton as kernels

        constants = {"F": 2, "FP": 2, "BLOCK": kernels.BLOCK}
        integers = ("count", "width", "levels")
        for name in ("_forward", "_backward", "_gradient", "_gradient_backward"):
            kernel = getattr(kernels, name)
            kinds = {a: "constexpr" if a in constants else "i32" if a in integers else "*i32" if a == "info" else "*fp32"
                     for a in kernel.arg_names}
            values = {(kernel.arg_names.index(a),): value for a, value in constants.items()}
            source = ASTSource(fn=kernel, signature=kinds, constexprs=values)
            for architecture in (86, 90):
                assert triton.compile(source, target=GPUTarget("cuda", architecture, 32)).asm["cubin"]
        print("compiled")
    """
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.stdout == "compiled\n", done.stderr
