"""What the hot loop lives on: fused draws, sweeps, products that skip zeros, the gradient.

Each draw is defined, bit for bit, by the torch code in `reference`; a fast backend reproduces
it and may differ only where a uniform number lies within rounding of the probability. The
functions ending in ``_`` overwrite ``inputs``, shape (rows, columns), with the drawn states.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harmonium.kernels import reference
from harmonium.rng import Purpose, Stream

if TYPE_CHECKING:
    from harmonium.kernels.cpu import Followed

__all__ = [
    "binary_",
    "binary_layer",
    "categorical_",
    "centred_gradient_",
    "followed",
    "gaussian_",
    "log_sums_of_products",
    "moments_",
    "normal",
    "permutation",
    "product",
    "reweigh_binary_",
    "softplus_gradient",
    "softplus_sums",
    "spin_",
    "sweeps_",
    "uniform",
    "when_compiling",
]

_COMPILED_DTYPES = (torch.float32, torch.float64)

# Until a compiler has failed once; whatever the reason, it would be the same the next time.
_triton_works = True

# The backend for the CPU; not known before somebody needs it.
_cpu: ModuleType | None = None


def _backend(states: Tensor, *by_column: Tensor) -> ModuleType:
    """The compiled kernels on CPU, where they can take these states, else the reference.

    Refuses what does not fit together, before a compiled loop reads beyond the end of it.
    """
    if states.dim() != 2:
        raise ValueError(f"a draw fills rows and columns, not shape {tuple(states.shape)}")
    if by_column:
        _check_columns(states.shape[1], *by_column)
    if states.is_cpu and _can_be_compiled(states):
        return _cpu or _find_cpu()
    return reference


def _check_columns(n: int, *by_column: Tensor) -> None:
    for parameter in by_column:
        if parameter.shape != (n,):
            raise ValueError(
                f"inputs have {n} columns, but the units' parameters have shape "
                f"{tuple(parameter.shape)}; pass one parameter for each column"
            )


def _find_cpu() -> ModuleType:
    """Numba's kernels if the smallest compiles and runs, else the reference; tried once."""
    global _cpu
    try:
        from harmonium.kernels import cpu

        cpu.binary_(torch.zeros(1, 1), torch.zeros(1), Stream(0, Purpose.INIT))
        _cpu = cpu
    except Exception as error:  # whatever an import, a compiler or a full disk can raise
        _cpu = reference
        _do_without(
            "Numba", "draws and products on CPU", error, "A Numba that fits this Python and NumPy"
        )
    return _cpu


def when_compiling(tell: Callable[[], None]) -> None:
    """Call ``tell`` once, if a kernel for the CPU has to be compiled from now on.

    That takes up to half a minute and happens once: compiled kernels are kept on disk.
    """
    try:
        from harmonium.kernels import cpu
    except Exception:  # told as a warning, by whoever needs them
        return
    cpu.when_compiling(tell)


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


def _draw(
    name: str, states: Tensor, by_column: tuple[Tensor, ...], *arguments: int | Stream
) -> Tensor:
    """Overwrite the states by the fastest backend that works: on CUDA that is Triton's."""
    global _triton_works
    backend = _backend(states, *by_column)
    if _triton_works and _are_for_triton(states, *by_column):
        stream = arguments[-1]
        assert isinstance(stream, Stream)
        position = stream.position
        try:
            from harmonium.kernels import cuda  # and Triton, which not everybody has

            getattr(cuda, name)(states, *by_column, *arguments)
        except Exception as error:  # whatever an import, a compiler or a driver can raise
            _triton_works = False
            _do_without(
                "Triton", "draws on CUDA", error, "A Triton that fits this torch, and a compiler,"
            )
            stream.position = position
        else:
            return states
    getattr(backend, name)(states, *by_column, *arguments)
    return states


