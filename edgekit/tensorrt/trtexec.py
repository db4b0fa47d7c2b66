"""trtexec, TensorRT's own program: its flags by version, and what it says, read from its log.

Its JSON exports (tensorrt.trtexec_exports) are preferred to its log. A run counts only with exit code 0 and the
verdict line PASSED: a crash leaves no verdict. Lines can be cut, doubled or merged into each other, so that everything
is searched for and nothing is taken by its place; a number is one only if it stands in the text as such.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgekit.bench.ondevice.runtimes.trtexec import version as unpacked
from edgekit.errors import BackendMissing, EdgekitError, UsageError
from edgekit.tensorrt.capabilities import Capabilities
from edgekit.util.formatting import shape_text
from edgekit.util.numerals import real

# So many digits and no more: a line of nothing else is then looked at once.
NUMBER = r"[-+]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][-+]?[0-9]{1,3})?(?![\w.%-])"
PERCENT = r"([0-9]+(?:\.[0-9]+)?)%"
VERDICT = re.compile(r"&&&& (PASSED|FAILED|WAIVED) TensorRT\.trtexec")
BANNER = re.compile(r"TensorRT\.trtexec \[TensorRT v([0-9]{4,6})\]")
NAMED = re.compile(r"TensorRT version: ([0-9]+\.[0-9]+\.[0-9]+)(?![0-9.])")
STAMP = re.compile(r"^\[[0-9][0-9]/[0-9][0-9]/[0-9]{4}-[0-9][0-9]:[0-9][0-9]:[0-9][0-9]\] \[([VIWE])\] ?(.*)$")
ENQUEUE_SHARE = 0.8  # trtexec's own limit: above it the host's speed is measured
# The same on every version when said aloud; 11 does so by default, and takes them without effect.
SAME_EVERYWHERE = ("--useSpinWait", "--useCudaGraph", "--separateProfileRun")


# Flags


def build_flags(
    row: Capabilities,
    precision: str,
    onnx: str,
    engine: str,
    workspace_mib: int | None = None,
    timing_cache: str | None = None,
    dla: int | None = None,
) -> list[str]:
    """Return the arguments (without the program) that build an engine and do not run it."""
    flags = [f"--onnx={onnx}", f"--saveEngine={engine}", *row.trtexec_flags(precision, dla is not None)]
    flags += [row.skip_inference, "--profilingVerbosity=detailed"]
    if workspace_mib is not None:
        flags.append(f"--memPoolSize=workspace:{workspace_mib}")
    if timing_cache is not None:
        flags.append(f"--timingCacheFile={timing_cache}")
    return [*flags, f"--useDLACore={dla}", "--allowGPUFallback"] if dla is not None else flags


def measure_flags(
    row: Capabilities,
    engine: str,
    times: str,
    *,
    warmup_seconds: float = 1.0,
    seconds: float = 10.0,
    runs: int = 200,
    shapes: Mapping[str, Sequence[int]] | None = None,
    dla: int | None = None,
    copies: bool = False,
    profile: str | None = None,
) -> list[str]:
    """Return the arguments that measure an engine alike on every version: what 11 does by default is asked for.

    `copies` has the times of the copies to and from the GPU taken, too. Seconds are rounded up.
    """
    flags = [f"--loadEngine={engine}", f"--warmUp={math.ceil(1000 * warmup_seconds)}"]
    flags += [f"--duration={math.ceil(seconds)}", f"--iterations={runs}", "--percentile=50,90,95,99"]
    flags += [*SAME_EVERYWHERE, f"--exportTimes={times}"]
    if shapes:
        flags.append("--shapes=" + ",".join(f"{name}:{shape_text(shape)}" for name, shape in shapes.items()))
    if dla is not None:
        flags.append(f"--useDLACore={dla}")
    if not copies:
        flags.append("--noDataTransfers")
    elif row.trtexec_data_transfers:
        flags.append("--includeDataTransfers")
    return [*flags, "--dumpProfile", f"--exportProfile={profile}"] if profile is not None else flags


# The log


@dataclass(frozen=True)
class Log:
    """What a log says. `verdict` is PASSED, FAILED, WAIVED or None; None is also what is not there."""

    verdict: str | None
    gpu: str | None
    compute_capability: str | None
    host_walltime_s: float | None
    build_seconds: float | None
    load_seconds: float | None  # until the engine could run
    cuda_graph: bool | None  # whether one was captured
    coefficient_of_variance: float | None  # percent, where trtexec calls the times unstable
    unstable: bool
    bound_by_enqueue: bool
    warnings: tuple[str, ...]
    errors: tuple[str, ...]


def parse_log(text: str) -> Log:
    """Return what stands in a log of trtexec 7 to 11, whole or not. Never raises."""
    messages = [(match.group(1), match.group(2).rstrip()) for line in text.splitlines() if (match := STAMP.match(line))]
    return Log(
        verdict=_verdict(text),
        gpu=_last_text(r"Selected Device: (.+)$", text),
        compute_capability=_last_text(r"Compute Capability: ([0-9]+\.[0-9]+)(?![0-9.])", text),
        host_walltime_s=_last(rf"Total Host Walltime: ({NUMBER}) s", text),
        build_seconds=_last(rf"Engine built in ({NUMBER}) sec", text),
        load_seconds=_last(rf"Engine deserialized in ({NUMBER}) sec", text),
        cuda_graph=_captured(text),
        coefficient_of_variance=_last(rf"coefficient of variance = {PERCENT}", text),
        unstable="GPU compute time is unstable" in text,
        bound_by_enqueue="may be bound by Enqueue" in text or _enqueue_bound(text),
        warnings=tuple(message for level, message in messages if level == "W" and message.strip()),
        errors=tuple(message for level, message in messages if level == "E" and message.strip()),
    )


def _captured(text: str) -> bool | None:
    """None where nothing is said: older releases do not tell whether it could be."""
    told = re.findall(r"CUDA Graph: (Enabled|Disabled)$", text, re.MULTILINE)
    if told[-1:] == ["Disabled"]:
        return False
    return True if "Successfully captured CUDA graph" in text else None


def _enqueue_bound(text: str) -> bool:
    names = ("Enqueue Time", "GPU Compute Time")
    enqueue, compute = (_last(rf"\] {name}: min = .*, median = ({NUMBER}) ms", text) for name in names)
    return enqueue is not None and compute is not None and enqueue > ENQUEUE_SHARE * compute


def version(text: str) -> str | None:
    """Return the version in the banner, else in the text."""
    packed = BANNER.search(text)
    if packed is None:
        return _last_text(NAMED.pattern, text)
    return unpacked(packed.group(1))


def failure(code: int | None, log: Log, text: str) -> EdgekitError | None:
    """Return why a run does not count; None where it does: exit code 0 and the verdict PASSED."""
    if code == 0 and log.verdict == "PASSED":
        return None
    unknown = re.findall(r"Unknown option: (\S+)", text)
    if unknown:
        return UsageError(f"this trtexec does not know {', '.join(unknown)}", "report its version; it printed no other")
    if log.verdict == "PASSED":
        return BackendMissing(f"trtexec said PASSED and ended with exit code {code}", "see its log")
    cause = _cause(log, text)
    if "serialization version" in cause.lower():
        return BackendMissing(f"the engine was built by another TensorRT: {cause}", "build it again on this device")
    if log.verdict is None:
        end = "was killed or crashed" if code is None or code < 0 or code >= 128 else f"ended with exit code {code}"
        return BackendMissing(f"trtexec {end} and gave no verdict: {cause}", "see its log, or another TensorRT")
    return BackendMissing(f"trtexec failed (exit code {code}, {log.verdict}): {cause}", "see its log")


def _cause(log: Log, text: str) -> str:
    node = re.search(r'While parsing node number ([0-9]+) \[(\w+) -> "([^"\n]*)"\]', text)
    where = f"node {node.group(1)}, {node.group(2)} that makes {node.group(3)}: " if node else ""
    why = re.search(r"^(?:\w+::)?\w+: Error Code [0-9]+: .+$", text, re.MULTILINE) if node else None
    if why is not None:
        return where + why.group(0)
    telling = [line for line in log.errors if "Error Code" in line or "Error[" in line or "assert" in line.lower()]
    last = [line for line in text.splitlines() if line.strip() and "&&&&" not in line]
    return where + (telling[0] if telling else log.errors[0] if log.errors else last[-1].strip() if last else "no word")


def _verdict(text: str) -> str | None:
    found = VERDICT.findall(text)
    return str(found[-1]) if found else None


def _last(pattern: str, text: str) -> float | None:
    found = re.findall(pattern, text, re.MULTILINE)
    return real(found[-1]) if found else None


def _last_text(pattern: str, text: str) -> str | None:
    found = re.findall(pattern, text, re.MULTILINE)
    return str(found[-1]).strip() if found else None
