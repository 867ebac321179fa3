"""Choice of the backend: Numba on a CPU, Triton on CUDA, and the reference elsewhere.

This module finds the backends, and falls back if one does not work.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor

from harmonium.kernels import reference
from harmonium.rng import Lane, Stream

_COMPILED_DTYPES = (torch.float32, torch.float64)

# False after the compiler has failed once; it would fail for the same reason again.
_triton_works = True

# The backend for the CPU; chosen when it is first needed.
_cpu: ModuleType | None = None


def of(states: Tensor, *by_column: Tensor) -> ModuleType:
    """The compiled kernels on CPU if they support these states, else the reference.

    Refuses shapes that do not fit together, before a compiled loop reads out of bounds.
    """
    if states.dim() != 2:
        raise ValueError(f"a draw fills rows and columns, not shape {tuple(states.shape)}")
    if by_column:
        check_columns(states.shape[1], *by_column)
    if states.is_cpu and _can_be_compiled(states):
        return _cpu or _find_cpu()
    return reference


def known() -> ModuleType:
    """The backend for the CPU; the reference until another has been needed."""
    return _cpu or reference


def check_columns(n: int, *by_column: Tensor) -> None:
    """Refuse parameters that do not have one value for each of ``n`` columns."""
    for parameter in by_column:
        if parameter.shape != (n,):
            raise ValueError(
                f"inputs have {n} columns, but the units' parameters have shape "
                f"{tuple(parameter.shape)}; pass one parameter for each column"
            )


def _find_cpu() -> ModuleType:
    """Numba's kernels if the smallest one compiles and runs, else the reference; tried once."""
    global _cpu
    try:
        from harmonium.kernels import cpu

        cpu.binary_(torch.zeros(1, 1), torch.zeros(1), Lane.FIRST_DRAW.stream(0))
        _cpu = cpu
    except Exception as error:  # anything that an import, a compiler or a full disk can raise
        _cpu = reference
        _do_without(
            "Numba", "draws and products on CPU", error, "A Numba that fits this Python and NumPy"
        )
    return _cpu


def _do_without(compiler: str, what: str, error: Exception, remedy: str) -> None:
    reason = next(iter(str(error).splitlines()), "")
    warnings.warn(
        f"{compiler}'s kernels do not work here ({type(error).__name__}: {reason}); {what} go "
        "through torch's operations from now on: the same bits, but slower. "
        f"{remedy} would help",
        RuntimeWarning,
        stacklevel=5,
    )


def _can_be_compiled(states: Tensor) -> bool:
    return states.dtype in _COMPILED_DTYPES and states.is_contiguous()


def _are_for_triton(states: Tensor, *by_column: Tensor) -> bool:
    return (
        states.is_cuda
        and _can_be_compiled(states)
        and all(parameter.device == states.device for parameter in by_column)
    )


def draw(
    name: str, states: Tensor, by_column: tuple[Tensor, ...], *arguments: int | Stream
) -> Tensor:
    """Overwrite the states with the fastest backend that works; on CUDA mostly Triton."""
    global _triton_works
    backend, stream = of(states, *by_column), arguments[-1]
    assert isinstance(stream, Stream)
    # Triton's kernels number the rows from 0
    if _triton_works and not stream.first_row and _are_for_triton(states, *by_column):
        position = stream.position
        try:
            from harmonium.kernels import cuda  # imports Triton, which may be missing

            kernel = getattr(cuda, name, None)  # some draws are left to torch's operations
            if kernel is not None:
                kernel(states, *by_column, *arguments)
                return states
        except Exception as error:  # anything that an import, a compiler or a driver can raise
            _triton_works = False
            _do_without(
                "Triton", "draws on CUDA", error, "A Triton that fits this torch, and a compiler,"
            )
            stream.position = position
    getattr(backend, name)(states, *by_column, *arguments)
    return states


def when_compiling(tell: Callable[[], None]) -> None:
    """Call ``tell`` once if, from now on, a kernel for the CPU has to be compiled.

    Compilation takes up to half a minute and happens once: compiled kernels are cached on disk.
    """
    try:
        from harmonium.kernels import cpu
    except Exception:  # reported as a warning when the kernels are needed
        return
    cpu.when_compiling(tell)
