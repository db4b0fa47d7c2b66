"""Fourier transforms and complex tensors, which become real operators: torch's own answers, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.errors import UsageError
from edgekit.frontend.tracer import trace
from tests.frontend.test_operators import SHAPE, Calls, check

fft = torch.fft
NORMS = ("backward", "ortho", "forward")


def shown(z: Tensor) -> Tensor:
    """A complex tensor as a network may hand it out."""
    return torch.view_as_real(z.resolve_conj())


def rows(x: Tensor) -> Tensor:
    """A complex tensor of the input."""
    return torch.complex(x[:, :2], x[:, 2:])


def unit(w: Tensor) -> Tensor:
    """Complex numbers that no input reaches."""
    return torch.polar(torch.ones(8, dtype=torch.float64), w[0].detach())


def fno(x: Tensor, w: Tensor) -> Tensor:
    """A layer of a Fourier neural operator: some frequencies by weights, the others zero."""
    z = fft.rfft2(x)
    out = torch.zeros(2, 3, 6, 5, dtype=torch.complex128)
    weight = torch.view_as_complex(w[:, :6].reshape(4, 3, 2, 1, 2).expand(4, 3, 2, 3, 2).contiguous())
    out[:, :, :2, :3] = torch.einsum("bixy,ioxy->boxy", z[:, :, :2, :3], weight)
    out[:, :, -2:, :3] = torch.einsum("bixy,ioxy->boxy", z[:, :, -2:, :3], weight.conj())
    y: Tensor = fft.irfft2(out, s=(6, 8))
    return y


def fourier_unit(x: Tensor, w: Tensor) -> Tensor:
    """The spectral transform of LaMa: the parts of the spectrum as channels of a convolution."""
    z = fft.rfftn(x, dim=(-2, -1), norm="ortho")
    y = torch.stack((z.real, z.imag), dim=-1).permute(0, 1, 4, 2, 3).contiguous().view(2, -1, 6, 5)
    y = F.relu(F.conv2d(y, w[:, :, None, None]))
    y = y.view(2, -1, 2, 6, 5).permute(0, 1, 3, 4, 2).contiguous()
    back: Tensor = fft.irfftn(torch.complex(y[..., 0], y[..., 1]), s=(6, 8), dim=(-2, -1), norm="ortho")
    return back


def rope(x: Tensor, w: Tensor) -> Tensor:
    """Rotary places as complex factors."""
    z = torch.view_as_complex(x.reshape(2, 4, 6, 4, 2))
    turn = torch.polar(torch.ones(6, 4, dtype=torch.float64), torch.outer(torch.arange(6.0), w[0, :4].detach()))
    return torch.view_as_real(z * turn).flatten(3)


FUNCTIONS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "fft, ifft": lambda x, w: [shown(f(x, dim=d, norm=n)) for f in (fft.fft, fft.ifft) for d in (-1, 1) for n in NORMS],
    "rfft, irfft": lambda x, w: [
        fft.irfft(fft.rfft(x, dim=d, norm=n) * w[0, 0], 7, d, n) for d in (3, 2) for n in NORMS
    ],
    "other sizes": lambda x, w: (
        shown(fft.rfft(x, 5)),
        shown(fft.rfft(x, 11, 2)),
        fft.irfft(x, 5),
        fft.irfft(rows(x), 20),
    ),
    "fft of complex": lambda x, w: (
        shown(fft.fft(rows(x), 9)),
        shown(fft.ifft(rows(x), dim=1)),
        shown(fft.fft2(rows(x))),
    ),
    "several axes": lambda x, w: (
        shown(fft.fft2(x)),
        shown(fft.rfft2(x, norm="ortho")),
        shown(fft.fftn(x, dim=(1, 3))),
        shown(fft.rfftn(x, (5, 6))),
        shown(fft.fftn(x, 5)),
        shown(fft.rfftn(x, dim=2)),
        fft.irfft2(fft.rfft2(x) * 2),
        shown(fft.ifftn(x)),
        fft.irfftn(rows(x), dim=(2, 3)),
        shown(fft.ifft2(x, (4, -1))),
    ),
    "hfft, ihfft": lambda x, w: (fft.hfft(rows(x)), shown(fft.ihfft(x)), fft.hfft(rows(x), 9, norm="ortho")),
    "of integers": lambda x, w: [
        shown(f((x[:, :, :4, :4] * 9).to(t))) * w[0, 0] for f in (fft.rfft, fft.fft2) for t in (torch.int16, torch.bool)
    ],
    "shifts": lambda x, w: (
        fft.fftshift(x),
        fft.ifftshift(x, dim=(2, 3)),
        shown(fft.fftshift(rows(x), dim=-1)),
        fft.ifftshift(x[..., :5], 3),
    ),
    "stft": lambda x, w: [
        shown(torch.stft(x.flatten(2)[:, 0], 16, 4, 12, torch.hann_window(12).double(), c, "reflect", n, o, True))
        for c, n, o in ((True, False, None), (False, True, False), (True, True, True))
    ],
    "stft of a row": lambda x, w: (
        torch.stft(x.flatten(), 10, return_complex=True).abs(),
        torch.stft(x[0].flatten(1), 8, return_complex=False),
    ),
    "istft": lambda x, w: [
        torch.istft(
            torch.stft(
                x.flatten(1), 16, 4, None, torch.hann_window(16).double(), normalized=n, onesided=o, return_complex=True
            )
            * w[0, 0],
            16,
            4,
            None,
            torch.hann_window(16).double(),
            normalized=n,
            onesided=o,
            length=k,
        )
        for n, o, k in ((False, None, None), (True, None, 150), (False, False, 210))
    ],
    "istft, not centered": lambda x, w: torch.istft(torch.complex(x[:, 0, :5, :], x[:, 1, :5, :]), 8, 3, center=False),
    "arithmetic": lambda x, w: [
        shown(y)
        for z in (rows(x),)
        for y in (
            z + x[:, :2],
            2 - z,
            z * unit(w),
            unit(w) / z,
            z / 3,
            z / x[:, :2].exp(),
            z * 1j,
            1j * x,
            -z,
            z**3,
            z.square(),
            z.reciprocal(),
            torch.add(z, z, alpha=2),
            torch.sub(x[:, :2], z, alpha=3),
            x * unit(w),
            z - 1j,
            (2 + 1j) / z,
        )
    ],
    "sizes and angles": lambda x, w: (
        rows(x).abs(),
        rows(x).angle(),
        x.angle(),
        (x * 9).int().angle() * w[0, 0],
        rows(x).real.exp(),
        rows(x).imag * 2,
        rows(x).norm(dim=1),
        torch.linalg.vector_norm(rows(x), dim=-1),
    ),
    "functions": lambda x, w: [
        shown(y) for y in (torch.exp(1j * x), rows(x).conj().resolve_conj() * 2, rows(x).sgn(), torch.log(rows(x)))
    ],
    "polar": lambda x, w: (shown(torch.polar(x.abs(), x)), shown(torch.polar(torch.ones(8).double(), x))),
    "moves": lambda x, w: [
        shown(y)
        for z in (rows(x),)
        for y in (
            z.flatten(1),
            z.permute(0, 2, 3, 1),
            z[:, :, ::2, 1:],
            z.mean((2, 3)),
            z.sum(1),
            z[..., None].expand(-1, -1, -1, -1, 3),
            torch.cat((z, z), 1),
            torch.stack((z, z * 2)),
            z.roll(2, 1),
            torch.where(x[:, :2] > 0, z, 0),
            torch.where(x[:, :2] > 0, z, other=0.5),
            F.pad(z, (1, 2)),
            F.pad(z, (1, 2), value=2.0),
            F.pad(z, (1, 2), "constant", 2.0),
            z.masked_fill(x[:, :2] > 0, 2.0),
            z.masked_fill(x[:, :2] > 0, value=2.0),
            z.clone().fill_(3.0) * x[:, :2],
            *z.chunk(2, 1),
            z.to(torch.complex128),
            x.to(torch.complex128),
            z.mT,
            z.mH,
            torch.cat((z, x), 1),
            z.reshape(2, -1).clone().contiguous(),
            z[0].unbind(0)[1],
        )
    ],
    "products": lambda x, w: [
        shown(y)
        for z, v in ((rows(x), torch.complex(w, w.t())),)
        for y in (
            z @ v,
            z @ z.mT,
            torch.einsum("nchw,nkhw->nck", z, z.conj()),
            torch.einsum("nchw->nwc", z),
            v[:6, :6] @ z,
        )
    ],
    "layers": lambda x, w: [
        shown(y)
        for z, v in ((rows(x), torch.complex(w, w.t())),)
        for y in (F.linear(z, v, v[0]), F.conv2d(z, v[:3, :2, None, None], v[0, :3]))
    ],
    "in place": lambda x, w: _in_place(x),
    "Fourier neural operator": fno,
    "Fourier unit": fourier_unit,
    "rotary places": rope,
}


def _in_place(x: Tensor) -> Tensor:
    z = fft.fft(x)
    z *= 2
    z[:, 0] = 0
    z[:, :, 1:3] += 1j
    z[:, 1].mul_(2)
    return shown(z)


@pytest.mark.filterwarnings(
    "ignore:A window was not provided", "ignore:The length of signal is shorter", "ignore:stft with return"
)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_computes_what_torch_computes(name: str) -> None:
    torch.manual_seed(0)
    check(Calls(FUNCTIONS[name]), SHAPE)


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        (lambda x: fft.rfft(x), "the network returns complex numbers, which no format has"),
        (lambda x: torch.complex(x, x).sinh().real, "sinh of complex tensors has no form in any format"),
        (lambda x: torch.linalg.eigvals(x).real, "linalg_eigvals gives complex numbers, which no format has"),
        (lambda x: fft.rfft(x.reshape(1, -1).expand(2, -1).repeat(1, 90)).abs(), "takes .* weights"),
    ],
    ids=["an output", "an operator without a form", "an operator of real numbers", "too long"],
)
def test_it_is_refused_with_its_cause(function: Callable[[Tensor], Tensor], cause: str) -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return function(x)

    with pytest.raises(UsageError, match=cause) as caught:
        trace(Net().eval(), (1, 6, 48, 48) if "weights" in cause else (1, 6, 6, 6))
    assert caught.value.remedy