def binary_(inputs: Tensor, bias: Tensor, stream: Stream) -> Tensor:
    """Overwrite ``inputs`` with states in {0, 1}: 1 with probability sigmoid(inputs + bias)."""
    return _draw("binary_", inputs, (bias,), stream)


def spin_(inputs: Tensor, bias: Tensor, stream: Stream) -> Tensor:
    """Overwrite ``inputs`` with states in {-1, 1}: 1 with chance sigmoid(2 (inputs + bias))."""
    return _draw("spin_", inputs, (bias,), stream)


def gaussian_(inputs: Tensor, bias: Tensor, precision: Tensor, stream: Stream) -> Tensor:
    """Overwrite ``inputs`` with normal states of mean (inputs + bias) / precision, Box-Muller."""
    return _draw("gaussian_", inputs, (bias, precision), stream)


def categorical_(inputs: Tensor, bias: Tensor, n_categories: int, stream: Stream) -> Tensor:
    """Overwrite ``inputs`` with one-hot groups of ``n_categories`` columns, by inverse CDF."""
    return _draw("categorical_", inputs, (bias,), n_categories, stream)


def reweigh_binary_(
    inputs: Tensor,
    before: tuple[float, Tensor],
    now: tuple[float, Tensor],
    log_weights: Tensor,
    stream: Stream | None = None,
) -> Tensor:
    """Weigh a step of annealing by the log-normaliser of binary units, and draw them at its end.

    Each row's log weight grows by the sum over columns of log(1 + exp(scale inputs + bias)) now
    minus that before. The draw is that of `binary_` with inputs ``scale * inputs``.

    Parameters
    ----------
    inputs
        Shape (rows, columns), overwritten by the draw.
    before, now
        Scale of the inputs, an inverse temperature, and biases of shape (columns,).
    log_weights
        Float64, shape (rows,), added to.
    stream
        Random numbers; None draws nothing, and leaves the inputs.
    """
    for _, bias in (before, now):
        _check_columns(inputs.shape[-1], bias)
    if log_weights.shape != inputs.shape[:1] or log_weights.dtype != torch.float64:
        raise ValueError(
            f"log_weights are {log_weights.dtype} of shape {tuple(log_weights.shape)}; pass "
            f"float64, one for each of {len(inputs)} rows"
        )
    backend = _backend(inputs, before[1], now[1])
    alike = inputs.dtype == before[1].dtype == now[1].dtype == torch.float32
    if backend is not reference and alike and log_weights.is_contiguous():
        backend.reweigh_binary_(inputs, before, now, log_weights, stream)
        return inputs
    reference.reweigh_binary_(inputs, before, now, log_weights, stream)
    return inputs if stream is None else binary_(inputs.mul_(now[0]), now[1], stream)


def followed(v: Tensor, weights: Tensor, lows: tuple[int, int]) -> Followed | None:
    """Chains between layers of two-valued units whose inputs follow the units that flip.

    For annealing: a temperature changes what inputs are multiplied by, and not the inputs. The
    weights are rounded to 16 bits, which moves energies by 0.1 nats at the most; whoever needs the
    model itself corrects both ends of the path (`likelihood.path`).

    Parameters
    ----------
    v
        Visible states, shape (chains, n_visible), which are left alone.
    weights
        Shape (n_visible, n_hidden).
    lows
        Lower states of visible and of hidden units, 0 or -1; the upper ones are 1.

    Returns
    -------
    Followed or None
        None where there is nothing to follow (another dtype or device, few weights, weights that
        16 bits do not hold well enough).
    """
    if v.dim() != 2 or weights.dim() != 2 or v.shape[1] != weights.shape[0]:
        raise ValueError(
            f"visible states of shape {tuple(v.shape)} do not fit weights of shape "
            f"{tuple(weights.shape)}"
        )
    if _backend(v) is reference or not weights.is_cpu:
        return None
    from harmonium.kernels import cpu

    return cpu.followed(v, weights, lows)


