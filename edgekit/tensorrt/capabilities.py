"""What each TensorRT release can be asked for: one row for each time it changed.

Versions 8.5 to 11. Names are those of the Python API (`NetworkDefinitionCreationFlag`, `BuilderFlag`) and of trtexec;
tests/exporters/tensorrt/test_writer.py runs everything that uses them on a double of each release's real API.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.errors import BackendMissing, UsageError

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

    def network_flags(self, precision: str, dla: bool = False) -> tuple[str, ...]:
        """The NetworkDefinitionCreationFlags to create a network with."""
        flags = ("EXPLICIT_BATCH",) if self.explicit_batch else ()
        return (*flags, "STRONGLY_TYPED") if self._typed(precision, dla) and self.typed_flag else flags

    def builder_flags(self, precision: str, dla: bool = False) -> tuple[str, ...]:
        """The BuilderFlags to set."""
        flags = () if self.weak is None or self._typed(precision, dla) else self.weak[precision]
        return (*flags, "GPU_FALLBACK") if dla else flags

    def cleared_flags(self, precision: str) -> tuple[str, ...]:
        """The BuilderFlags to clear: TF32 keeps 10 bits of a float32, which is not what fp32 says."""
        return ("TF32",) if precision == "fp32" else ()

    def file_precision(self, precision: str, dla: bool = False) -> str:
        """The precision of the ONNX file to build from: fp16 by flag starts from float32."""
        return "fp32" if precision == "fp16" and not self._typed(precision, dla) else precision

    def trtexec_flags(self, precision: str, dla: bool = False) -> tuple[str, ...]:
        """The same wishes for trtexec."""
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


def capabilities(version: str) -> Capabilities:
    """The row of a version such as 10.3.0. Raises BackendMissing for a release that edgekit does not know."""
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    fitting = [row for row in TABLE if len(numbers) == 2 and row.since[0] == numbers[0] and row.since <= numbers]
    if not fitting:
        majors = sorted({row.since[0] for row in TABLE})
        raise BackendMissing(
            f"TensorRT {version} is there, and edgekit builds with {', '.join(map(str, majors))} (from 8.5 on)",
            "install one of them, or build on a device that has one, with --device NAME",
        )
    return fitting[-1]


def check_dla(precision: str) -> None:
    """DLA computes in half precision or int8, and takes no explicit quantisation. Raises UsageError for others."""
    if precision != "fp16":
        why = "takes no Q/DQ network" if precision == "int8" else "does not compute in float32"
        raise UsageError(
            f"DLA {why}, and {precision} was asked", "choose --precision fp16, or take `dla:` out of devices.yaml"
        )
