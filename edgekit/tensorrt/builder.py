"""Building a TensorRT engine where its GPU is: here, or on a device over its link.

With TensorRT's Python package (bench/ondevice/build_tensorrt.py, in a process of its own), else with trtexec, else with
the package of TensorRT for RTX, which wants no GPU to build.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.bench.links.base import Link
from edgekit.bench.links.local import LocalLink
from edgekit.bench.ondevice.engines import RTX, TENSORRT, TITLES
from edgekit.errors import BackendMissing
from edgekit.tensorrt.capabilities import capabilities
from edgekit.tensorrt.orders import Builder, Missing, on, remedy, remedy_rtx
from edgekit.tensorrt.python_builder import WithPython, probe
from edgekit.tensorrt.trtexec_builder import WithTrtexec, trtexec_on


def find(link: Link | None = None, runtimes: Sequence[str] | None = None, targets: tuple[str, ...] = ()) -> Builder:
    """Return what builds engines on a device (None: here) that has these `runtimes` (None: any).

    TensorRT, with its Python package or trtexec, goes before TensorRT for RTX, which alone builds for `targets`, the
    compute capabilities of other GPUs. Raises BackendMissing where nothing does that edgekit knows.
    """
    link, missing = link or LocalLink(), list[str]()
    for product in _products(runtimes, targets):
        try:
            return _known(WithPython(link, probe(link, product), product, targets))
        except Missing as error:
            missing.append(f"{TITLES[product]} is not installed{on(link)}: {error}")
        program = trtexec_on(link) if product == TENSORRT else None
        if program is not None:
            return _known(WithTrtexec(link, *program))
    if targets:
        raise BackendMissing(f"--target-gpu builds with TensorRT for RTX: {missing[0]}", remedy_rtx(link))
    raise BackendMissing(f"{missing[0]}, and no trtexec", remedy(link))


def named(builder: Builder) -> str:
    """Return a builder's product and version, as a person knows them."""
    return f"{TITLES[builder.product]} {builder.version}"


def _products(runtimes: Sequence[str] | None, targets: tuple[str, ...]) -> tuple[str, ...]:
    """The products to look for, in this order."""
    if targets:
        return (RTX,)
    return tuple(name for name in TITLES if runtimes is None or name in runtimes) or (TENSORRT,)


def _known(builder: Builder) -> Builder:
    capabilities(builder.version, builder.product)  # one that edgekit does not know is told now
    return builder
