"""What each release of TensorRT, and of TensorRT for RTX, can be asked for: one row for each time it changed.

Names are those of the Python API (`NetworkDefinitionCreationFlag`, `BuilderFlag`, `ComputeCapability`) and of trtexec;
tests/exporters/tensorrt/test_writer.py runs everything that uses them on a double of each release's real API, and
tests/tensorrt/test_rtx.py builds with TensorRT for RTX itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.bench.ondevice.engines import RTX, TENSORRT, TITLES
from edgekit.errors import BackendMissing, UsageError
from edgekit.util.numerals import whole

PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class Capabilities:
    """One row. `weak` are the builder flags by precision where TensorRT may choose types itself; None: it never may.

    Precisions in `typed` are built strongly typed: exactly the types of the file.
    """

    since: tuple[int, int]
    explicit_batch: bool  # a network must be asked to have its batch in its shapes
    typed_flag: bool  # STRONGLY_TYPED exists
    typed: tuple[str, ...]
    weak: Mapping[str, tuple[str, ...]] | None
    progress: bool  # IProgressMonitor
    error_nodes: bool  # a parser's error names its node
    skip_inference: str  # trtexec: build only
    trtexec_data_transfers: bool  # trtexec has --includeDataTransfers; they are off without it
    targets: tuple[str, ...] = ()  # compute capabilities that it builds ahead for, on any machine

    def network_flags(self, precision: str, dla: bool = False) -> tuple[str, ...]:
        """Return the NetworkDefinitionCreationFlags to create a network with."""
        flags = ("EXPLICIT_BATCH",) if self.explicit_batch else ()
        return (*flags, "STRONGLY_TYPED") if self._typed(precision, dla) and self.typed_flag else flags

    def builder_flags(self, precision: str, dla: bool = False) -> tuple[str, ...]:
        """Return the BuilderFlags to set."""
        flags = () if self.weak is None or self._typed(precision, dla) else self.weak[precision]
        return (*flags, "GPU_FALLBACK") if dla else flags

    def cleared_flags(self, precision: str) -> tuple[str, ...]:
        """Return the BuilderFlags to clear: TF32 keeps 10 bits of a float32, which is not what fp32 says."""
        return ("TF32",) if precision == "fp32" else ()

    def file_precision(self, precision: str, dla: bool = False) -> str:
        """Return the precision of the ONNX file to build from: fp16 by flag starts from float32."""
        return "fp32" if precision == "fp16" and not self._typed(precision, dla) else precision

    def trtexec_flags(self, precision: str, dla: bool = False) -> tuple[str, ...]:
        """Return the same wishes for trtexec."""
        flags = tuple(f"--{flag.lower()}" for flag in self.builder_flags(precision, dla) if flag != "GPU_FALLBACK")
        # Where nothing is ever weakly typed there is nothing to say.
        if self._typed(precision, dla) and self.weak is not None:
            flags += ("--stronglyTyped",)
        return (*flags, "--noTF32") if self.cleared_flags(precision) else flags

    def _typed(self, precision: str, dla: bool) -> bool:
        # DLA takes no strongly typed network where there is another kind.
        return precision in self.typed and not (dla and self.weak is not None)


_FLAGS: Mapping[str, tuple[str, ...]] = {"fp32": (), "fp16": ("FP16",), "int8": ("INT8",)}
_EIGHT = Capabilities((8, 5), True, False, (), _FLAGS, False, False, "--buildOnly", False)
TABLE = (
    _EIGHT,
    Capabilities((8, 6), True, False, (), _FLAGS, False, False, "--skipInference", False),
    Capabilities((10, 0), False, True, ("fp32", "int8"), _FLAGS, True, True, "--skipInference", False),
    Capabilities((11, 0), False, True, PRECISIONS, None, True, True, "--skipInference", True),
)
# TensorRT for RTX has versions of its own, and no trtexec that edgekit drives.
_RTX = Capabilities(
    (1, 4), False, True, PRECISIONS, None, True, True, "", False, ("7.5", "8.0", "8.6", "8.9", "12.0", "12.1")
)
TABLES: Mapping[str, tuple[Capabilities, ...]] = {TENSORRT: TABLE, RTX: (_RTX,)}


def capabilities(version: str, product: str = TENSORRT) -> Capabilities:
    """Return the row of a version such as 10.3.0. Raises BackendMissing for a release that edgekit does not know."""
    table = TABLES[product]
    numbers = tuple(number for part in version.split(".")[:2] if (number := whole(part)) is not None)
    fitting = [row for row in table if len(numbers) == 2 and row.since[0] == numbers[0] and row.since <= numbers]
    if not fitting:
        majors, (first, second) = sorted({row.since[0] for row in table}), table[0].since
        raise BackendMissing(
            f"{TITLES[product]} {version} is there, and edgekit builds with {', '.join(map(str, majors))} "
            f"(from {first}.{second} on)",
            "install one of them, or build on a device that has one, with --device NAME",
        )
    return fitting[-1]


def targets(text: str) -> tuple[str, ...]:
    """Return the compute capabilities of --target-gpu, such as 8.6,8.9 or sm86, each once.

    Raises UsageError for others.
    """
    known = {f"sm{target.replace('.', '')}": target for target in _RTX.targets}
    found = []
    for word in filter(None, (word.strip().lower() for word in text.split(","))):
        target = known.get("sm" + word.removeprefix("sm").replace(".", ""))
        if target is None:
            raise UsageError(
                f"--target-gpu {word} is no compute capability that TensorRT for RTX builds for",
                f"choose of {', '.join(_RTX.targets)}; NVIDIA's list at developer.nvidia.com/cuda-gpus tells a GPU's",
            )
        found.append(target)
    if not found:
        raise UsageError("--target-gpu names no compute capability", "write, say, --target-gpu 8.9")
    return tuple(dict.fromkeys(found))


def check_dla(precision: str, product: str = TENSORRT) -> None:
    """DLA computes in half precision or int8, and takes no explicit quantization. Raises UsageError for others."""
    if product != TENSORRT:
        raise UsageError(f"{TITLES[product]} builds for no DLA", "take `dla:` out of devices.yaml")
    if precision != "fp16":
        why = "takes no Q/DQ network" if precision == "int8" else "does not compute in float32"
        raise UsageError(
            f"DLA {why}, and {precision} was asked", "choose --precision fp16, or take `dla:` out of devices.yaml"
        )
