"""What is asked of either benchmark_model for a delegate, and what its log proves of it."""

from __future__ import annotations

import pytest

from edgekit.bench.android.benchmark_model import CLASSIC, LITERT, Tool, parse
from edgekit.bench.android.delegates import coverage, delegate_flags, npu_flags

# The flags of real releases: TensorFlow's nightly, one built without XNNPACK, LiteRT's first, its second, today's.
NIGHTLY = Tool(CLASSIC, frozenset({"use_xnnpack", "use_gpu", "gpu_precision_loss_allowed", "use_nnapi", "allow_fp16",
                                   "external_delegate_path"}))  # fmt: skip
PLAIN = Tool(CLASSIC, frozenset({"allow_fp16"}))
FIRST = Tool(LITERT, frozenset({"use_gpu", "use_npu", "allow_fp16", "dispatch_library_path"}))
SECOND = Tool(LITERT, frozenset({"use_cpu", "use_gpu", "use_npu", "allow_fp16", "compiler_plugin_library_path"}))
TODAY = Tool(LITERT, frozenset({"use_cpu", "use_gpu", "use_npu", "gpu-precision", "compiler_plugin_library_path"}))


@pytest.mark.parametrize(
    ("tool", "delegate", "flags"),
    [
        (NIGHTLY, None, {}),
        (NIGHTLY, "none", {"use_xnnpack": "false"}),
        (NIGHTLY, "gpu", {"use_gpu": "true", "gpu_precision_loss_allowed": "false"}),
        (NIGHTLY, "gpu-fp16:partial", {"use_gpu": "true", "gpu_precision_loss_allowed": "true"}),
        (NIGHTLY, "npu", {}),
        (PLAIN, "none", {}),
        (FIRST, None, {}),
        (FIRST, "gpu", {"use_gpu": "true", "allow_fp16": "false"}),
        (FIRST, "npu", {"use_npu": "true"}),
        (SECOND, "xnnpack", {"use_cpu": "true"}),
        (SECOND, "gpu-fp16", {"use_gpu": "true", "use_cpu": "false", "allow_fp16": "true"}),
        (TODAY, "gpu", {"use_gpu": "true", "use_cpu": "false", "gpu-precision": "fp32"}),
        (TODAY, "npu", {"use_npu": "true", "use_cpu": "false"}),
    ],
)
def test_flags_of_a_delegate(tool: Tool, delegate: str | None, flags: dict[str, str]) -> None:
    assert delegate_flags(tool, delegate) == flags and set(flags) <= tool.flags


@pytest.mark.parametrize(
    ("tool", "delegate", "has"),
    [
        (TODAY, "nnapi", "xnnpack, gpu, gpu-fp16, npu"),
        (TODAY, "none", "xnnpack, gpu"),
        (PLAIN, "xnnpack", "only none"),
        (PLAIN, "gpu", "only none"),
        (PLAIN, "npu", "only none"),
        (PLAIN, "nnapi", "only none"),
        (NIGHTLY, "tpu", "xnnpack"),
    ],
)
def test_a_delegate_that_the_tool_has_not(tool: Tool, delegate: str, has: str) -> None:
    with pytest.raises(ValueError, match=f"no delegate '{delegate}', .*{has}"):
        delegate_flags(tool, delegate)


def test_a_gpu_whose_precision_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="does not let the precision"):
        delegate_flags(Tool(LITERT, frozenset({"use_gpu"})), "gpu")


def test_libraries_of_an_npu() -> None:
    dispatch, plugin, qnn = "libLiteRtDispatch_Qualcomm.so", "libLiteRtCompilerPlugin_Qualcomm.so", "libQnnHtp.so"
    assert npu_flags(TODAY, "/n", [dispatch, qnn]) == {"dispatch_library_path": "/n"}
    both = {"dispatch_library_path": "/n", "compiler_plugin_library_path": "/n"}
    assert npu_flags(TODAY, "/n", [dispatch, plugin, qnn]) == both
    delegate = "libQnnTFLiteDelegate.so"
    assert npu_flags(NIGHTLY, "/n", [delegate, qnn]) == {"external_delegate_path": f"/n/{delegate}"}
    for names in ([qnn], [delegate, "libNeuronDelegate.so"]):
        with pytest.raises(ValueError, match=f"has {len(names) - (qnn in names)} libraries with Delegate"):
            npu_flags(NIGHTLY, "/n", names)


EXTERNAL = "INFO: Explicitly applied EXTERNAL delegate, and the model graph will be {} executed by the delegate.\n"
UNUSED = "INFO: Though EXTERNAL delegate is explicitly applied, the model graph will not be executed by the delegate.\n"
MAKERS = "VERBOSE: Replacing {} out of 4 node(s) with delegate (TfLiteQnnDelegate) node, yielding 1 partitions.\n"
XNNPACK = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"


@pytest.mark.parametrize(
    ("lines", "how"),
    [
        (EXTERNAL.format("completely") + MAKERS.format(4), "completely"),
        (EXTERNAL.format("partially") + MAKERS.format(3), "partially"),
        (EXTERNAL.format("completely") + MAKERS.format(3), "partially"),
        (MAKERS.format(4), "not"),  # whose is it?
        (XNNPACK, "not"),
        (UNUSED, "not"),
    ],
)
def test_what_proves_an_external_delegate(lines: str, how: str) -> None:
    assert coverage(parse(lines), "npu").how == how


def test_no_delegate_means_none() -> None:
    assert coverage(parse("INFO: Loaded model\n"), "none").delegate is None
    assert coverage(parse(XNNPACK), "none").delegate == "xnnpack"


@pytest.mark.parametrize(
    ("lines", "how"),
    [
        ("", "not"),
        ("INFO: Created TensorFlow Lite delegate for GPU.\n", "not"),
        (
            "VERBOSE: Replacing 4 out of 4 node(s) with delegate (TfLiteGpuDelegateV2) node, yielding 1 partitions.\n",
            "completely",
        ),
        (
            "VERBOSE: Replacing 3 out of 4 node(s) with delegate (TfLiteGpuDelegateV2) node, yielding 1 partitions.\n",
            "partially",
        ),
        (
            "VERBOSE: Replacing 4 out of 4 node(s) with delegate (LITERT_CL) node, yielding 1 partitions.\n",
            "completely",
        ),
        (
            "VERBOSE: Replacing 4 out of 4 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 1 partitions\n",
            "not",
        ),
        (
            "INFO: Though GPU delegate is explicitly applied, the model graph will not be executed by the delegate.\n",
            "not",
        ),
        (
            "VERBOSE: Replacing 3 out of 4 node(s) with delegate (TfLiteGpuDelegateV2) node, yielding 1 partitions.\n"
            "INFO: Explicitly applied GPU delegate, and the model graph will be completely executed by the delegate.\n",
            "partially",
        ),
    ],
)
def test_what_proves_a_delegate(lines: str, how: str) -> None:
    assert coverage(parse(lines), "gpu").how == how
    assert (coverage(parse(lines), "gpu").delegate is None) == (how == "not")