def log_sums_of_products(
    log_weights: Tensor, low: Tensor, mid: Tensor, high: Tensor, ends: Tensor, groups: Tensor
) -> Tensor:
    """Log of weighted sums over states of products over units, each of which sums over its terms.

    That is log of the sum over states a of exp(log_weights[m, a]) times the product over units of
    1 + sum over the unit's terms t of low[t, a] mid[m, t] high[t], for each row m. So exponentials
    of inputs, which are sums, are products of a few exponentials that many states share.

    Parameters
    ----------
    log_weights
        Finite, float64 of shape (rows, states).
    low, mid, high
        Positive, float64 of shapes (terms, states), (rows, terms) and (terms,).
    ends
        Where the terms of each unit begin and end, int64 of shape (units + 1,), from 0.
    groups
        Where groups of units begin and end, int64, from 0 to the number of units. The products over
        the units of a group stay within the range of float64; and all its units have one term, or
        all several.

    Returns
    -------
    Tensor
        Shape (rows,).
    """
    shapes = {"low": (len(high), log_weights.shape[1]), "mid": (len(log_weights), len(high))}
    for name, x in (("low", low), ("mid", mid)):
        if x.shape != shapes[name]:
            raise ValueError(f"{name} has shape {tuple(x.shape)}; pass {shapes[name]}")
    if len(ends) == 0 or int(ends[-1]) != len(high) or int(groups[-1]) != len(ends) - 1:
        raise ValueError(
            f"ends end at {ends[-1:].tolist()} and groups at {groups[-1:].tolist()}; pass the "
            f"number of terms, {len(high)}, and that of units, {len(ends) - 1}"
        )
    alike = all(x.is_cpu and x.dtype == torch.float64 for x in (log_weights, low, mid, high))
    backend: Any = _backend(log_weights.contiguous()) if alike else reference
    sums: Tensor = backend.log_sums_of_products(log_weights, low, mid, high, ends, groups)
    return sums


