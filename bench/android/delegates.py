"""The delegates of either benchmark_model: what each is asked for by, and what the log proves of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.bench.android.benchmark_model import LITERT, Log, Tool

DELEGATES = ("xnnpack", "none", "gpu", "gpu-fp16", "nnapi", "npu")
PARTIAL = ":partial"  # after a delegate's name: fewer than all operators on it are accepted
_GPU_KERNELS = re.compile(r"gpu|LITERT_(CL|GL|METAL|WEBGPU|VULKAN)", re.IGNORECASE)
# What sets the precision of a GPU, newest first: LiteRT's tool has renamed it, and the classic one has its own.
PRECISION = {
    "gpu-precision": {"fp32": "fp32", "fp16": "fp16"},
    "gpu_precision": {"fp32": "fp32", "fp16": "fp16"},
    "gpu_precision_loss_allowed": {"fp32": "false", "fp16": "true"},
    "allow_fp16": {"fp32": "false", "fp16": "true"},
}


def delegate_flags(tool: Tool, delegate: str | None) -> dict[str, str]:
    """Return the flags for a delegate (None: the tool's default on the processor). Raises ValueError where it has none.

    The libraries of an NPU are not among them.
    """
    wish = (delegate or "").split(PARTIAL)[0]
    choose = _own if tool.kind == LITERT else _classic
    found = choose(tool, wish)
    if found is None:
        name = "LiteRT's benchmark_model" if tool.kind == LITERT else "this benchmark_model"
        known = [one for one in DELEGATES if choose(tool, one) is not None]
        raise ValueError(f"{name} has no delegate '{wish}', only {', '.join(known)}")
    return found


def _classic(tool: Tool, wish: str) -> dict[str, str] | None:
    has = tool.flags.__contains__
    if wish == "none":
        # Built without XNNPACK it has no such flag, and runs its own kernels.
        return {"use_xnnpack": "false"} if has("use_xnnpack") else {}
    if wish.startswith("gpu"):
        return {"use_gpu": "true", **_precision(tool, wish)} if has("use_gpu") else None
    switches = {"xnnpack": "use_xnnpack", "nnapi": "use_nnapi"}
    if wish in switches:
        return {switches[wish]: "true"} if has(switches[wish]) else None
    if wish == "npu":
        return {} if has("external_delegate_path") else None
    return {} if not wish else None


def _own(tool: Tool, wish: str) -> dict[str, str] | None:
    # The first ones had no such flag, and the processor for what nothing else takes.
    cpu = "use_cpu" in tool.flags
    if wish in ("", "xnnpack"):
        return {"use_cpu": "true"} if cpu else {}
    flags = {"gpu": {"use_gpu": "true"}, "gpu-fp16": {"use_gpu": "true"}, "npu": {"use_npu": "true"}}.get(wish)
    if flags is None:
        return None
    return {**flags, **({"use_cpu": "false"} if cpu else {}), **(_precision(tool, wish) if wish != "npu" else {})}


def _precision(tool: Tool, wish: str) -> dict[str, str]:
    name = next((name for name in PRECISION if name in tool.flags), None)
    if name is None:
        raise ValueError("this benchmark_model does not let the precision of a GPU be chosen")
    return {name: PRECISION[name]["fp16" if wish.endswith("fp16") else "fp32"]}


def npu_flags(tool: Tool, folder: str, names: Sequence[str]) -> dict[str, str]:
    """Return the flags for a folder on the phone with the maker's libraries of these names.

    LiteRT's tool hands to a dispatch library, and compiles the file on the phone with a compiler plugin; without one
    it runs what was compiled before. The classic one loads an external delegate. Raises ValueError without the library.
    """
    if tool.kind == LITERT:
        plugin = {"compiler_plugin_library_path": folder} if any("CompilerPlugin" in name for name in names) else {}
        return {"dispatch_library_path": folder, **plugin}
    found = [name for name in names if "delegate" in name.lower() and name.endswith(".so")]
    if len(found) != 1:
        raise ValueError(f"npu_libraries has {len(found)} libraries with Delegate in their names, and needs 1")
    return {"external_delegate_path": f"{folder}/{found[0]}"}


@dataclass(frozen=True)
class Coverage:
    """What a delegate really ran. `nodes` and `taken` are None where the log does not count them."""

    delegate: str | None
    nodes: int | None = None
    taken: int | None = None
    how: str = "unknown"  # completely, partially, not, unknown


def coverage(log: Log, delegate: str | None) -> Coverage:
    """Return what a log proves of the delegate that was asked for (None: XNNPACK, the tool's default).

    Only the tool's own lines count. Where they disagree, the one that says less wins. For `none`, XNNPACK where it ran
    all the same.
    """
    wish = (delegate or "xnnpack").split(PARTIAL)[0]
    if wish == "none":
        xnnpack = [*log.created, *(one.delegate for one in log.taken)]
        return Coverage("xnnpack" if any("xnnpack" in name.lower() for name in xnnpack) else None)
    names = {wish.split("-fp16")[0], *(["external"] if wish == "npu" else [])}
    said = [one.how for one in log.applied if one.delegate.lower() in names]
    # The maker of an external delegate has named its kernel.
    is_external = wish == "npu" and any(one.delegate == "EXTERNAL" for one in log.applied)
    taken = [
        one
        for one in log.taken
        if _is(one.delegate, wish) or (is_external and not re.search("xnnpack|gpu|nnapi", one.delegate, re.IGNORECASE))
    ]
    # A graph that another delegate went over first counts what that one left; the largest is the file's own.
    nodes = sum(one.of for one in taken) or None
    own = sum(one.nodes for one in taken) if taken else None
    ways = [*said, *([_how(own or 0, nodes)] if nodes else [])]
    created = any(name.startswith("XNNPACK") for name in log.created) and wish == "xnnpack"
    if not ways:
        return Coverage(wish if created else None, how="unknown" if created else "not")
    worst = next(way for way in ("not", "partially", "completely") if way in ways)
    return Coverage(wish if worst != "not" else None, nodes, own, worst)


def _how(taken: int, nodes: int) -> str:
    return "not" if not taken else "completely" if taken == nodes else "partially"


def _is(kernel: str, wish: str) -> bool:
    if wish.startswith("gpu"):
        return bool(_GPU_KERNELS.search(kernel))
    if wish == "npu":
        return kernel == "DispatchDelegate"  # LiteRT hands to the maker's libraries through this one
    return wish in kernel.lower()
