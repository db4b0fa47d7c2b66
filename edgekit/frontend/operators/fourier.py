"""Fourier transforms of sizes that are known: products with matrices of waves, of frames one convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.errors import UsageError
from edgekit.frontend import scope
from edgekit.frontend.builder import Builder
from edgekit.frontend.node import Complex, Node
from edgekit.frontend.operators import complex_numbers as cn
from edgekit.frontend.operators.elementwise import Converter, as_float
from edgekit.frontend.operators.moving import cut, movedim, pad, roll, shaped, stack
from edgekit.frontend.refusals import at
from edgekit.ir.reference import FROM_FREQUENCIES, TO_FREQUENCIES

MOST = 1 << 26  # numbers of one matrix
LEAST_ENVELOPE = 1e-11  # torch's own limit for what windows add up to
_KEPT = 64  # matrices, so that layers of one size share theirs


@lru_cache(_KEPT)
def _waves(rows: int, columns: int, n: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """cos and sin of 2 pi * row * column / n."""
    if rows * columns > MOST:
        raise UsageError(
            at(
                scope.line(),
                f"forward() transforms {n} values into frequencies, which takes {rows * columns:,} weights",
            ),
            "transform shorter pieces, as torch.stft does",
        )
    places = torch.outer(torch.arange(rows), torch.arange(columns)) % n
    angles = places.double() * (2 * math.pi / n)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def _scale(norm: str | None, n: int, inverse: bool) -> float:
    if norm == "ortho":
        return 1 / math.sqrt(n)
    return 1 / n if (norm == "forward") != inverse else 1.0


def _parts(b: Builder, name: str, x: Node) -> list[Node]:
    return [x.real, x.imag] if isinstance(x, Complex) else [as_float(b, name, x)]


def _product(
    b: Builder, name: str, parts: Sequence[Node], weights: Sequence[Tensor], dim: int, size: int, way: str
) -> Node:
    """The sum of each part's product with its weights (rows, size) along an axis, of which `size` are read."""
    rows = [movedim(b, f"{name}/last", cut(b, f"{name}/read", part, dim, 0, size), dim, -1) for part in parts]
    x = rows[0] if len(rows) == 1 else b.emit(f"{name}/both", "cat", rows, dim=rows[0].rank - 1)
    y = _with_waves(b, f"{name}/product", x, _beside(*weights[: len(rows)]), way)
    found: Node = movedim(b, name, y, -1, dim)
    return found


def _with_waves(b: Builder, name: str, x: Node, weight: Tensor, way: str) -> Node:
    """A linear layer whose weight is none that was trained."""
    if x.rank > 1:
        return b.emit(name, "linear", [x], {"weight": weight}, spectrum=way)
    row = shaped(b, f"{name}/row", x, (1, *x.shape))
    y = b.emit(name, "linear", [row], {"weight": weight}, spectrum=way)
    return shaped(b, f"{name}/vector", y, y.shape[1:])


@lru_cache(_KEPT)
def _beside(*weights: Tensor) -> Tensor:
    """The weights of several parts in one matrix."""
    return torch.cat(weights, 1) if len(weights) > 1 else weights[0]


@lru_cache(_KEPT)
def _scaled(weight: Tensor, factor: float) -> Tensor:
    return weight if factor == 1 else weight * factor


