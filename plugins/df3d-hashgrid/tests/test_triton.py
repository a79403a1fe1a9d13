"""The Triton encoding: on a GPU where there is one, else in Triton's interpreter; and compiled for GPUs that are not here."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
import torch
from df3d_hashgrid.config import GridConfig
from df3d_hashgrid.encoding import make
from df3d_hashgrid.encoding.torch import TorchEncoding

from df3d.errors import PluginError

pytest.importorskip("triton")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
INTERPRETED = bool(os.environ.get("TRITON_INTERPRET"))  # Triton reads it when it is first imported
needs_kernels = pytest.mark.skipif(
    DEVICE == "cpu" and not INTERPRETED, reason="no GPU: run by test_everything_here_in_tritons_interpreter"
)


CONFIGS = [
    GridConfig(levels=4, log2_table=8, base=4, finest=64, backend="triton"),  # hashed levels
    GridConfig(levels=3, log2_table=16, base=4, finest=16, backend="triton"),  # dense levels
    GridConfig(levels=2, features=6, log2_table=10, base=8, finest=32, backend="triton"),  # not a power of two
]


@pytest.mark.skipif(DEVICE == "cuda" or INTERPRETED, reason="the kernels run in this process")
def test_everything_here_in_tritons_interpreter() -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout


@needs_kernels
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
        torch.testing.assert_close(result, expected, atol=1e-5 * float(expected.detach().abs().max()), rtol=0)


@needs_kernels
def test_no_points_are_no_trouble() -> None:
    encoding = make(CONFIGS[0], DEVICE)
    none = torch.empty(0, 3, device=DEVICE)
    assert encoding(none, 4).shape == (0, 8)
    assert encoding.gradient(none, torch.empty(0, 8, device=DEVICE), 4).shape == (0, 3)


@pytest.mark.skipif(INTERPRETED, reason="allowed in the interpreter")
def test_without_a_gpu_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(PluginError, match="works on a GPU only"):
        make(CONFIGS[0], "cpu")


@pytest.mark.skipif(INTERPRETED, reason="the interpreter does not compile")
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