def softplus_sums(inputs: Tensor, offsets: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Sums over columns of log(1 + exp(inputs + offset)), for each row and each offset.

    They are minus the free energies of binary units, as far as inputs and offsets tell them.

    Parameters
    ----------
    inputs
        Shape (rows, columns). One of minus infinity adds nothing.
    offsets
        Shape (n, columns).
    dtype
        Of the result; that of the inputs if None. Float64 keeps the digits in which large sums
        differ.

    Returns
    -------
    Tensor
        Shape (rows, n).
    """
    backend = _softplus_backend(inputs, offsets)
    sums: Tensor = backend.softplus_sums(inputs, offsets, dtype)
    return sums


def softplus_gradient(inputs: Tensor, offsets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The derivatives of the sum of ``weights * softplus_sums(inputs, offsets)``.

    Parameters
    ----------
    inputs, offsets
        As for `softplus_sums`.
    weights
        Shape (rows, n).

    Returns
    -------
    tuple of Tensor
        By the inputs and by the offsets, of their shapes.
    """
    if weights.shape != (inputs.shape[0], offsets.shape[0]):
        raise ValueError(
            f"weights have shape {tuple(weights.shape)}; pass one for each of {len(inputs)} rows "
            f"and {len(offsets)} offsets"
        )
    backend = _softplus_backend(inputs, offsets, weights)
    by_inputs, by_offsets = backend.softplus_gradient(inputs, offsets, weights)
    return by_inputs, by_offsets


def _softplus_backend(inputs: Tensor, offsets: Tensor, *others: Tensor) -> Any:
    if offsets.dim() != 2:
        raise ValueError(f"offsets have shape {tuple(offsets.shape)}; pass one in each row")
    backend = _backend(inputs, *offsets[:1])
    alike = all(x.is_cpu and x.dtype == inputs.dtype for x in (offsets, *others))
    return backend if alike else reference


def sweeps_(
    chains: tuple[Tensor, Tensor],
    weights: Tensor,
    visible: tuple[Tensor, int],
    hidden: tuple[Tensor, int],
    n: int,
    stream: Stream,
    *,
    ends: bool = False,
) -> bool:
    """Make Gibbs sweeps of two-valued units by following the units that flip, where that pays.

    Between two sweeps of a trained model few units change. Inputs are then brought up to date by
    adding and subtracting the weights of those units. Draws take the same bits as those of sweeps
    by products, and differ only where a uniform number lies within rounding of the probability.

    Parameters
    ----------
    chains
        Visible and hidden states, shapes (rows, n_visible) and (rows, n_hidden), overwritten.
        The first sweep starts from the hidden ones.
    weights
        Shape (n_visible, n_hidden).
    visible, hidden
        Each layer's biases and its lower state, 0 or -1; the upper one is 1.
    n
        Sweeps h -> v -> h, two draws each.
    stream
        Random numbers.
    ends
        Whether nobody reads the last hidden states, so that they need not be drawn.

    Returns
    -------
    bool
        Whether the sweeps were made. False if products are faster, or if there is nothing to
        follow (another dtype or device, weights that are not finite, hidden values that are no
        states): then nothing was changed and no draw was taken.
    """
    v, h = chains
    if weights.shape != (v.shape[1], h.shape[1]) or v.shape[0] != h.shape[0]:
        raise ValueError(
            f"visible states of shape {tuple(v.shape)} and hidden states of shape "
            f"{tuple(h.shape)} do not fit weights of shape {tuple(weights.shape)}"
        )
    backend = _backend(v, visible[0])
    if backend is reference or _backend(h, hidden[0]) is reference:
        return False
    return bool(backend.sweeps_(chains, weights, visible, hidden, n, stream, ends))


def product(states: Tensor, weights: Tensor, out: Tensor | None = None) -> Tensor:
    """``states @ weights``, which skips zeros where most states are zero; into ``out``, if given.

    The sum is the same up to rounding, and so is the order of its terms on any number of threads
    wherever zeros are skipped.
    """
    if states.dim() != 2:
        raise ValueError(f"states have shape {tuple(states.shape)}; pass a table of rows")
    if out is None:
        out = states.new_empty(states.shape[0], weights.shape[1])
    if states.shape[1] != weights.shape[0] or out.shape != (states.shape[0], weights.shape[1]):
        raise ValueError(
            f"states of shape {tuple(states.shape)} times weights of shape {tuple(weights.shape)} "
            f"do not fit into shape {tuple(out.shape)}"
        )
    backend = _backend(states) if states.dtype == weights.dtype == out.dtype else reference
    backend.product(states, weights, out)
    return out


def binary_layer(
    states: Tensor,
    weights: Tensor,
    bias: Tensor,
    out: Tensor | None = None,
    stream: Stream | None = None,
) -> Tensor:
    """Means of a layer of binary units given the other layer; with a stream also a draw.

    The draw is that of `binary_` with inputs ``states @ weights``.

    Parameters
    ----------
    states
        Of the other layer, shape (rows, n).
    weights, bias
        Shapes (n, columns) and (columns,).
    out
        Overwritten with the draw, shape (rows, columns).
    stream
        Random numbers; None draws nothing. Goes together with ``out``.

    Returns
    -------
    Tensor
        sigmoid(states @ weights + bias), new memory of shape (rows, columns).
    """
    if states.dim() != 2 or states.shape[1] != weights.shape[0]:
        raise ValueError(
            f"states have shape {tuple(states.shape)}; pass rows of {weights.shape[0]} columns"
        )
    shape = (states.shape[0], weights.shape[1])
    if (out is None) != (stream is None) or (out is not None and out.shape != shape):
        raise ValueError(
            f"a draw needs a stream and memory of shape {shape}; pass both, or neither"
        )
    _check_columns(shape[1], bias)
    backend = _backend(states)
    if (
        backend is not reference
        and states.dtype == weights.dtype == bias.dtype
        and weights.is_cpu
        and bias.is_cpu
        and (out is None or (out.dtype == states.dtype and out.is_contiguous()))
    ):
        means: Tensor = backend.binary_layer(states, weights, bias, out, stream)
        return means
    inputs = product(states, weights)
    mean = torch.sigmoid(inputs + bias)
    if out is not None and stream is not None:
        binary_(out.copy_(inputs), bias, stream)
    return mean


def moments_(
    out: Tensor, data: tuple[Tensor, Tensor], chains: tuple[Tensor, Tensor], scale: float = 1.0
) -> Tensor:
    """Overwrite ``out`` with ``scale`` times mean v h of the chains minus that of the data.

    Parameters
    ----------
    out
        Shape (n_visible, n_hidden).
    data, chains
        Visible and hidden rows, shapes (rows, n_visible) and (rows, n_hidden).
    scale
        Of the result.
    """
    _check_moments(out, data, chains)
    _backend(out).moments_(out, data, chains, scale)
    return out


def centred_gradient_(
    out: Tensor,
    data: tuple[Tensor, Tensor],
    chains: tuple[Tensor, Tensor],
    biases: tuple[Tensor, Tensor],
    offsets: tuple[Tensor, Tensor],
    rate: float,
    scale: float = 1.0,
) -> None:
    """Overwrite a gradient by weights and biases with that of units minus their offsets.

    Parameters
    ----------
    out, data, chains, scale
        As for `moments_`.
    biases
        Gradient by the visible and by the hidden biases, overwritten.
    offsets
        Of the visible and of the hidden units; first moved by ``rate`` towards the data's means.
    """
    _check_moments(out, data, chains)
    rows, columns = out.shape
    for pair in (biases, offsets):
        if [x.shape for x in pair] != [(rows,), (columns,)]:
            raise ValueError(
                f"weights have shape {(rows, columns)}, and biases or offsets "
                f"{' and '.join(str(tuple(x.shape)) for x in pair)}; pass one for each row and one "
                "for each column"
            )
    backend = _backend(out)
    tensors = (*data, *chains, *biases, *offsets)
    if any(x.dtype != out.dtype for x in tensors) or not all(
        x.is_contiguous() for x in (*biases, *offsets)
    ):
        backend = reference
    backend.centred_gradient_(out, data, chains, biases, offsets, rate, scale)


def _check_moments(out: Tensor, data: tuple[Tensor, Tensor], chains: tuple[Tensor, Tensor]) -> None:
    for v, h in (data, chains):
        if v.shape[0] != h.shape[0] or out.shape != (v.shape[1], h.shape[1]):
            raise ValueError(
                f"visible rows of shape {tuple(v.shape)} and hidden rows of shape "
                f"{tuple(h.shape)} do not make moments of shape {tuple(out.shape)}"
            )


def uniform(
    shape: tuple[int, int],
    stream: Stream,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Uniform numbers in the open interval (0, 1), shape (rows, columns); one draw."""
    out = torch.empty(shape, device=device, dtype=dtype)
    return _draw("uniform_", out, (), stream)


def normal(
    shape: tuple[int, int],
    stream: Stream,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Standard normal numbers, shape (rows, columns); one draw."""
    out = torch.zeros(shape, device=device, dtype=dtype)
    zeros = torch.zeros(shape[1], device=device, dtype=dtype)
    return gaussian_(out, zeros, torch.ones_like(zeros), stream)


def permutation(n: int, stream: Stream) -> Tensor:
    """A random order of ``n`` rows, int64, shape (n,): the argsort of 62-bit keys; one draw."""
    # the same bits, without compiling anything for them
    if _cpu is None or _cpu is reference:
        words = reference.words(1, 2 * n, stream, torch.device("cpu"))[0]
    else:
        words = _cpu.words(2 * n, stream)
    keys = ((words[:n] >> 1) << 31) | (words[n:] >> 1)
    return torch.argsort(keys, stable=True)