def _transformed(
    b: Builder, name: str, x: Node, n: int | None, dim: int, scale: float, sign: int, half: bool
) -> Complex:
    """sum of x * e^(sign * 2 pi i k t / n) along an axis, for each frequency k, or up to half of n."""
    dim %= x.rank
    n = n or x.shape[dim]
    size, parts = min(n, x.shape[dim]), _parts(b, name, x)
    cos, sin = (_scaled(wave, scale) for wave in _waves(n // 2 + 1 if half else n, size, n, parts[0].dtype))
    way = FROM_FREQUENCIES if sign > 0 else TO_FREQUENCIES
    up, down = (sin, _scaled(sin, -1)) if sign > 0 else (_scaled(sin, -1), sin)
    real = _product(b, f"{name}/real", parts, (cos, down), dim, size, way)
    return Complex.of(real, _product(b, f"{name}/imag", parts, (up, cos), dim, size, way))


def _real_again(b: Builder, name: str, x: Node, n: int | None, dim: int, scale: float) -> Node:
    """The real values whose lower half of frequencies is x; the upper half is its conjugate."""
    dim %= x.rank
    n = n or 2 * (x.shape[dim] - 1)
    size, parts = min(n // 2 + 1, x.shape[dim]), _parts(b, name, x)
    cos, sin = (_twice(wave, scale) for wave in _waves(n, size, n, parts[0].dtype))
    return _product(b, name, parts, (cos, _scaled(sin, -1)), dim, size, FROM_FREQUENCIES)


@lru_cache(_KEPT)
def _twice(wave: Tensor, scale: float) -> Tensor:
    """Waves (n, size) whose frequencies count twice, but for the first and that of half of n."""
    n, size = wave.shape
    counts = torch.full((size,), 2 * scale, dtype=wave.dtype)
    counts[0] = scale
    if n % 2 == 0 and size == n // 2 + 1:
        counts[-1] = scale
    return wave * counts


# Along one axis


def transform(inverse: bool) -> Converter:
    """fft and ifft."""

    def convert(
        b: Builder, name: str, input: Node, n: int | None = None, dim: int = -1, norm: str | None = None
    ) -> Any:
        scale = _scale(norm, n or input.shape[dim], inverse)
        return _transformed(b, name, input, n, dim, scale, 1 if inverse else -1, half=False)

    return convert


def of_real(b: Builder, name: str, input: Node, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """rfft."""
    return _transformed(b, name, input, n, dim, _scale(norm, n or input.shape[dim], False), -1, half=True)


def to_real(b: Builder, name: str, input: Node, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """irfft."""
    n = n or 2 * (input.shape[dim] - 1)
    return _real_again(b, name, input, n, dim, _scale(norm, n, True))


def of_hermitian(b: Builder, name: str, input: Node, n: int | None = None, dim: int = -1, norm: Any = None) -> Any:
    """hfft."""
    n = n or 2 * (input.shape[dim] - 1)
    return _real_again(b, name, cn.conj(b, f"{name}/conj", input), n, dim, _scale(norm, n, False))


def to_hermitian(b: Builder, name: str, input: Node, n: int | None = None, dim: int = -1, norm: Any = None) -> Any:
    """ihfft."""
    return _transformed(b, name, input, n, dim, _scale(norm, n or input.shape[dim], True), 1, half=True)


# Along several


def several(kind: str, default: tuple[int, ...] | None) -> Converter:
    """fft2 and its kind: `kind` is fft, ifft, rfft or irfft; `default` are the axes, None for all."""
    inverse = kind.startswith("i")

    def convert(b: Builder, name: str, input: Node, s: Any = None, dim: Any = default, norm: str | None = None) -> Any:
        s, dim = ((one,) if isinstance(one, int) else one for one in (s, dim))
        axes = _axes(input, s, dim)
        sizes = [None if size == -1 else size for size in s] if s is not None else [None] * len(axes)
        pairs = list(zip(axes, sizes, strict=True))
        last, rest = pairs[-1], pairs[:-1]
        x: Any = input
        if kind == "rfft":
            x = of_real(b, f"{name}/axis{last[0]}", x, last[1], last[0], norm)
        for axis, size in rest if kind in ("rfft", "irfft") else pairs:
            x = transform(inverse)(b, f"{name}/axis{axis}", x, size, axis, norm)
        return to_real(b, name, x, last[1], last[0], norm) if kind == "irfft" else x

    return convert


def _axes(x: Node, s: Any, dim: Any) -> list[int]:
    if dim is not None:
        return [int(axis) % x.rank for axis in dim]
    return list(range(0 if s is None else x.rank - len(s), x.rank))


def shifted(back: bool) -> Converter:
    """fftshift and ifftshift: the frequency 0 in the middle, or in front again."""

    def convert(b: Builder, name: str, input: Node, dim: Any = None) -> Any:
        axes = range(input.rank) if dim is None else (dim,) if isinstance(dim, int) else dim
        steps = [input.shape[axis] // 2 for axis in axes]
        return roll(b, name, input, tuple(-step if back else step for step in steps), tuple(axes))

    return convert


# Of frames


def _window(window: Any, n: int, width: int | None, dtype: torch.dtype) -> Tensor:
    """The weights of a frame's n values, with zeros around those of a shorter window."""
    width = width or n
    values = torch.ones(width, dtype=dtype) if window is None else window.detach().to(dtype)
    before = (n - width) // 2
    return F.pad(values, (before, n - width - before))


def stft(
    b: Builder,
    name: str,
    input: Node,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Any:
    """The frequencies of overlapping frames (..., time): a convolution whose weights are waves."""
    if isinstance(input, Complex) or isinstance(window, Node) or align_to_window:
        return NotImplemented
    x = shaped(b, f"{name}/row", input, (math.prod(input.shape[:-1]), 1, input.shape[-1]))
    x = pad(b, f"{name}/pad", x, (n_fft // 2, n_fft // 2), pad_mode) if center else x
    count = n_fft if onesided is False else n_fft // 2 + 1
    cos, sin = _waves(count, n_fft, n_fft, x.dtype)
    weights = _window(window, n_fft, win_length, x.dtype) * (1 / math.sqrt(n_fft) if normalized else 1)
    kernel = (torch.cat((cos, -sin)) * weights)[:, None]
    how = {"stride": (hop_length or n_fft // 4,), "padding": ((0, 0),), "dilation": (1,), "groups": 1}
    y = b.emit(f"{name}/frames", "conv", [x], {"weight": kernel}, **how, spectrum=TO_FREQUENCIES)
    real, imag = (
        shaped(
            b, f"{name}/{part}", cut(b, f"{name}/{part}", y, 1, at, at + count), (*input.shape[:-1], count, y.shape[2])
        )
        for part, at in (("real", 0), ("imag", count))
    )
    return Complex.of(real, imag) if return_complex else stack(b, name, [real, imag], -1)


def istft(
    b: Builder,
    name: str,
    input: Node,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Any:
    """The signal of frequencies (..., frequencies, frames): a transposed convolution over what windows add up to."""
    if not isinstance(input, Complex) or isinstance(window, Node) or return_complex:
        return NotImplemented
    (*front, count, frames), hop = input.shape, hop_length or n_fft // 4
    half = count != n_fft if onesided is None else onesided
    kept = _window(window, n_fft, win_length, input.real.dtype)
    waves = _waves(n_fft, count, n_fft, kept.dtype)
    cos, sin = (_twice(wave, 1.0) if half else wave for wave in waves)
    kernel = torch.cat((cos, -sin), 1).t() * (kept * (math.sqrt(n_fft) if normalized else 1) / n_fft)
    x = b.emit(f"{name}/both", "cat", [input.real, input.imag], dim=len(front))
    x = shaped(b, f"{name}/rows", x, (math.prod(front), 2 * count, frames))
    how = {"stride": (hop,), "padding": ((0, 0),), "output_padding": (0,), "dilation": (1,), "groups": 1}
    own: dict[str, Tensor | None] = {"weight": kernel[:, None].contiguous()}
    y = b.emit(f"{name}/frames", "conv_transpose", [x], own, **how, spectrum=FROM_FREQUENCIES)
    start = n_fft // 2 if center else 0
    end = y.shape[2] - start if length is None else min(start + length, y.shape[2])
    envelope = F.conv_transpose1d(torch.ones(1, 1, frames, dtype=kept.dtype), (kept * kept)[None, None], stride=hop)
    envelope = envelope[0, 0, start:end]
    if float(envelope.abs().min()) < LEAST_ENVELOPE:
        raise RuntimeError("window overlap add min: its windows leave gaps")  # as torch says
    y = cut(b, f"{name}/inside", y, 2, start, end)
    y = b.emit(f"{name}/even", "mul", [y], {"other": 1 / envelope})
    if length is not None and end < start + length:
        y = pad(b, f"{name}/longer", y, (0, start + length - end))
    return shaped(b, name, y, (*front, y.shape[2]))


# Of real tensors, by torch's names; complex ones have a table of their own (edgekit.frontend.complex_table).
CONVERTERS: dict[str, Converter] = {
    **{f"fft_{kind}": transform(kind == "ifft") for kind in ("fft", "ifft")},
    "fft_rfft": of_real,
    "fft_irfft": to_real,
    "fft_hfft": of_hermitian,
    "fft_ihfft": to_hermitian,
    **{f"fft_{kind}2": several(kind, (-2, -1)) for kind in ("fft", "ifft", "rfft", "irfft")},
    **{f"fft_{kind}n": several(kind, None) for kind in ("fft", "ifft", "rfft", "irfft")},
    "fft_fftshift": shifted(back=False),
    "fft_ifftshift": shifted(back=True),
    "stft": stft,
    "complex": cn.complex_,
    "polar": cn.polar,
    "view_as_complex": cn.view_as_complex,
    "angle": cn.angle,
}
